import { kernels } from "../wasm/kernels.js";
import { type CommonOptions, checkRange, Optimizer, type Params, type Update } from "./optimizer.js";

export interface AdadeltaOptions extends CommonOptions {
  /** The decay rate of the averages. */
  rho: number;
  eps: number;
}

/**
 * v ← ρv + (1 − ρ)g², d = g · √(u + ε) / √(v + ε), u ← ρu + (1 − ρ)d², θ −= lr · d: a step has the units of θ.
 * Weight decay adds weightDecay·θ to g. Zeiler 2012
 */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  constructor(params: Params<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    super("Adadelta", params, options, { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, l1: 0, maximize: false });
  }

  protected override stateNames(): readonly string[] {
    return ["square_avg", "acc_delta"];
  }

  protected override update({ lr, rho, eps }: AdadeltaOptions, { p, g, state: [square, delta], n }: Update): void {
    kernels.adadelta(p, square, delta, g, n, lr, rho, 1 - rho, eps);
  }

  protected override checkOptions({ rho, eps }: AdadeltaOptions): void {
    checkRange(this.name, "rho", rho, rho >= 0 && rho <= 1, "from 0 to 1");
    checkRange(this.name, "eps", eps, eps >= 0, "0 or more");
  }
}
