/** Pooling, and what stands between it and a linear layer. */
import { checkOptions } from "../errors.js";
import type { PerDim } from "../ops/conv.js";
import { type AvgPoolOptions, adaptiveAvgPool2d, avgPool2d, type MaxPoolOptions, maxPool2d } from "../ops/pooling.js";
import { flatten } from "../ops/view.js";
import type { Dim } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** The maximum of each window */
export class MaxPool2d extends Module {
  constructor(
    readonly kernel: PerDim,
    readonly options: MaxPoolOptions = {},
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernel, this.options);
  }

  protected override describe(): string {
    return `kernel=${this.kernel}`;
  }
}

/** The average of each window */
export class AvgPool2d extends Module {
  constructor(
    readonly kernel: PerDim,
    readonly options: AvgPoolOptions = {},
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernel, this.options);
  }

  protected override describe(): string {
    return `kernel=${this.kernel}`;
  }
}

/** Averages of as many windows as `size` asks for */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly size: PerDim) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.size);
  }

  protected override describe(): string {
    return `size=${this.size}`;
  }
}

/** Merges dimensions, all but the first by default. */
export class Flatten extends Module {
  readonly startDim: Dim;
  readonly endDim: Dim;

  constructor(options: { startDim?: Dim; endDim?: Dim } = {}) {
    super();
    checkOptions("Flatten", options, ["startDim", "endDim"]);
    const { startDim = 1, endDim = -1 } = options;
    this.startDim = startDim;
    this.endDim = endDim;
  }

  override forward(x: Tensor): Tensor {
    return flatten(x, { startDim: this.startDim, endDim: this.endDim });
  }
}
