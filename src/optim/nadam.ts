import { kernels } from "../wasm/kernels.js";
import { checkBetas } from "./adam.js";
import { type CommonOptions, checkRange, Optimizer, type Params, type Update } from "./optimizer.js";

export interface NAdamOptions extends CommonOptions {
  /** Decay rates of the averages of the gradient and of its square. */
  betas: readonly [number, number];
  eps: number;
  momentumDecay: number;
}

/**
 * Adam with Nesterov's momentum: with μₜ = β₁(1 − 0.96^(t·momentumDecay) / 2), Πₜ = μ₁⋯μₜ and m, v̂ as Adam's,
 * θ −= lr · ((1 − μₜ)/(1 − Πₜ) · g + μₜ₊₁/(1 − Πₜ₊₁) · m) / (√v̂ + ε). Weight decay adds weightDecay·θ to g. Dozat 2016
 */
export class NAdam extends Optimizer<NAdamOptions> {
  /** Π₀, Π₁, … by the options they depend on, until they are 0 in float64. */
  private readonly products = new Map<string, number[]>();

  constructor(params: Params<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    super("NAdam", params, options, {
      lr: 2e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      momentumDecay: 4e-3,
      l1: 0,
      maximize: false,
    });
  }

  protected override stateNames(): readonly string[] {
    return ["exp_avg", "exp_avg_sq"];
  }

  protected override update(group: NAdamOptions, { p, g, state: [m, v], n, step }: Update): void {
    const { lr, betas, eps } = group;
    const [beta1, beta2] = betas;
    const now = (lr * (1 - momentumAt(step, group))) / (1 - this.productTo(step, group));
    const next = (lr * momentumAt(step + 1, group)) / (1 - this.productTo(step + 1, group));
    const scale = 1 / Math.sqrt(1 - kernels.pow64(beta2, step));
    kernels.nadam(p, m, v, g, n, now, next, 1 - beta1, beta2, 1 - beta2, scale, eps);
  }

  private productTo(step: number, group: NAdamOptions): number {
    const key = `${group.betas[0]} ${group.momentumDecay}`;
    const products = this.products.get(key) ?? [1];
    this.products.set(key, products);
    for (let t = products.length; t <= step && products[t - 1] > 0; t++) {
      products.push(products[t - 1] * momentumAt(t, group));
    }
    return products[Math.min(step, products.length - 1)];
  }

  protected override checkOptions({ betas, eps, momentumDecay }: NAdamOptions): void {
    checkBetas(this.name, betas);
    checkRange(this.name, "eps", eps, eps >= 0, "0 or more");
    checkRange(this.name, "momentumDecay", momentumDecay, momentumDecay >= 0, "0 or more");
  }
}

function momentumAt(step: number, { betas, momentumDecay }: NAdamOptions): number {
  return betas[0] * (1 - 0.5 * kernels.pow64(0.96, step * momentumDecay));
}
