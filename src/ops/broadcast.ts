/** Elementwise kernels of two operands, without history: shapes broadcast, views are read through their strides. */
import { dense } from "../copy.js";
import {
  broadcastShapes,
  broadcastStrides,
  collapse,
  denseStrides,
  forEachOffset,
  type Shape,
  type Strides,
  sameShape,
} from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { offsetBy, type Ptr, workspace } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";

export type Operand = Tensor | number;

/** The kernels of the form y = f(a, b), and of the form y = f(dy, a, b). */
type Binary = "add" | "sub" | "mul" | "div" | "maximum" | "minimum" | "equalMask";
type BinaryGrad = "divGrad" | "maximumGrad" | "minimumGrad";

/** f(a, b), a new tensor of the broadcast shape */
export function zip(kernel: Binary, a: Tensor, b: Operand, op: string = kernel): Tensor {
  checkOperands(op, a, b);
  return zipInto(empty(typeof b === "number" ? a.shape : broadcastShapes(op, a.shape, b.shape)), kernel, a, b);
}

/** y = f(a, b); y is dense and has the broadcast shape. It may be `a`. */
export function zipInto(y: Tensor, kernel: Binary, a: Tensor, b: Operand): Tensor {
  forEachPlane(y, a, b, (yPtr, _, ...rest) => kernels[kernel](yPtr, ...rest));
  return y;
}

/** f(dy, a, b), a new tensor of dy's shape, which is the broadcast shape of a and b */
export function zipGrad(kernel: BinaryGrad, dy: Tensor, a: Tensor, b: Operand): Tensor {
  const y = empty(dy.shape);
  const g = dense(dy);
  forEachPlane(y, a, b, (yPtr, offset, ...rest) => kernels[kernel](yPtr, offsetBy(g.ptr, 4 * offset), ...rest));
  return y;
}

export function checkOperands(op: string, a: Tensor, b: Operand): void {
  checkDtype(op, "operands", a, "float32");
  if (typeof b !== "number") checkDtype(op, "operands", b, "float32");
}

type Plane = (
  y: Ptr,
  yOffset: number,
  a: Ptr,
  b: Ptr,
  rows: number,
  cols: number,
  aRow: number,
  aCol: number,
  bRow: number,
  bCol: number,
) => void;

/** Calls `run` for every plane of two dimensions: usually one, since dimensions that can be are merged. */
function forEachPlane(y: Tensor, a: Tensor, b: Operand, run: Plane): void {
  if (a.isDense && (typeof b === "number" || (b.isDense && sameShape(a.shape, b.shape)))) {
    const [bPtr, bCol] = typeof b === "number" ? [constant(b), 0] : [b.ptr, 1];
    run(y.ptr, 0, a.ptr, bPtr, 1, y.size, 0, 1, 0, bCol);
    return;
  }
  const left = rowMajor(a);
  const right = typeof b === "number" ? b : rowMajor(b);
  const rightPtr = typeof right === "number" ? constant(right) : right.ptr;
  const { shape, strides } = collapse(y.shape, [
    denseStrides(y.shape),
    stridesAs(left, y.shape),
    stridesAs(right, y.shape),
  ]);
  const cols = shape.pop() ?? 1;
  const [, aCol, bCol] = strides.map((s) => s.pop() ?? 1);
  const rows = shape.pop() ?? 1;
  const [, aRow, bRow] = strides.map((s) => s.pop() ?? 0);
  forEachOffset(shape, strides, ([to, fromA, fromB]) => {
    run(
      offsetBy(y.ptr, 4 * to),
      to,
      offsetBy(left.ptr, 4 * fromA),
      offsetBy(rightPtr, 4 * fromB),
      rows,
      cols,
      aRow,
      aCol,
      bRow,
      bCol,
    );
  });
  if (left !== a) left.dispose();
  if (right !== b) (right as Tensor).dispose();
}

/** `x`, or a copy where it is transposed: reading down its columns would miss the cache. */
function rowMajor(x: Tensor): Tensor {
  return x.strides[x.ndim - 1] > 1 && x.strides.includes(1) ? dense(x) : x;
}

function stridesAs(x: Operand, shape: Shape): Strides {
  return typeof x === "number" ? shape.map(() => 0) : broadcastStrides(x.shape, x.strides, shape);
}

/** The address of a number, until the next kernel has run. */
function constant(value: number): Ptr {
  const ptr = workspace(4);
  kernels.fill(ptr, 1, value);
  return ptr;
}
