/** Elementwise kernels of two operands, without history: shapes broadcast, views are read through their strides. */
import { dense } from "../copy.js";
import { scope } from "../scope.js";
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
import { int32View, offsetBy, type Ptr, workspace } from "../wasm/memory.js";
import { convert, type Operand, promote } from "./convert.js";
import { checkDtype } from "./dtype.js";

/** The kernels of the form y = f(a, b), and of the form y = f(dy, a, b). */
type Binary = "add" | "sub" | "mul" | "div" | "maximum" | "minimum" | "equalMask" | "pow" | "prelu";
type BinaryGrad = "divGrad" | "maximumGrad" | "minimumGrad" | "powGrad" | "powExponentGrad" | "preluGrad" | "where";

/** Kernels that have one for int32; the others give float32. */
const int32Kernels = {
  add: "addInt32",
  sub: "subInt32",
  mul: "mulInt32",
  maximum: "maximumInt32",
  minimum: "minimumInt32",
} as const;

/** f(a, b), a new tensor of the broadcast shape */
export function zip(kernel: Binary, a: Tensor, b: Operand, op: string = kernel): Tensor {
  if (a.dtype !== "float32" || (typeof b !== "number" && b.dtype !== "float32")) return zipMixed(kernel, a, b, op);
  return zipInto(empty(outputShape(op, a, b)), kernel, a, b);
}

/** The same of operands that are not all float32: see `promote`. */
function zipMixed(kernel: Binary, left: Tensor, right: Operand, op: string): Tensor {
  return scope(() => {
    const { a, b, dtype } = promote(op, left, right);
    if (dtype === "float32") return zip(kernel, a, b, op);
    if (!(kernel in int32Kernels)) {
      return zip(kernel, convert(a, "float32"), typeof b === "number" ? b : convert(b, "float32"), op);
    }
    const y = empty(outputShape(op, a, b), "int32");
    const run = kernels[int32Kernels[kernel as keyof typeof int32Kernels]];
    forEachPlane(y, a, b, (yPtr, _, ...rest) => run(yPtr, ...rest));
    return y;
  });
}

/** y = f(a, b); y is dense and has the broadcast shape. It may be `a`. */
export function zipInto(y: Tensor, kernel: Binary, a: Tensor, b: Operand): Tensor {
  forEachPlane(y, a, b, (yPtr, _, ...rest) => kernels[kernel](yPtr, ...rest));
  return y;
}

/** f(dy, a, b), a new tensor of dy's shape, which is the broadcast shape of a and b; it and they have type `dtype` */
export function zipGrad(
  kernel: BinaryGrad,
  dy: Tensor,
  a: Tensor,
  b: Operand,
  dtype: "float32" | "int32" = "float32",
): Tensor {
  const y = empty(dy.shape, dtype);
  const g = dense(dy);
  const right = typeof b === "number" ? b : convert(b, dtype);
  forEachPlane(y, convert(a, dtype), right, (yPtr, offset, ...rest) =>
    kernels[kernel](yPtr, offsetBy(g.ptr, 4 * offset), ...rest),
  );
  return y;
}

/** For each element whether a and b are in `relation` (see assembly/compare.ts), as bool */
export function compareWith(op: string, left: Tensor, right: Operand, relation: number): Tensor {
  return scope(() => {
    const { a, b, dtype } = promote(op, left, right);
    const y = empty(outputShape(op, a, b), "bool");
    const run = dtype === "float32" ? kernels.compare : kernels.compareInt32;
    forEachPlane(y, a, b, (_, offset, ...rest) => run(offsetBy(y.ptr, offset), ...rest, relation));
    return y;
  });
}

function outputShape(op: string, a: Tensor, b: Operand): Shape {
  return typeof b === "number" ? a.shape : broadcastShapes(op, a.shape, b.shape);
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
  if (readsAs(a, y.shape) && (typeof b === "number" || readsAs(b, y.shape))) {
    const [bPtr, bCol] = typeof b === "number" ? [constant(b, a), 0] : [b.ptr, 1];
    run(y.ptr, 0, a.ptr, bPtr, 1, y.size, 0, 1, 0, bCol);
    return;
  }
  const left = rowMajor(a);
  const right = typeof b === "number" ? b : rowMajor(b);
  const rightPtr = typeof right === "number" ? constant(right, a) : right.ptr;
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

function readsAs(x: Tensor, shape: Shape): boolean {
  return x.isDense && sameShape(x.shape, shape);
}

/** `x`, or a copy where it is transposed: reading down its columns would miss the cache. */
function rowMajor(x: Tensor): Tensor {
  return x.strides[x.ndim - 1] > 1 && x.strides.includes(1) ? dense(x) : x;
}

function stridesAs(x: Operand, shape: Shape): Strides {
  return typeof x === "number" ? shape.map(() => 0) : broadcastStrides(x.shape, x.strides, shape);
}

/** The address of a number, of the type of the operand beside it, until the next kernel has run. */
function constant(value: number, beside: Tensor): Ptr {
  const ptr = workspace(4);
  if (beside.dtype === "int32") int32View(ptr, 1)[0] = value;
  else kernels.fill(ptr, 1, value);
  return ptr;
}
