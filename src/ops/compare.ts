/** Comparisons and tests, to bool: no gradient. Operands of different types are compared as arithmetic promotes them. */
import { checkOptions } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { broadcastShapes, broadcastStrides } from "../shape.js";
import { alias, type Tensor } from "../tensor.js";
import { compareWith, zip } from "./broadcast.js";
import { convert, type Operand } from "./convert.js";
import { type ReduceOptions, sum } from "./reduce.js";

const less = 1;
const equal = 2;
const greater = 4;
const opposite = 8;

/** y = (a = b) */
export function eq(a: Tensor, b: Operand): Tensor {
  return compare("eq", a, b, equal);
}

/** y = (a ≠ b), true of NaN */
export function ne(a: Tensor, b: Operand): Tensor {
  return compare("ne", a, b, equal + opposite);
}

/** y = (a > b) */
export function gt(a: Tensor, b: Operand): Tensor {
  return compare("gt", a, b, greater);
}

/** y = (a ≥ b) */
export function ge(a: Tensor, b: Operand): Tensor {
  return compare("ge", a, b, greater + equal);
}

/** y = (a < b) */
export function lt(a: Tensor, b: Operand): Tensor {
  return compare("lt", a, b, less);
}

/** y = (a ≤ b) */
export function le(a: Tensor, b: Operand): Tensor {
  return compare("le", a, b, less + equal);
}

/** Whether an element is NaN */
export function isnan(x: Tensor): Tensor {
  return compare("isnan", x, x, equal + opposite);
}

/** Whether an element is neither infinite nor NaN */
export function isfinite(x: Tensor): Tensor {
  if (x.dtype !== "float32") return compare("isfinite", x, x, equal);
  return scope(() => compare("isfinite", zip("mul", x, 0), 0, equal)); // ∞·0 is NaN
}

/** Whether an element (of each row along `dim`) is not 0: false where there is none */
export function any(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("any", options, ["dim", "keepdim"]);
  return scope(() => compare("any", sum(ne(x, 0), options), 0, greater));
}

/** Whether every element (of each row along `dim`) is not 0: true where there is none */
export function all(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("all", options, ["dim", "keepdim"]);
  return scope(() => compare("all", sum(eq(x, 0), options), 0, equal));
}

export interface AllcloseOptions {
  atol?: number;
  rtol?: number;
}

/** Whether |x − y| ≤ atol + rtol·|y| everywhere, with broadcasting; infinities must be equal, NaN is close to nothing. */
export function allclose(x: Tensor, y: Tensor, options: AllcloseOptions = {}): boolean {
  checkOptions("allclose", options, ["atol", "rtol"]);
  const { atol = 1e-8, rtol = 1e-5 } = options;
  const shape = broadcastShapes("allclose", x.shape, y.shape);
  const [a, b] = scope(() =>
    [x, y].map((t) => convert(alias(t, shape, broadcastStrides(t.shape, t.strides, shape)), "float32").data()),
  );
  return a.every((v, i) => v === b[i] || (Math.abs(v - b[i]) <= atol + rtol * Math.abs(b[i]) && Number.isFinite(b[i])));
}

function compare(op: string, a: Tensor, b: Operand, relation: number): Tensor {
  return record(op, compareWith(op, a, b, relation), [a], [], [null]);
}
