/**
 * Elementwise arithmetic with PyTorch's broadcasting; the second operand may be a number. Operands of different types
 * become float32 where one is float32 or a number with a fraction, else int32 (so bool and uint8 count as int32), which
 * wraps around; quotients and powers are always float32.
 */
import { checkOptions } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { broadcastShapes, broadcastStrides } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { zip, zipGrad } from "./broadcast.js";
import { lt } from "./compare.js";
import { convert, type Operand } from "./convert.js";
import { checkDtype } from "./dtype.js";
import { sumTo } from "./reduce.js";
import { sqrt, square } from "./unary.js";

/** y = a + b */
export function add(a: Tensor, b: Operand): Tensor {
  return recordBinary("add", zip("add", a, b), a, b, [], same, same);
}

/** y = a − b */
export function sub(a: Tensor, b: Operand): Tensor {
  return recordBinary("sub", zip("sub", a, b), a, b, [], same, (dy) => zip("mul", dy, -1));
}

/** y = a · b */
export function mul(a: Tensor, b: Operand): Tensor {
  const y = zip("mul", a, b);
  const da = (dy: Tensor) => zip("mul", dy, b);
  const db = (dy: Tensor) => zip("mul", dy, a);
  return recordBinary("mul", y, a, b, [...readIf(a, b), ...readIf(b, a)], da, db);
}

/** y = a / b */
export function div(a: Tensor, b: Operand): Tensor {
  const y = zip("div", a, b);
  const da = (dy: Tensor) => zip("div", dy, b);
  const db = (dy: Tensor) => zipGrad("divGrad", dy, a, b);
  return recordBinary("div", y, a, b, [...readIf(a, b), ...readIf(b, a, b)], da, db);
}

/** y = max(a, b), NaN where either is; where they are equal, each gets half the gradient */
export function maximum(a: Tensor, b: Operand): Tensor {
  const y = zip("maximum", a, b);
  const da = (dy: Tensor) => zipGrad("maximumGrad", dy, a, b);
  const db = (dy: Tensor) => zipGrad("maximumGrad", dy, b as Tensor, a);
  return recordBinary("maximum", y, a, b, tensorsOf(a, b), da, db);
}

/** y = min(a, b), NaN where either is; where they are equal, each gets half the gradient */
export function minimum(a: Tensor, b: Operand): Tensor {
  const y = zip("minimum", a, b);
  const da = (dy: Tensor) => zipGrad("minimumGrad", dy, a, b);
  const db = (dy: Tensor) => zipGrad("minimumGrad", dy, b as Tensor, a);
  return recordBinary("minimum", y, a, b, tensorsOf(a, b), da, db);
}

/** y = a^b as C's pow: 1 for b = 0 even of NaN, NaN for a < 0 with a fraction */
export function pow(a: Tensor, b: Operand): Tensor {
  if (b === 2 && a.dtype === "float32") return square(a);
  if (b === 0.5 && a.dtype === "float32") return sqrt(a);
  const y = zip("pow", a, b);
  const da = (dy: Tensor) => zipGrad("powGrad", dy, a, b);
  const db = (dy: Tensor) => zipGrad("powExponentGrad", dy, a, b);
  return recordBinary("pow", y, a, b, tensorsOf(a, b), da, db);
}

/** y = a + weight·(b − a), computed from the nearer end */
export function lerp(a: Tensor, b: Tensor, weight: Operand): Tensor {
  return scope(() => {
    const difference = sub(b, a);
    const fromA = (w: Operand) => add(a, mul(difference, w));
    const fromB = (w: Operand) => sub(b, mul(difference, typeof w === "number" ? 1 - w : add(mul(w, -1), 1)));
    if (typeof weight === "number") return Math.abs(weight) < 0.5 ? fromA(weight) : fromB(weight);
    return where(lt(maximum(weight, mul(weight, -1)), 0.5), fromA(weight), fromB(weight));
  });
}

export interface AddcmulOptions {
  value?: number;
}

/** y = x + value·a·b */
export function addcmul(x: Tensor, a: Tensor, b: Tensor, options: AddcmulOptions = {}): Tensor {
  checkOptions("addcmul", options, ["value"]);
  const { value = 1 } = options;
  return scope(() => {
    const product = mul(a, b);
    return add(x, value === 1 ? product : mul(product, value));
  });
}

/** y = x where the bool `condition` holds, else y; all three broadcast. Two numbers give float32. */
export function where(condition: Tensor, x: Operand, y: Operand): Tensor {
  checkDtype("where", "the condition", condition, "bool");
  const dtype = isInteger(x, y) && isInteger(y, x) ? "int32" : "float32";
  return scope(() => {
    const a = operandOf(x, dtype);
    const b = operandOf(y, dtype);
    const shape = broadcastShapes("where", condition.shape, broadcastShapes("where", a.shape, b.shape));
    const holds = convert(condition, "int32");
    const mask = alias(holds, shape, broadcastStrides(holds.shape, holds.strides, shape));
    const chosen = zipGrad("where", mask, a, b, dtype);
    return record(
      "where",
      chosen,
      [a, b],
      [mask],
      [
        (dy) => sumTo(zipGrad("where", mask, dy, 0), a.shape),
        (dy) => sumTo(zipGrad("where", mask, operandOf(0, "float32"), dy), b.shape),
      ],
    );
  });
}

/** Whether `x` needs no float32: a number takes the type of the `other`. */
function isInteger(x: Operand, other: Operand): boolean {
  if (typeof x !== "number") return x.dtype !== "float32";
  return Number.isInteger(x) && typeof other !== "number";
}

function operandOf(x: Operand, dtype: "float32" | "int32"): Tensor {
  return typeof x === "number" ? empty([], dtype).fillWith(x) : convert(x, dtype);
}

function same(dy: Tensor): Tensor {
  return dy;
}

type BroadcastGrad = (dy: Tensor) => Tensor;

/** `da` and `db` give gradients of the broadcast shape, which are summed to the operands' shapes. */
function recordBinary(
  op: string,
  y: Tensor,
  a: Tensor,
  b: Operand,
  saved: Tensor[],
  da: BroadcastGrad,
  db: BroadcastGrad,
): Tensor {
  if (typeof b === "number") return record(op, y, [a], saved, [da]);
  return record(op, y, [a, b], saved, [(dy) => sumTo(da(dy), a.shape), (dy) => sumTo(db(dy), b.shape)]);
}

function tensorsOf(...operands: Operand[]): Tensor[] {
  return operands.filter((x) => typeof x !== "number");
}

/** What the gradient of `x` reads, if it wants one. */
function readIf(x: Operand, ...operands: Operand[]): Tensor[] {
  return typeof x !== "number" && x.requiresGrad ? tensorsOf(...operands) : [];
}
