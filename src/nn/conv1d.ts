import { zeros } from "../ops/create.js";
import { linear } from "../ops/linear.js";
import { transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { normal_ } from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/**
 * GPT-2's linear layer, called a convolution of width 1: y = x W + b, with W [in, out] from N(0, 0.02²) and b [out]
 * zero. As `transformers.pytorch_utils.Conv1D`, so that published weights load unchanged.
 */
export class Conv1D extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
  ) {
    super();
    this.weight = scope(() => new Parameter(normal_(empty([inFeatures, outFeatures]), 0, 0.02)));
    this.bias = scope(() => new Parameter(zeros([outFeatures])));
  }

  override forward(x: Tensor): Tensor {
    return scope(() => linear(x, transpose(this.weight, 0, 1), this.bias));
  }

  protected override describe(): string {
    return `in=${this.inFeatures}, out=${this.outFeatures}`;
  }
}
