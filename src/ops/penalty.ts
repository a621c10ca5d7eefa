/** Penalties of parameters, to be added to a loss. */
import { checkOptions } from "../errors.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { add, mul } from "./binary.js";
import { sum } from "./reduce.js";
import { abs, square } from "./unary.js";

/**
 * λ·Σ|θ|: pulls every element towards 0 by the same force, so that useless ones end near it (lasso; Tibshirani 1996).
 * Its gradient is what the optimizers' option `l1` adds to theirs.
 */
export function l1Penalty(params: Iterable<Tensor>, lambda: number): Tensor {
  return penalty("l1Penalty", params, lambda, abs, 1);
}

/**
 * λ/2·Σθ²: pulls every element towards 0 in proportion to it (ridge; Hoerl & Kennard 1970).
 * Its gradient is what the option `weightDecay` adds to that of optimizers which do not decouple it.
 */
export function l2Penalty(params: Iterable<Tensor>, lambda: number): Tensor {
  return penalty("l2Penalty", params, lambda, square, 0.5);
}

export interface ElasticNetOptions {
  l1: number;
  l2: number;
}

/** l1·Σ|θ| + l2/2·Σθ². Zou & Hastie 2005 */
export function elasticNet(params: Iterable<Tensor>, options: ElasticNetOptions): Tensor {
  checkOptions("elasticNet", options, ["l1", "l2"]);
  const list = [...params];
  return scope(() =>
    add(penalty("elasticNet", list, options.l1, abs, 1), penalty("elasticNet", list, options.l2, square, 0.5)),
  );
}

function penalty(
  op: string,
  params: Iterable<Tensor>,
  lambda: number,
  term: (x: Tensor) => Tensor,
  factor: number,
): Tensor {
  if (!(lambda >= 0)) throw new Error(`${op}: lambda must be 0 or more, got ${lambda}`);
  const list = [...params];
  if (list.length === 0) throw new Error(`${op}: parameters must be given, got an empty list`);
  return scope(() =>
    mul(
      list.map((p) => sum(term(p))).reduce((total, part) => add(total, part)),
      factor * lambda,
    ),
  );
}
