/** Parts of tensors set to one value. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { broadcastShapes, broadcastStrides, sameShape, sizeOf } from "../shape.js";
import { bytesPerElement } from "../storage.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { checkDtype, checkFourBytes } from "./dtype.js";

export interface TriangleOptions {
  /** The last diagonal kept (`tril`) or the first (`triu`): 0 is the main one, 1 the one above it. */
  diagonal?: number;
}

/** y = value where `mask` (bool) is true, else x; the mask broadcasts to x */
export function maskedFill(x: Tensor, mask: Tensor, value: number): Tensor {
  checkFourBytes("maskedFill", x);
  checkDtype("maskedFill", "the mask", mask, "bool");
  if (!sameShape(broadcastShapes("maskedFill", x.shape, mask.shape), x.shape)) {
    throw new ShapeError(
      `maskedFill: the mask must broadcast to the shape of x, got ${showShape(mask.shape)} to ${showShape(x.shape)}`,
    );
  }
  const flags = dense(alias(mask, x.shape, broadcastStrides(mask.shape, mask.strides, x.shape)));
  return record("maskedFill", filled(x, flags, value), [x, mask], [flags], [(dy) => filled(dy, flags, 0), null]);
}

/** y = x on and below a diagonal of the last two dimensions, else 0 */
export function tril(x: Tensor, options: TriangleOptions = {}): Tensor {
  return triangle("tril", x, options);
}

/** y = x on and above a diagonal of the last two dimensions, else 0 */
export function triu(x: Tensor, options: TriangleOptions = {}): Tensor {
  return triangle("triu", x, options);
}

/** `flags` is dense and has the shape of x. */
function filled(x: Tensor, flags: Tensor, value: number): Tensor {
  const source = dense(x);
  const constant = empty([], x.dtype).fillWith(value);
  const y = empty(x.shape, x.dtype);
  kernels.maskedFill(y.ptr, source.ptr, flags.ptr, y.size, constant.ptr);
  constant.dispose();
  if (source !== x) source.dispose();
  return y;
}

function triangle(op: "tril" | "triu", x: Tensor, options: TriangleOptions): Tensor {
  checkOptions(op, options, ["diagonal"]);
  const { diagonal = 0 } = options;
  if (x.ndim < 2)
    throw new ShapeError(`${op}: the operand must have two dimensions or more, got ${showShape(x.shape)}`);
  if (!Number.isInteger(diagonal)) throw new Error(`${op}: diagonal must be a whole number, got ${diagonal}`);
  const [rows, cols] = x.shape.slice(-2);
  const source = dense(x);
  const y = empty(x.shape, x.dtype);
  const matrices = sizeOf(x.shape.slice(0, -2));
  kernels[op](y.ptr, source.ptr, matrices, rows, cols, diagonal, bytesPerElement(x.dtype));
  if (source !== x) source.dispose();
  return record(op, y, [x], [], [(dy) => triangle(op, dy, options)]);
}
