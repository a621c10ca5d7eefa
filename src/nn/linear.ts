import { checkOptions, ShapeError, showShape } from "../errors.js";
import * as ops from "../ops/linear.js";
import { scope } from "../scope.js";
import { sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { AdaptableLayer } from "./delta.js";
import { kaimingUniform_, uniform_ } from "./init.js";
import { Parameter } from "./parameter.js";

export interface LinearOptions {
  bias?: boolean;
  /** Another layer's parameter, to be tied to it: one tensor for both. */
  weight?: Parameter;
}

/** y = x Wᵀ + b, with W [out, in] and b [out] initialized from U(−1/√in, 1/√in). */
export class Linear extends AdaptableLayer {
  /** Assigning another layer's parameter ties the two. */
  weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions("Linear", options, ["bias", "weight"]);
    const { bias = true, weight } = options;
    if (weight && !sameShape(weight.shape, [outFeatures, inFeatures])) {
      throw new ShapeError(
        `Linear: the weight must have shape ${showShape([outFeatures, inFeatures])}, got ${showShape(weight.shape)}`,
      );
    }
    this.weight =
      weight ?? scope(() => new Parameter(kaimingUniform_(empty([outFeatures, inFeatures]), { a: Math.sqrt(5) })));
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
