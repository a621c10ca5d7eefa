import { kernels } from "../wasm/kernels.js";
import { type CommonOptions, checkRange, Optimizer, type Params, type Update } from "./optimizer.js";

export interface AdagradOptions extends CommonOptions {
  /** The learning rate of step t (from 1) is lr / (1 + (t − 1)·lrDecay). */
  lrDecay: number;
  eps: number;
}

/**
 * s ← s + g², θ −= lr · g / (√s + ε): each element's rate falls with the squares its gradient has had.
 * Weight decay adds weightDecay·θ to g. Duchi et al. 2011
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: Params<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super("Adagrad", params, options, { lr: 1e-2, lrDecay: 0, eps: 1e-10, weightDecay: 0, l1: 0, maximize: false });
  }

  protected override stateNames(): readonly string[] {
    return ["sum"];
  }

  protected override update({ lr, lrDecay, eps }: AdagradOptions, { p, g, state: [sum], n, step }: Update): void {
    kernels.adagrad(p, sum, g, n, lr / (1 + (step - 1) * lrDecay), eps);
  }

  protected override checkOptions({ lrDecay, eps }: AdagradOptions): void {
    checkRange(this.name, "lrDecay", lrDecay, lrDecay >= 0, "0 or more");
    checkRange(this.name, "eps", eps, eps >= 0, "0 or more");
  }
}
