import { dropout, stochasticDepth } from "../ops/dropout.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** In training, zeroes each element with probability p and scales the others by 1/(1 − p). Srivastava et al. 2014 */
export class Dropout extends Module {
  constructor(readonly p = 0.5) {
    super();
    if (!(p >= 0 && p <= 1)) throw new Error(`Dropout: p must be from 0 to 1, got ${p}`);
  }

  override forward(x: Tensor): Tensor {
    return dropout(x, { p: this.p, training: this.training });
  }

  protected override describe(): string {
    return `p=${this.p}`;
  }
}

/** In training, zeroes each row (or the batch) with probability p and scales the others by 1/(1 − p). Huang et al. 2016 */
export class StochasticDepth extends Module {
  constructor(
    readonly p: number,
    readonly mode: "row" | "batch" = "row",
  ) {
    super();
    if (!(p >= 0 && p <= 1)) throw new Error(`StochasticDepth: p must be from 0 to 1, got ${p}`);
  }

  override forward(x: Tensor): Tensor {
    return stochasticDepth(x, { p: this.p, mode: this.mode, training: this.training });
  }

  protected override describe(): string {
    return `p=${this.p}, mode=${this.mode}`;
  }
}
