/** Reductions over some dimensions, or all. Dimensions that lie together are reduced by one kernel call. */
import { clone, dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import {
  broadcastStrides,
  type Dim,
  denseStrides,
  mergedDims,
  normalizeDims,
  type Shape,
  sameShape,
  sizeOf,
} from "../shape.js";
import type { DType } from "../storage.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { float32View, type Ptr, workspace } from "../wasm/memory.js";
import { zip } from "./broadcast.js";
import { convert } from "./convert.js";
import { checkDtype } from "./dtype.js";
import { fromRows, toRows } from "./rows.js";

export interface ReduceOptions {
  /** The dimensions to reduce; all of them if left out. */
  dim?: Dim | readonly Dim[];
  /** Keep reduced dimensions with extent 1. */
  keepdim?: boolean;
}

export interface ArgReduceOptions {
  /** The dimension to search; if left out, the whole tensor in row-major order. */
  dim?: Dim;
  keepdim?: boolean;
}

/** y = Σ x; int32 where x is not float32, so that the sum of a mask counts */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  if (x.dtype !== "float32") return sumIntegers(x, options);
  return additive("sum", x, options, () => 1);
}

/** y = Σ x / n */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  return additive("mean", x, options, (n) => n);
}

/** y = Π x; the gradient of an element is the product of the others, also where one is 0 */
export function prod(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkReduceOptions("prod", options);
  checkDtype("prod", "the operand", x, "float32");
  const { dim, keepdim = false } = options;
  const dims = normalizeDims("prod", dim, x.ndim);
  const shape = reducedShape(x.shape, dims, keepdim);
  const y = x.size === 0 ? empty(shape).fillWith(1) : reduceOver(x, dims, shape, "float32", kernels.prod);
  const vjp = (dy: Tensor) => {
    const rows = toRows(x, dims);
    const dx = empty(rows.shape);
    kernels.prodGrad(dx.ptr, dense(dy).ptr, rows.ptr, y.size, sizeOf(dims.map((d) => x.shape[d])));
    return fromRows(dx, dims);
  };
  return record("prod", y, [x], [x], [vjp]);
}

/** y = max x, NaN where one is; equal maxima share the gradient */
export function amax(x: Tensor, options: ReduceOptions = {}): Tensor {
  return extremum("amax", x, options);
}

/** y = min x, NaN where one is; equal minima share the gradient */
export function amin(x: Tensor, options: ReduceOptions = {}): Tensor {
  return extremum("amin", x, options);
}

/** The first index (int32) of the maximum, of NaN where there is one */
export function argmax(x: Tensor, options: ArgReduceOptions = {}): Tensor {
  return extremumIndex("argmax", x, options);
}

/** The first index (int32) of the minimum, of NaN where there is one */
export function argmin(x: Tensor, options: ArgReduceOptions = {}): Tensor {
  return extremumIndex("argmin", x, options);
}

/** Sums `x` over the dimensions in which it was broadcast from `shape`: the gradient of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.ndim - shape.length;
  const dims = [...x.shape.keys()].filter((d) => d < lead || (shape[d - lead] === 1 && x.shape[d] !== 1));
  return sumOver(x, dims, shape, 1);
}

function additive(op: string, x: Tensor, options: ReduceOptions, divisorOf: (n: number) => number): Tensor {
  checkReduceOptions(op, options);
  const { dim, keepdim = false } = options;
  checkDtype(op, "the operand", x, "float32");
  const dims = normalizeDims(op, dim, x.ndim);
  const divisor = divisorOf(sizeOf(dims.map((d) => x.shape[d])));
  const y = sumOver(x, dims, reducedShape(x.shape, dims, keepdim), divisor);
  return record(
    op,
    y,
    [x],
    [],
    [(dy) => expandFrom(divisor === 1 ? dy : zip("div", dy, divisor), reducedShape(x.shape, dims, true), x.shape)],
  );
}

function sumIntegers(x: Tensor, options: ReduceOptions): Tensor {
  checkReduceOptions("sum", options);
  const { dim, keepdim = false } = options;
  const dims = normalizeDims("sum", dim, x.ndim);
  const shape = reducedShape(x.shape, dims, keepdim);
  if (x.size === 0) return empty(shape, "int32").fillWith(0);
  return scope(() => {
    const y = reduceOver(convert(x, "int32"), dims, shape, "int32", kernels.sumInt32);
    return record("sum", y, [x], [], [null]);
  });
}

function extremum(op: "amax" | "amin", x: Tensor, options: ReduceOptions): Tensor {
  checkReduceOptions(op, options);
  const { dim, keepdim = false } = options;
  checkDtype(op, "the operand", x, "float32");
  const dims = normalizeDims(op, dim, x.ndim);
  checkNotEmpty(op, x.shape, dims);
  const y = reduceOver(x, dims, reducedShape(x.shape, dims, keepdim), "float32", kernels[op]);
  const kept = reducedShape(x.shape, dims, true);
  return record(
    op,
    y,
    [x],
    [x, y],
    [
      (dy) => {
        const hits = zip("equalMask", x, expandFrom(y, kept, x.shape));
        const share = zip("div", expandFrom(dy, kept, kept), sumOver(hits, dims, kept, 1));
        return zip("mul", hits, share);
      },
    ],
  );
}

function extremumIndex(op: "argmax" | "argmin", x: Tensor, options: ArgReduceOptions): Tensor {
  checkReduceOptions(op, options);
  const { dim, keepdim = false } = options;
  checkDtype(op, "the operand", x, "float32");
  const dims = normalizeDims(op, dim, x.ndim);
  checkNotEmpty(op, x.shape, dims);
  const shape = reducedShape(x.shape, dims, keepdim);
  return record(op, reduceOver(x, dims, shape, "int32", kernels[op]), [x], [], [null]);
}

/** Of float64 sums, as `sum` in assembly/reduce.ts wants. */
const SUM_WORKSPACE = 8192;

/** The sums over `dims` divided by `divisor`, as a tensor of `shape`. */
function sumOver(x: Tensor, dims: readonly number[], shape: Shape, divisor: number): Tensor {
  if (x.size === 0) return empty(shape).fillWith(0 / divisor);
  return reduceOver(x, dims, shape, "float32", (y, source, outer, n, inner, xOuter, xRow, isLast) => {
    const by = isLast ? divisor : 1;
    if (n >= LONG && outer * inner === 1 && xRow === 1) {
      float32View(y, 1)[0] = totalOf(kernels.sumBlocks, source, n) / by;
    } else kernels.sum(y, workspace(SUM_WORKSPACE), source, outer, n, inner, xOuter, xRow, by);
  });
}

/** Numbers in a block of `sumBlocks`. */
const BLOCK = 512;

/** From so many numbers on, threads share one sum. */
const LONG = 32_768;

/** The sum of what `sumBlocks` makes of each block of x. */
function totalOf(sumBlocks: (parts: Ptr, x: Ptr, n: number) => void, x: Ptr, n: number): number {
  const count = Math.ceil(n / BLOCK);
  const parts = workspace(8 * Math.max(count, 1));
  sumBlocks(parts, x, n);
  return kernels.sumParts(parts, count);
}

/** Σ x², in float64 */
export function sumOfSquares(x: Tensor): number {
  return scope(() => totalOf(kernels.sumBlocksOfSquares, dense(x).ptr, x.size));
}

/** How a kernel sees x: [outer, n, inner] with strides, to be reduced over n. */
type Planes = [outer: number, n: number, inner: number, xOuter: number, xRow: number];

/** Reduces the adjacent dimensions among `dims` together, the last ones first; the result has `shape`. */
function reduceOver(
  x: Tensor,
  dims: readonly number[],
  shape: Shape,
  dtype: DType,
  run: (y: Ptr, x: Ptr, ...rest: [...Planes, isLast: boolean]) => void,
): Tensor {
  const groups = adjacent(dims);
  let part = x;
  for (const [i, [from, to]] of [...groups.entries()].reverse()) {
    const y = empty(i === 0 ? shape : part.shape.map((extent, d) => (d >= from && d < to ? 1 : extent)), dtype);
    const source = planesOf(part, from, to) ? part : clone(part);
    if (source.size > 0) run(y.ptr, source.ptr, ...(planesOf(source, from, to) as Planes), i === 0);
    if (source !== part) source.dispose();
    if (part !== x) part.dispose();
    part = y;
  }
  if (part !== x) return part;
  return dtype === x.dtype ? clone(x) : empty(shape, dtype).fillWith(0);
}

/** Dims `from` to `to` of `x` as the middle extent, or null where strides don't allow it. */
function planesOf(x: Tensor, from: number, to: number): Planes | null {
  const before = mergedDims(x, 0, from);
  const reduced = mergedDims(x, from, to);
  const after = mergedDims(x, to, x.ndim);
  if (!before || !reduced || !after) return null;
  const [outer, xOuter] = before;
  const [n, xRow] = reduced;
  const [inner, xInner] = after;
  if (inner > 1) return xInner === 1 ? [outer, n, inner, xOuter, xRow] : null;
  // A transposed matrix: its rows are the columns of a dense one.
  return xOuter === 1 && xRow !== 1 ? [1, n, outer, 0, xRow] : [outer, n, 1, xOuter, xRow];
}

/** Runs of consecutive dims, as [from, to). */
function adjacent(dims: readonly number[]): [number, number][] {
  const groups: [number, number][] = [];
  for (const d of dims) {
    const last = groups[groups.length - 1];
    if (last?.[1] === d) last[1]++;
    else groups.push([d, d + 1]);
  }
  return groups;
}

export function reducedShape(shape: Shape, dims: readonly number[], keepdim: boolean): Shape {
  if (keepdim) return shape.map((extent, d) => (dims.includes(d) ? 1 : extent));
  return shape.filter((_, d) => !dims.includes(d));
}

/** `x`, whose elements fill `kept`, repeated to `shape`; a view where `x` is dense. */
function expandFrom(x: Tensor, kept: Shape, shape: Shape): Tensor {
  const source = dense(x);
  return alias(source, shape, broadcastStrides(kept, denseStrides(kept), shape));
}

function checkReduceOptions(op: string, options: ReduceOptions): void {
  checkOptions(op, options, ["dim", "keepdim"]);
}

function checkNotEmpty(op: string, shape: Shape, dims: readonly number[]): void {
  if (dims.some((d) => shape[d] === 0))
    throw new ShapeError(`${op}: reduced dimensions must not be empty, got ${showShape(shape)}`);
}
