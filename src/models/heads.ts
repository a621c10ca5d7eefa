import { permute, reshape } from "../ops/view.js";
import type { Tensor } from "../tensor.js";

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
