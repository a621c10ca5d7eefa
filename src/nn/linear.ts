import { checkOptions } from "../errors.js";
import * as ops from "../ops/linear.js";
import { scope } from "../scope.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { AdaptableLayer } from "./delta.js";
import { kaimingUniform_, uniform_ } from "./init.js";
import { Parameter } from "./parameter.js";

/** y = x Wᵀ + b, with W [out, in] and b [out] initialized from U(−1/√in, 1/√in). */
export class Linear extends AdaptableLayer {
  /** Assigning another layer's parameter ties the two. */
  weight: Parameter;
  readonly bias: Parameter | null;

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

  override product(x: Tensor, bias: Tensor | undefined): Tensor {
    return ops.linear(x, this.weight, bias);
  }

  override adaptedProduct(x: Tensor, z: Tensor, bias: Tensor | undefined, a: Tensor, b: Tensor, scale: number): Tensor {
    return ops.loraLinear(x, z, this.weight, bias, a, b, scale);
  }

  override weightMatrix(): Tensor {
    return alias(this.weight);
  }

  protected override describe(): string {
    return `in=${this.inFeatures}, out=${this.outFeatures}, bias=${this.bias !== null}`;
  }
}
