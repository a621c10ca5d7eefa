import { kernels } from "../wasm/kernels.js";
import { nullPtr } from "../wasm/memory.js";
import { type CommonOptions, checkRange, Optimizer, type Params, type Update } from "./optimizer.js";

export interface RMSpropOptions extends CommonOptions {
  /** The decay rate of the averages. */
  alpha: number;
  eps: number;
  momentum: number;
  /** Divide by the standard deviation of the gradient instead of its root mean square. */
  centered: boolean;
}

/**
 * v ← αv + (1 − α)g², d = g / (√v + ε), θ −= lr · d, or with momentum b ← momentum·b + d and θ −= lr · b;
 * centered takes v − m² under the root, m the average of g. Weight decay adds weightDecay·θ to g.
 * Tieleman & Hinton 2012, Graves 2013 (centered)
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: Params<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super("RMSprop", params, options, {
      lr: 1e-2,
      alpha: 0.99,
      eps: 1e-8,
      momentum: 0,
      centered: false,
      weightDecay: 0,
      l1: 0,
      maximize: false,
    });
  }

  protected override stateNames({ momentum, centered }: RMSpropOptions): readonly string[] {
    return ["square_avg", ...(momentum === 0 ? [] : ["momentum_buffer"]), ...(centered ? ["grad_avg"] : [])];
  }

  protected override update(
    { lr, alpha, eps, momentum, centered }: RMSpropOptions,
    { p, g, state: [square, ...rest], n }: Update,
  ): void {
    const buffer = momentum === 0 ? nullPtr : rest[0];
    const average = centered ? rest[rest.length - 1] : nullPtr;
    kernels.rmsprop(p, square, buffer, average, g, n, lr, alpha, 1 - alpha, eps, momentum);
  }

  protected override checkOptions({ alpha, eps, momentum }: RMSpropOptions): void {
    checkRange(this.name, "alpha", alpha, alpha >= 0 && alpha < 1, "from 0 to below 1");
    checkRange(this.name, "eps", eps, eps >= 0, "0 or more");
    checkRange(this.name, "momentum", momentum, momentum >= 0, "0 or more");
  }
}
