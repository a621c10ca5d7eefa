import { checkOptions } from "../errors.js";
import * as ops from "../ops/linear.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { kaimingUniform_, uniform_ } from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/** A trainable change of a frozen layer's weight, such as LoRA's: computes the changed layer without forming its weight. */
export abstract class WeightDelta extends Module {
  /** @internal An adapter is no part of the layer's state dict. */
  override get isAdapter(): boolean {
    return true;
  }

  /** x (W + ΔW)ᵀ + b for the layer's W [out, in] and b. */
  abstract override forward(x: Tensor, layer: Linear): Tensor;
}

/** y = x Wᵀ + b, with W [out, in] and b [out] initialized from U(−1/√in, 1/√in). */
export class Linear extends Module {
  /** Assigning another layer's parameter ties the two. */
  weight: Parameter;
  readonly bias: Parameter | null;
  /** What is added to the weight at present. */
  delta: WeightDelta | null = null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super();
    checkOptions("Linear", options, ["bias"]);
    const { bias = true } = options;
    this.weight = scope(() => new Parameter(kaimingUniform_(empty([outFeatures, inFeatures]), { a: Math.sqrt(5) })));
    const bound = 1 / Math.sqrt(inFeatures);
    this.bias = bias ? scope(() => new Parameter(uniform_(empty([outFeatures]), -bound, bound))) : null;
  }

  override forward(x: Tensor): Tensor {
    return this.delta ? this.delta.forward(x, this) : ops.linear(x, this.weight, this.bias ?? undefined);
  }

  protected override describe(): string {
    return `in=${this.inFeatures}, out=${this.outFeatures}, bias=${this.bias !== null}`;
  }
}
