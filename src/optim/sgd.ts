import { kernels } from "../wasm/kernels.js";
import { type CommonOptions, checkRange, Optimizer, type Params, type Update } from "./optimizer.js";

export interface SGDOptions extends CommonOptions {
  momentum: number;
  dampening: number;
  nesterov: boolean;
  /** A running average instead of a sum: v ← momentum·v + (1 − momentum)·g from v = 0. */
  average: boolean;
}

/**
 * θ −= lr·g, or with momentum b ← momentum·b + (1 − dampening)·g (at first b = g) and θ −= lr·b;
 * Nesterov's takes g + momentum·b for b. Weight decay adds weightDecay·θ to g.
 * Source: https://pytorch.org/docs/stable/generated/torch.optim.SGD.html
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: Params<SGDOptions>, options: Partial<SGDOptions> & { lr: number }) {
    super("SGD", params, options, {
      lr: Number.NaN,
      momentum: 0,
      dampening: 0,
      nesterov: false,
      weightDecay: 0,
      average: false,
      l1: 0,
      maximize: false,
    });
  }

  protected override stateNames({ momentum }: SGDOptions): readonly string[] {
    return momentum === 0 ? [] : ["momentum_buffer"];
  }

  protected override update(group: SGDOptions, { p, g, state: [buffer], n, isFirst }: Update): void {
    const { lr, momentum, dampening, nesterov, average } = group;
    const weight = average ? 1 - momentum : isFirst ? 1 : 1 - dampening;
    if (buffer) kernels.sgd(p, buffer, g, n, lr, momentum, weight, Number(nesterov));
    else kernels.addScaled(p, g, n, -lr);
  }

  protected override checkOptions({ momentum, dampening, nesterov, average }: SGDOptions): void {
    checkRange(this.name, "momentum", momentum, momentum >= 0, "0 or more");
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new Error(`SGD: nesterov needs momentum above 0 and no dampening, got ${momentum} and ${dampening}`);
    }
    if (average && (dampening !== 0 || nesterov)) {
      throw new Error(`SGD: average must be without dampening and nesterov, got ${dampening} and ${nesterov}`);
    }
  }
}
