import { kernels } from "../wasm/kernels.js";
import { checkBetas } from "./adam.js";
import { type CommonOptions, Optimizer, type Params, type Update } from "./optimizer.js";

export interface LionOptions extends CommonOptions {
  /** Weights of the momentum in the step, and in its own update. */
  betas: readonly [number, number];
}

/**
 * c = β₁m + (1 − β₁)g, θ ← θ(1 − lr·weightDecay) − lr·sgn c, m ← β₂m + (1 − β₂)g: every element moves by ±lr.
 * Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"
 */
export class Lion extends Optimizer<LionOptions> {
  constructor(params: Params<LionOptions>, options: Partial<LionOptions> = {}) {
    super("Lion", params, options, { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0, l1: 0, maximize: false });
  }

  protected override stateNames(): readonly string[] {
    return ["exp_avg"];
  }

  protected override gradientDecay(): number {
    return 0;
  }

  protected override update({ lr, betas, weightDecay }: LionOptions, { p, g, state: [m], n }: Update): void {
    const [beta1, beta2] = betas;
    kernels.lion(p, m, g, n, lr, 1 - lr * weightDecay, 1 - beta1, 1 - beta2);
  }

  protected override checkOptions({ betas }: LionOptions): void {
    checkBetas(this.name, betas);
  }
}
