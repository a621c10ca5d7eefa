/** `nn.utils`: what is done to all gradients between backward and step. */
import { dense } from "../copy.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";

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

function sumOfSquares(g: Tensor): number {
  return scope(() => kernels.sumOfSquares(dense(g).ptr, g.size));
}

function scaleBy(g: Tensor, factor: number): void {
  kernels.scale(g.ptr, g.ptr, g.size, factor);
  g.storage.version++;
}
