/** Losses that ask for a margin, from distances between vectors or given ones. */
import { ShapeError, showShape } from "../errors.js";
import { scope } from "../scope.js";
import { sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { add, div, minimum, mul, sub, where } from "./binary.js";
import { eq } from "./compare.js";
import { checkLoss, type LossOptions, reduce } from "./loss.js";
import { sum } from "./reduce.js";
import { norm } from "./statistics.js";
import { relu, sqrt, square } from "./unary.js";

export interface MarginLossOptions extends LossOptions {
  margin?: number;
}

export interface CosineEmbeddingLossOptions extends LossOptions {
  /** The cosine up to which different vectors cost nothing; from −1 to 1. */
  margin?: number;
}

/**
 * 1 − cos(input1, input2) where the target is 1, max(0, cos(input1, input2) − margin) where it is −1.
 *
 * @param input1 [N, D] or [D], as input2
 * @param target [N] or [], of 1 and −1; it gets no gradient
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html
 */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  options: CosineEmbeddingLossOptions = {},
): Tensor {
  checkLoss("cosineEmbeddingLoss", options, ["margin"]);
  const { margin = 0, reduction } = options;
  if (!(margin >= -1 && margin <= 1))
    throw new Error(`cosineEmbeddingLoss: margin must be from -1 to 1, got ${margin}`);
  checkVectors("cosineEmbeddingLoss", input1, input2, target);
  return scope(() => {
    const along = { dim: -1 };
    const squares = mul(add(sum(square(input1), along), EPS), add(sum(square(input2), along), EPS));
    const cosine = div(sum(mul(input1, input2), along), sqrt(squares));
    const same = where(eq(target, 1), sub(mul(cosine, -1), -1), 0);
    const different = where(eq(target, -1), relu(sub(cosine, margin)), 0);
    return reduce(add(same, different), reduction);
  });
}

/** Beside the squared lengths of vectors, as in PyTorch. */
const EPS = 1e-12;

export interface TripletMarginLossOptions extends MarginLossOptions {
  /** Distances are ‖x − y + eps‖ₚ; Infinity is the greatest difference. */
  p?: number;
  eps?: number;
  /** Take the distance of the negative from the positive where it is less than that from the anchor. Balntas et al. 2016 */
  swap?: boolean;
}

/**
 * max(0, ‖anchor − positive‖ − ‖anchor − negative‖ + margin), distances along the last dimension.
 *
 * @param anchor [N, D] or [D], as positive and negative
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginLossOptions = {},
): Tensor {
  checkLoss("tripletMarginLoss", options, ["margin", "p", "eps", "swap"]);
  const { margin = 1, p = 2, eps = 1e-6, swap = false, reduction } = options;
  if (!(p > 0)) throw new Error(`tripletMarginLoss: p must be above 0, got ${p}`);
  if (!(margin > 0)) throw new Error(`tripletMarginLoss: margin must be above 0, got ${margin}`);
  return scope(() => {
    const distance = (x: Tensor, y: Tensor) => norm(add(sub(x, y), eps), { p, dim: -1 });
    const near = distance(anchor, positive);
    const far = distance(anchor, negative);
    const farthest = swap ? minimum(far, distance(positive, negative)) : far;
    return reduce(relu(add(sub(near, farthest), margin)), reduction);
  });
}

/**
 * x where the target is 1, max(0, margin − x) where it is −1: x is a distance, small for what belongs together.
 *
 * @param target of the input's shape, of 1 and −1; it gets no gradient
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html
 */
export function hingeEmbeddingLoss(input: Tensor, target: Tensor, options: MarginLossOptions = {}): Tensor {
  checkLoss("hingeEmbeddingLoss", options, ["margin"]);
  const { margin = 1, reduction } = options;
  if (!sameShape(input.shape, target.shape)) {
    throw new ShapeError(
      `hingeEmbeddingLoss: the target must have the input's shape ${showShape(input.shape)}, got ${showShape(target.shape)}`,
    );
  }
  return scope(() => {
    const together = where(eq(target, 1), input, 0);
    const apart = where(eq(target, -1), relu(sub(mul(input, -1), -margin)), 0);
    return reduce(add(together, apart), reduction);
  });
}

function checkVectors(op: string, x1: Tensor, x2: Tensor, target: Tensor): void {
  const fits = x1.ndim >= 1 && sameShape(x1.shape, x2.shape) && sameShape(target.shape, x1.shape.slice(0, -1));
  if (!fits || x1.ndim > 2) {
    throw new ShapeError(
      `${op}: inputs must be [N, D] (or [D]) and the target [N] (or []), got ${showShape(x1.shape)}, ${showShape(x2.shape)} and ${showShape(target.shape)}`,
    );
  }
}
