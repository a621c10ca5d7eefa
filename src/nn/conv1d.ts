import { noGrad } from "../graph.js";
import { zeros } from "../ops/create.js";
import { linear, loraLinear } from "../ops/linear.js";
import { transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { AdaptableLayer } from "./delta.js";
import { normal_ } from "./init.js";
import { Parameter } from "./parameter.js";

/**
 * GPT-2's linear layer, called a convolution of width 1: y = x W + b, with W [in, out] from N(0, 0.02²) and b [out]
 * zero. As `transformers.pytorch_utils.Conv1D`, so that published weights load unchanged.
 */
export class Conv1D extends AdaptableLayer {
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

  override product(x: Tensor, bias: Tensor | undefined): Tensor {
    return scope(() => linear(x, transpose(this.weight, 0, 1), bias));
  }

  override adaptedProduct(x: Tensor, z: Tensor, bias: Tensor | undefined, a: Tensor, b: Tensor, scale: number): Tensor {
    return scope(() => loraLinear(x, z, transpose(this.weight, 0, 1), bias, a, b, scale));
  }

  override weightMatrix(): Tensor {
    return noGrad(() => transpose(this.weight, 0, 1));
  }

  override get fanInFanOut(): boolean {
    return true;
  }

  protected override describe(): string {
    return `in=${this.inFeatures}, out=${this.outFeatures}`;
  }
}
