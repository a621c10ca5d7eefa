/** `nn.utils`: what is done to all gradients between backward and step, and checkpointing. */
import { noGrad } from "../graph.js";
import { clamp_ } from "../ops/inplace.js";
import { sumOfSquares } from "../ops/reduce.js";
import type { Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";

export { checkpoint } from "./checkpoint.js";

/**
 * Scales all gradients by max / ‖g‖₂ where their common norm exceeds `max`; returns the norm before.
 * As `torch.nn.utils.clip_grad_norm_`, with its 1e-6 beside the norm.
 */
export function clipGradNorm_(parameters: Iterable<Tensor>, max: number): number {
  if (!(max > 0)) throw new Error(`clipGradNorm_: max must be above 0, got ${max}`);
  const gradients = [...parameters].flatMap((p) => p.grad ?? []);
  const norm = Math.sqrt(gradients.reduce((sum, g) => sum + sumOfSquares(g), 0));
  if (norm > max) for (const g of gradients) scaleBy(g, max / (norm + 1e-6));
  return norm;
}

/** Clamps every element of all gradients to [−max, max]. As `torch.nn.utils.clip_grad_value_` */
export function clipGradValue_(parameters: Iterable<Tensor>, max: number): void {
  if (!(max >= 0)) throw new Error(`clipGradValue_: max must be 0 or more, got ${max}`);
  noGrad(() => {
    for (const { grad } of parameters) if (grad) clamp_(grad, { min: -max, max });
  });
}

function scaleBy(g: Tensor, factor: number): void {
  kernels.scale(g.ptr, g.ptr, g.size, factor);
  g.storage.version++;
}
