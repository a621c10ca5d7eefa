import { AdamBase, type AdamOptions, adamDefaults } from "./adam.js";
import type { Params } from "./optimizer.js";

/** Adam with weight decay apart from the gradient: θ ← (1 − lr·weightDecay)·θ before each step. Loshchilov & Hutter 2017 */
export class AdamW extends AdamBase {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super("AdamW", params, options, { ...adamDefaults, weightDecay: 1e-2 });
  }

  protected override gradientDecay(): number {
    return 0;
  }

  protected override shrinkage({ lr, weightDecay }: AdamOptions): number {
    return 1 - lr * weightDecay;
  }
}
