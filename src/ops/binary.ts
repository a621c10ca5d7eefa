/** Elementwise arithmetic with PyTorch's broadcasting; the second operand may be a number. */
import { record } from "../graph.js";
import type { Tensor } from "../tensor.js";
import { type Operand, zip, zipGrad } from "./broadcast.js";
import { sumTo } from "./reduce.js";

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
