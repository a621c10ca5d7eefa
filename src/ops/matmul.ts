/** Products of matrices and stacks of matrices, of any strides. */
import { ShapeError, showShape } from "../errors.js";
import { isRecording, record } from "../graph.js";
import { scope } from "../scope.js";
import { broadcastShapes, broadcastStrides, collapse, forEachOffset, type Shape, type Strides } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, offsetBy, type Ptr, workspace } from "../wasm/memory.js";
import { squeeze, unsqueeze } from "./view.js";

/**
 * The matrix product a·b over the last two dimensions, with the others broadcast. A vector counts as one row where it
 * is `a`, as one column where it is `b`, and the result has no dimension for it.
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  checkOperands("matmul", a, b);
  if (b.ndim === 1) return scope(() => squeeze(matmul(a, unsqueeze(b, 1)), -1));
  if (a.ndim === 1) return scope(() => squeeze(matmul(unsqueeze(a, 0), b), -2));
  const y = empty([...broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2)), rowsOf(a), colsOf(b)]);
  multiply(y, a, b);
  const saved = [...(b.requiresGrad ? [a] : []), ...(a.requiresGrad ? [b] : [])];
  return record("matmul", y, [a, b], saved, [
    (dy) => product(a.shape, dy, transposed(b)),
    (dy) => product(b.shape, transposed(a), dy),
  ]);
}

/** y ← y + α·a·b for matrices, in place, where the rows of y are dense or its columns are; not recorded. */
export function addmm_(y: Tensor, a: Tensor, b: Tensor, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  checkOperands("addmm_", a, b);
  if (
    y.ndim !== 2 ||
    a.ndim !== 2 ||
    b.ndim !== 2 ||
    rowsOf(y) !== rowsOf(a) ||
    colsOf(y) !== colsOf(b) ||
    !y.strides.includes(1)
  ) {
    throw new ShapeError(
      `addmm_: the result must be a matrix with dense rows or columns, of the product's shape, got ${showShape(y.shape)} for ${showShape(a.shape)} @ ${showShape(b.shape)}`,
    );
  }
  if (isRecording() && (y.requiresGrad || a.requiresGrad || b.requiresGrad)) {
    throw new Error("addmm_: no gradient must be recorded, got an operand that requires one; use noGrad");
  }
  if (y.strides[1] === 1) multiply(y, a, b, { alpha, accumulate: true });
  else multiply(transposed(y), transposed(b), transposed(a), { alpha, accumulate: true });
  y.storage.version++;
  return y;
}

function checkOperands(op: string, a: Tensor, b: Tensor): void {
  for (const { dtype } of [a, b]) {
    if (dtype !== "float32") throw new Error(`${op}: operands must be "float32", got "${dtype}"`);
  }
  if (a.ndim === 0 || b.ndim === 0) {
    throw new ShapeError(`${op}: operands must have a dimension, got ${showShape(a.shape)} @ ${showShape(b.shape)}`);
  }
  if (colsOf(a) !== (b.ndim === 1 ? b.shape[0] : rowsOf(b))) {
    throw new ShapeError(`${op}: inner dimensions must match, got ${showShape(a.shape)} @ ${showShape(b.shape)}`);
  }
}

/** Matrices [..., rows, cols] in memory: every tensor of two dimensions or more. Strides in elements. */
export interface Matrices {
  readonly ptr: Ptr;
  readonly shape: Shape;
  readonly strides: Strides;
}

export function transposed({ ptr, shape, strides }: Matrices): Matrices {
  const swap = (values: readonly number[]) => [
    ...values.slice(0, -2),
    values[values.length - 1],
    values[values.length - 2],
  ];
  return { ptr, shape: swap(shape), strides: swap(strides) };
}

const rowsOf = ({ shape }: { shape: Shape }): number => shape[shape.length - 2];
const colsOf = ({ shape }: { shape: Shape }): number => shape[shape.length - 1];

/** α·a·b, summed over the dimensions that `shape` lacks or has with extent 1. */
export function product(shape: Shape, a: Matrices, b: Matrices, alpha = 1): Tensor {
  const y = empty(shape);
  multiply(y, a, b, { alpha });
  return y;
}

export interface MultiplyOptions {
  /** Added to every row. */
  bias?: Ptr;
  alpha?: number;
  /** Adds to what y holds. */
  accumulate?: boolean;
}

/**
 * y = (accumulate ? y : 0) + bias + α·a·b with the leading dimensions of a and b broadcast, and summed where y has
 * extent 1 (or lacks them) and they have more. Rows of `y` are dense; `a` and `b` have any strides.
 */
export function multiply(
  y: Matrices,
  a: Matrices,
  b: Matrices,
  { bias = nullPtr, alpha = 1, accumulate = false }: MultiplyOptions = {},
): void {
  if (y.shape.includes(0)) return;
  if (y.shape.length === 2 && a.shape.length === 2 && b.shape.length === 2) {
    const [m, k, n] = [y.shape[0], a.shape[1], y.shape[1]];
    const work = workspace(kernels.matmulWorkspace(m, k, n));
    const [[yRow], [aRow, aCol], [bRow, bCol]] = [y.strides, a.strides, b.strides];
    const [to, left, right] = [y.ptr, a.ptr, b.ptr];
    kernels.matmul(
      to,
      left,
      right,
      bias,
      work,
      1,
      m,
      k,
      n,
      0,
      yRow,
      0,
      aRow,
      aCol,
      0,
      bRow,
      bCol,
      alpha,
      accumulate ? 1 : 0,
    );
    return;
  }
  const lead = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [yLead, aLead, bLead] = [y, a, b].map((x) => broadcastStrides(x.shape.slice(0, -2), x.strides, lead));
  const [yRow, aRow, bRow] = [y, a, b].map((x) => x.strides[x.strides.length - 2]);
  const [aCol, bCol] = [a, b].map((x) => x.strides[x.strides.length - 1]);
  const isSummed = (_: number, d: number) => lead[d] !== 1 && yLead[d] === 0;
  const isKept = (_: number, d: number) => !isSummed(_, d);
  // Neighbours with common strides become one: a batch of rows is more rows, a sum over a batch is a longer sum.
  const sums = axes(
    [...lead.filter(isSummed), colsOf(a)],
    [
      [...aLead.filter(isSummed), aCol],
      [...bLead.filter(isSummed), bRow],
    ],
  );
  const rows = axes(
    [...lead.filter(isKept), rowsOf(y)],
    [
      [...yLead.filter(isKept), yRow],
      [...aLead.filter(isKept), aRow],
      [...bLead.filter(isKept), 0],
    ],
  );
  const [k, ka, kb] = sums.pop() ?? [1, 1, 0];
  const [m, my, ma] = rows[rows.length - 1]?.[3] === 0 ? (rows.pop() as number[]) : [1, 0, 0];
  const [batch, ty, ta, tb] = rows.pop() ?? [1, 0, 0, 0];
  const n = colsOf(b);
  const work = workspace(kernels.matmulWorkspace(m, k, n));
  let add = accumulate;
  forEach(sums, 2, ([sa, sb]) => {
    forEach(rows, 3, ([ry, ra, rb]) => {
      const to = offsetBy(y.ptr, 4 * ry);
      const left = offsetBy(a.ptr, 4 * (sa + ra));
      const right = offsetBy(b.ptr, 4 * (sb + rb));
      kernels.matmul(to, left, right, bias, work, batch, m, k, n, ty, my, ta, ma, ka, tb, kb, bCol, alpha, add ? 1 : 0);
    });
    add = true;
  });
}

/** The fewest dimensions that walk the same elements, each as [extent, stride of every operand]; one of 0 if empty. */
function axes(shape: Shape, strides: Strides[]): number[][] {
  if (shape.includes(0)) return [[0, ...strides.map(() => 0)]];
  const merged = collapse(shape, strides);
  return merged.shape.map((extent, d) => [extent, ...merged.strides.map((s) => s[d])]);
}

function forEach(axes: number[][], operands: number, visit: (offsets: readonly number[]) => void): void {
  const strides = Array.from({ length: operands }, (_, i) => axes.map((axis) => axis[i + 1]));
  forEachOffset(
    axes.map(([extent]) => extent),
    strides,
    visit,
  );
}
