import { scaledDotProductAttention } from "../ops/attention.js";
import { permute, reshape } from "../ops/view.js";
import type { Tensor } from "../tensor.js";
import type { KeyValueCache } from "./cache.js";

/** What the layers of a causal model share in one forward. */
export interface CausalContext {
  cache?: KeyValueCache;
  /** [B, 1, 1, tokens so far], −∞ where a key takes no part. */
  mask?: Tensor;
}

/** [B, H, T, D] from [B, T, H·D] */
export function splitHeads(x: Tensor, headDim: number): Tensor {
  const [B, T] = x.shape;
  return permute(reshape(x, [B, T, -1, headDim]), [0, 2, 1, 3]);
}

/** [B, T, H·D] from [B, H, T, D] */
export function mergeHeads(x: Tensor): Tensor {
  const [B, , T] = x.shape;
  return reshape(permute(x, [0, 2, 1, 3]), [B, T, -1]);
}

/** Attention of new tokens to themselves and to those before, whose keys and values layer `layer` left in the cache. */
export function causalAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  layer: number,
  { cache, mask }: CausalContext,
  options: { scale?: number; dropoutP?: number } = {},
): Tensor {
  const { keys, values } = cache ? cache.append(layer, k, v) : { keys: k, values: v };
  const causalOffset = keys.shape[2] - q.shape[2];
  return scaledDotProductAttention(q, keys, values, { attnMask: mask, isCausal: true, causalOffset, ...options });
}
