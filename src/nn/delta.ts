import { clone, copyInto } from "../copy.js";
import { noGrad } from "../graph.js";
import { addProduct, linear } from "../ops/linear.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** A trainable change of a frozen layer's weight, such as LoRA's: computes the changed layer without forming its weight. */
export abstract class WeightDelta extends Module {
  /** @internal An adapter is no part of the layer's state dict. */
  override get isAdapter(): boolean {
    return true;
  }

  /** The adapter that the delta is a part of. */
  abstract readonly adapterName: string;

  /** Whether the layer's weight is W + ΔW already. */
  get isMerged(): boolean {
    return false;
  }

  /** x (W + ΔW)ᵀ + b for the layer's W [out, in] and b. */
  abstract override forward(x: Tensor, layer: AdaptableLayer): Tensor;
}

/** What a layer's weight was: `restore` writes the very bits back, `dispose` ends the copy. */
export interface SavedWeight {
  restore(): void;
  dispose(): void;
}

/**
 * A layer y = x Wᵀ + b whose weight can take a delta. W is [out, in] here, however the layer stores it: transposed
 * (Conv1D, Embedding) or packed (quantized).
 */
export abstract class AdaptableLayer extends Module {
  abstract readonly inFeatures: number;
  abstract readonly outFeatures: number;
  abstract readonly bias: Parameter | null;
  /** What is added to the weight at present. */
  delta: WeightDelta | null = null;

  override forward(x: Tensor): Tensor {
    return this.delta ? this.delta.forward(x, this) : this.product(x, this.bias ?? undefined);
  }

  /** x Wᵀ + bias: the layer without its delta. */
  abstract product(x: Tensor, bias: Tensor | undefined): Tensor;

  /**
   * x Wᵀ + bias + scale·(z Aᵀ) Bᵀ, with A [r, in] and B [out, r], where z is x itself or its dropout. Layers with a
   * float32 weight do it in one product; here the low-rank part is added in place.
   */
  adaptedProduct(x: Tensor, z: Tensor, bias: Tensor | undefined, a: Tensor, b: Tensor, scale: number): Tensor {
    return scope(() => addProduct(this.product(x, bias), this.project(z, a), b, scale));
  }

  /** z Aᵀ */
  protected project(z: Tensor, a: Tensor): Tensor {
    return linear(z, a);
  }

  /** W [out, in] in float32 and without history: a view of what is stored, or values computed from it. */
  abstract weightMatrix(): Tensor;

  /** Lets `change` write to W [out, in]; without recording. */
  changeWeight(change: (weight: Tensor) => void): void {
    noGrad(() => scope(() => void change(this.weightMatrix())));
  }

  /** A copy of the weight as it is stored, which belongs to no scope. */
  saveWeight(): SavedWeight {
    const values = keep(scope(() => clone(this.weightMatrix())));
    return {
      restore: () => scope(() => copyInto(this.weightMatrix(), values)),
      dispose: () => values.dispose(),
    };
  }

  /** Whether the weight holds any float32 value; a quantized one rounds what `changeWeight` writes. */
  get isExact(): boolean {
    return true;
  }

  /** Whether x are indices of W's columns, as an embedding's, which stand for rows of the identity. */
  get isLookup(): boolean {
    return false;
  }

  /** Whether the weight is stored as [in, out]. */
  get fanInFanOut(): boolean {
    return false;
  }
}
