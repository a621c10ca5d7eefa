import { checkOptions } from "../errors.js";
import * as ops from "../ops/conv.js";
import { scope } from "../scope.js";
import { type Shape, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kaimingUniform_, uniform_ } from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface ConvLayerOptions extends ops.ConvOptions {
  bias?: boolean;
}

export interface ConvTransposeLayerOptions extends ops.ConvTransposeOptions {
  bias?: boolean;
}

const convOptions = ["stride", "padding", "dilation", "groups", "bias"];
const convTransposeOptions = [...convOptions, "outputPadding"];

/** Filters and their biases, both from U(−1/√fanIn, 1/√fanIn). */
abstract class Convolution<Options extends ConvLayerOptions | ConvTransposeLayerOptions> extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  protected readonly options: Omit<Options, "bias">;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    shape: Shape,
    { bias = true, ...options }: Options,
  ) {
    super();
    const { groups = 1 } = options;
    if (!(groups > 0 && inChannels % groups === 0 && outChannels % groups === 0)) {
      const name = this.constructor.name;
      throw new Error(`${name}: groups must divide ${inChannels} and ${outChannels} channels, got ${groups}`);
    }
    this.weight = scope(() => new Parameter(kaimingUniform_(empty(shape), { a: Math.sqrt(5) })));
    const bound = 1 / Math.sqrt(sizeOf(shape.slice(1)));
    this.bias = bias ? scope(() => new Parameter(uniform_(empty([outChannels]), -bound, bound))) : null;
    this.options = options;
  }

  protected override describe(): string {
    const options = Object.entries(this.options).map(([name, value]) => `, ${name}=${JSON.stringify(value)}`);
    const kernel = this.weight.shape.slice(2).join("×");
    return `in=${this.inChannels}, out=${this.outChannels}, kernel=${kernel}${options.join("")}, bias=${this.bias !== null}`;
  }
}

/** The convolution of [N, inChannels, L] with filters [outChannels, inChannels / groups, kernel] */
export class Conv1d extends Convolution<ConvLayerOptions> {
  constructor(inChannels: number, outChannels: number, kernel: ops.PerDim, options: ConvLayerOptions = {}) {
    checkOptions("Conv1d", options, convOptions);
    const extents = ops.perDim("Conv1d", "the kernel", kernel, 1, 1);
    super(inChannels, outChannels, [outChannels, inChannels / (options.groups ?? 1), ...extents], options);
  }

  override forward(x: Tensor): Tensor {
    return ops.conv1d(x, this.weight, this.bias ?? undefined, this.options);
  }
}

/** The convolution of [N, inChannels, H, W] with filters [outChannels, inChannels / groups, kH, kW] */
export class Conv2d extends Convolution<ConvLayerOptions> {
  constructor(inChannels: number, outChannels: number, kernel: ops.PerDim, options: ConvLayerOptions = {}) {
    checkOptions("Conv2d", options, convOptions);
    const extents = ops.perDim("Conv2d", "the kernel", kernel, 2, 1);
    super(inChannels, outChannels, [outChannels, inChannels / (options.groups ?? 1), ...extents], options);
  }

  override forward(x: Tensor): Tensor {
    return ops.conv2d(x, this.weight, this.bias ?? undefined, this.options);
  }
}

/** The transposed convolution of [N, inChannels, H, W] with filters [inChannels, outChannels / groups, kH, kW] */
export class ConvTranspose2d extends Convolution<ConvTransposeLayerOptions> {
  constructor(inChannels: number, outChannels: number, kernel: ops.PerDim, options: ConvTransposeLayerOptions = {}) {
    checkOptions("ConvTranspose2d", options, convTransposeOptions);
    const extents = ops.perDim("ConvTranspose2d", "the kernel", kernel, 2, 1);
    super(inChannels, outChannels, [inChannels, outChannels / (options.groups ?? 1), ...extents], options);
  }

  override forward(x: Tensor): Tensor {
    return ops.convTranspose2d(x, this.weight, this.bias ?? undefined, this.options);
  }
}
