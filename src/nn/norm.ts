import { checkOptions } from "../errors.js";
import { ones, zeros } from "../ops/create.js";
import { groupNorm, layerNorm, rmsNorm } from "../ops/norm.js";
import { scope } from "../scope.js";
import type { Shape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface LayerNormOptions {
  eps?: number;
  bias?: boolean;
  elementwiseAffine?: boolean;
}

/** y = (x − mean) / √(variance + eps) · weight + bias over the last dimensions. Ba et al. 2016 */
export class LayerNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(shape: number | Shape, options: LayerNormOptions = {}) {
    super();
    checkOptions("LayerNorm", options, ["eps", "bias", "elementwiseAffine"]);
    const { eps = 1e-5, bias = true, elementwiseAffine = true } = options;
    this.normalizedShape = typeof shape === "number" ? [shape] : shape;
    this.eps = eps;
    this.weight = elementwiseAffine ? scope(() => new Parameter(ones(this.normalizedShape))) : null;
    this.bias = elementwiseAffine && bias ? scope(() => new Parameter(zeros(this.normalizedShape))) : null;
  }

  override forward(x: Tensor): Tensor {
    return layerNorm(x, this.normalizedShape, {
      weight: this.weight ?? undefined,
      bias: this.bias ?? undefined,
      eps: this.eps,
    });
  }

  protected override describe(): string {
    return `[${this.normalizedShape.join(", ")}], eps=${this.eps}`;
  }
}

/** y = x / √(mean(x²) + eps) · weight over the last dimensions. Zhang & Sennrich 2019 */
export class RMSNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number;
  readonly weight: Parameter;

  constructor(shape: number | Shape, options: { eps?: number } = {}) {
    super();
    checkOptions("RMSNorm", options, ["eps"]);
    const { eps = 1.1920929e-7 } = options;
    this.normalizedShape = typeof shape === "number" ? [shape] : shape;
    this.eps = eps;
    this.weight = scope(() => new Parameter(ones(this.normalizedShape)));
  }

  override forward(x: Tensor): Tensor {
    return rmsNorm(x, this.normalizedShape, { weight: this.weight, eps: this.eps });
  }

  protected override describe(): string {
    return `[${this.normalizedShape.join(", ")}], eps=${this.eps}`;
  }
}

/** y = (x − mean) / √(variance + eps) · weight + bias over groups of neighbouring channels. Wu & He 2018 */
export class GroupNorm extends Module {
  readonly eps: number;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(
    readonly groups: number,
    readonly channels: number,
    options: { eps?: number; affine?: boolean } = {},
  ) {
    super();
    checkOptions("GroupNorm", options, ["eps", "affine"]);
    const { eps = 1e-5, affine = true } = options;
    if (!(Number.isInteger(groups) && groups > 0 && channels % groups === 0))
      throw new Error(`GroupNorm: groups must divide the ${channels} channels, got ${groups}`);
    this.eps = eps;
    this.weight = affine ? scope(() => new Parameter(ones([channels]))) : null;
    this.bias = affine ? scope(() => new Parameter(zeros([channels]))) : null;
  }

  override forward(x: Tensor): Tensor {
    return groupNorm(x, this.groups, {
      weight: this.weight ?? undefined,
      bias: this.bias ?? undefined,
      eps: this.eps,
    });
  }

  protected override describe(): string {
    return `${this.groups}, ${this.channels}, eps=${this.eps}`;
  }
}
