import { clone, copyInto } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { noGrad } from "../graph.js";
import { AdaptableLayer, type SavedWeight } from "../nn/delta.js";
import { Buffer, Parameter } from "../nn/parameter.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { quantizedLinear } from "./product.js";
import { bytesOf, dequantize, type QuantizedTensor, type QuantizeOptions, quantize } from "./quantize.js";
import type { Scheme, SchemeName } from "./scheme.js";

/**
 * y = x Wᵀ + b with a frozen W [out, in] in codes, which are decoded while the product packs them: there is never a
 * float32 copy of W. Gradients flow to x, b and an adapter. With LoRA over it: QLoRA, Dettmers et al. 2023
 *
 * State dict: `weight_codes`, `weight_scales`, for int4 `weight_zeros`, for nf4 `weight_nested`, and `bias`.
 */
export class QuantizedLinear extends AdaptableLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weight_codes: Buffer;
  readonly weight_scales: Buffer;
  readonly weight_zeros: Buffer | null;
  readonly weight_nested: Buffer | null;
  readonly bias: Parameter | null;
  readonly scheme: Scheme;
  readonly blockSize: number;
  private readonly isTransposed: boolean;

  /** Takes a share of `weight`'s tensors and of `bias`. */
  constructor(weight: QuantizedTensor, bias: Tensor | null = null, options: { fanInFanOut?: boolean } = {}) {
    super();
    if (weight.shape.length !== 2) {
      throw new ShapeError(`QuantizedLinear: the weight must have shape [out, in], got ${showShape(weight.shape)}`);
    }
    const { scheme, blockSize, codes, scales, extra } = weight;
    [this.outFeatures, this.inFeatures] = weight.shape;
    this.scheme = scheme;
    this.blockSize = blockSize;
    this.isTransposed = options.fanInFanOut ?? false;
    this.weight_codes = new Buffer(codes);
    this.weight_scales = new Buffer(scales);
    this.weight_zeros = extra && scheme.name === "int4" ? new Buffer(extra) : null;
    this.weight_nested = extra && scheme.name === "nf4" ? new Buffer(extra) : null;
    this.bias = bias && new Parameter(bias, bias.requiresGrad);
  }

  /** The layer in codes; its bias is a copy. The given layer stays as it is. */
  static from(layer: AdaptableLayer, scheme: Scheme | SchemeName, options: QuantizeOptions = {}): QuantizedLinear {
    if (layer.isLookup) throw new Error("QuantizedLinear: the layer must be a linear one, got an embedding");
    if (layer.delta)
      throw new Error("QuantizedLinear: the layer must have no adapter, got one that has; merge and detach it");
    return noGrad(() =>
      scope(() => {
        const weight = quantize(layer.weightMatrix(), scheme, options);
        const bias = layer.bias ? clone(layer.bias).requiresGrad_(layer.bias.requiresGrad) : null;
        return new QuantizedLinear(weight, bias, { fanInFanOut: layer.fanInFanOut }).train(layer.training);
      }),
    );
  }

  /** The weight in codes: the layer's own tensors. */
  get weight(): QuantizedTensor {
    return {
      scheme: this.scheme,
      shape: [this.outFeatures, this.inFeatures],
      blockSize: this.blockSize,
      codes: this.weight_codes,
      scales: this.weight_scales,
      extra: this.weight_zeros ?? this.weight_nested,
    };
  }

  override product(x: Tensor, bias: Tensor | undefined): Tensor {
    return quantizedLinear(x, this.weight, bias);
  }

  override weightMatrix(): Tensor {
    return dequantize(this.weight);
  }

  /** Dequantizes W, lets `change` write to it, and quantizes it again. */
  override changeWeight(change: (weight: Tensor) => void): void {
    noGrad(() =>
      scope(() => {
        const values = this.weightMatrix();
        change(values);
        copyWeight(this.weight, quantize(values, this.scheme, { blockSize: this.blockSize }));
      }),
    );
  }

  override saveWeight(): SavedWeight {
    const { codes, scales, extra, ...rest } = this.weight;
    const copy = (tensor: Tensor) => keep(clone(tensor));
    const saved = { ...rest, codes: copy(codes), scales: copy(scales), extra: extra && copy(extra) };
    return {
      restore: () => copyWeight(this.weight, saved),
      dispose: () => {
        for (const tensor of [saved.codes, saved.scales, saved.extra]) tensor?.dispose();
      },
    };
  }

  override get isExact(): boolean {
    return false;
  }

  override get fanInFanOut(): boolean {
    return this.isTransposed;
  }

  override get weightsInCodes(): number {
    return this.outFeatures * this.inFeatures;
  }

  /** Bytes of the weight: codes and scales. */
  get weightBytes(): number {
    return bytesOf(this.weight);
  }

  protected override describe(): string {
    const bias = this.bias !== null;
    return `in=${this.inFeatures}, out=${this.outFeatures}, bias=${bias}, ${this.scheme.name}, block=${this.blockSize}`;
  }
}

function copyWeight(to: QuantizedTensor, from: QuantizedTensor): void {
  copyInto(to.codes, from.codes);
  copyInto(to.scales, from.scales);
  if (to.extra && from.extra) copyInto(to.extra, from.extra);
}
