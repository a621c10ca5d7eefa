import { kernels } from "../wasm/kernels.js";
import { nullPtr } from "../wasm/memory.js";
import { type CommonOptions, checkRange, Optimizer, type Params, type Update } from "./optimizer.js";

export interface AdamOptions extends CommonOptions {
  /** Decay rates of the averages of the gradient and of its square. */
  betas: readonly [number, number];
  eps: number;
  /** Divide by the largest average of squares so far. */
  amsgrad: boolean;
}

export const adamDefaults: AdamOptions = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  l1: 0,
  maximize: false,
};

/** What Adam and AdamW share: everything but where weight decay goes. */
export abstract class AdamBase extends Optimizer<AdamOptions> {
  protected override stateNames({ amsgrad }: AdamOptions): readonly string[] {
    return ["exp_avg", "exp_avg_sq", ...(amsgrad ? ["max_exp_avg_sq"] : [])];
  }

  protected override update(group: AdamOptions, { p, g, state: [m, v, vMax = nullPtr], n, step }: Update): void {
    const { lr, betas, eps } = group;
    const [beta1, beta2] = betas;
    const stepSize = lr / (1 - kernels.pow64(beta1, step));
    const scale = 1 / Math.sqrt(1 - kernels.pow64(beta2, step));
    kernels.adam(p, m, v, vMax, g, n, stepSize, this.shrinkage(group), 1 - beta1, beta2, 1 - beta2, scale, eps);
  }

  /** What θ is multiplied by before the step. */
  protected abstract shrinkage(group: AdamOptions): number;

  protected override checkOptions({ betas, eps }: AdamOptions): void {
    checkBetas(this.name, betas);
    checkRange(this.name, "eps", eps, eps >= 0, "0 or more");
  }
}

export function checkBetas(name: string, betas: readonly number[]): void {
  const inRange = betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1);
  checkRange(name, "betas", betas.join(" and "), inRange, "two numbers from 0 to below 1");
}

/**
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ −= lr · m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
 * Weight decay adds weightDecay·θ to g. Kingma & Ba 2014
 */
export class Adam extends AdamBase {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super("Adam", params, options, adamDefaults);
  }

  protected override shrinkage(): number {
    return 1;
  }
}
