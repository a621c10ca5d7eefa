import { clone } from "../copy.js";
import { noGrad } from "../graph.js";
import { type AdaptableLayer, type SavedWeight, WeightDelta } from "../nn/delta.js";
import { Buffer, Parameter } from "../nn/parameter.js";
import { add, div, mul, sub } from "../ops/binary.js";
import { dropout } from "../ops/dropout.js";
import { copy_, mul_ } from "../ops/inplace.js";
import { addmm_ } from "../ops/matmul.js";
import { norm } from "../ops/statistics.js";
import { unsqueeze } from "../ops/view.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { type InitOptions, initialFactors } from "./init.js";

export interface LoraDeltaOptions extends InitOptions {
  adapterName: string;
  /** What B·A is multiplied with. */
  scaling: number;
  dropout: number;
  dora: boolean;
}

/**
 * ΔW = s · B A, with A [rank, in] and B [out, rank] as PEFT stores them. With DoRA the weight is m ⊙ (W + ΔW) / ‖W + ΔW‖
 * by rows, where the norm counts as a constant. With PiSSA W is W₀ − s · B₀ A₀ while the delta is in the layer.
 */
export class LoraDelta extends WeightDelta {
  readonly lora_A: Parameter;
  readonly lora_B: Parameter;
  /** DoRA's m [out]. */
  readonly lora_magnitude_vector: Parameter | null;
  override readonly adapterName: string;
  readonly rank: number;
  readonly scaling: number;
  readonly dropout: number;
  /** PiSSA's A₀ and B₀. */
  private readonly initial: readonly [a: Buffer, b: Buffer] | null;
  /** The weight as it was before something that no sum takes back. */
  private saved: SavedWeight | null = null;
  /** DoRA's m / ‖W + ΔW‖ while it is in the weight. */
  private factor: Buffer | null = null;
  private merged = false;

  constructor(layer: AdaptableLayer, options: LoraDeltaOptions) {
    super();
    const { adapterName, rank, scaling, dropout, dora, method } = options;
    this.adapterName = adapterName;
    this.rank = rank;
    this.scaling = scaling;
    this.dropout = dropout;
    const [a, b] = scope(() => {
      const start = initialFactors(layer, options);
      return [new Parameter(start.a), new Parameter(start.b)];
    });
    this.lora_A = a;
    this.lora_B = b;
    const isPrincipal = method === "pissa" && !layer.isLookup;
    this.initial = isPrincipal ? scope(() => [new Buffer(clone(a)), new Buffer(clone(b))]) : null;
    // PiSSA's start leaves the weight as it is, and so does B A = 0
    this.lora_magnitude_vector = dora
      ? scope(() => new Parameter(isPrincipal ? norm(layer.weightMatrix(), { dim: 1 }) : this.rowNorms(layer)))
      : null;
  }

  override forward(x: Tensor, layer: AdaptableLayer): Tensor {
    const bias = layer.bias ?? undefined;
    if (this.merged) return layer.product(x, bias);
    const z = layer.isLookup ? x : dropout(x, { p: this.dropout, training: this.training });
    if (!this.lora_magnitude_vector) return this.changed(x, z, bias, layer);
    return scope(() => this.directed(x, z, layer));
  }

  /** x Wᵀ + bias + s·(z Aᵀ) Bᵀ */
  private changed(x: Tensor, z: Tensor, bias: Tensor | undefined, layer: AdaptableLayer): Tensor {
    return layer.adaptedProduct(x, z, bias, this.lora_A, this.lora_B, this.scaling);
  }

  /** c ⊙ x (W + ΔW)ᵀ + b with c = m / ‖W + ΔW‖; under dropout, as PEFT, x Wᵀ + b and the change of it from z. */
  private directed(x: Tensor, z: Tensor, layer: AdaptableLayer): Tensor {
    const y = mul(this.changed(z, z, undefined, layer), this.rowFactors(layer));
    if (z !== x) return add(layer.product(x, layer.bias ?? undefined), sub(y, layer.product(z, undefined)));
    return layer.bias ? add(y, layer.bias) : y;
  }

  /** m / ‖W + ΔW‖ [out] */
  private rowFactors(layer: AdaptableLayer): Tensor {
    return div(this.lora_magnitude_vector as Parameter, this.rowNorms(layer));
  }

  /** ‖W + ΔW‖ [out] */
  private rowNorms(layer: AdaptableLayer): Tensor {
    return noGrad(() =>
      scope(() => {
        const weight = clone(layer.weightMatrix());
        this.addTo(weight, 1);
        return norm(weight, { dim: 1 });
      }),
    );
  }

  /** Becomes the layer's delta. */
  enter(layer: AdaptableLayer): void {
    const { initial } = this;
    if (initial) {
      this.saved = layer.saveWeight();
      layer.changeWeight((weight) => addmm_(weight, initial[1], initial[0], { alpha: -this.scaling }));
    }
    layer.delta = this.train(layer.training);
  }

  /** Leaves the layer as it was, or changed for good where it is merged. */
  leave(layer: AdaptableLayer): void {
    if (layer.delta === this) layer.delta = null;
    if (!this.merged) this.saved?.restore();
    this.forget();
  }

  /** Why W cannot become W + ΔW; null if it can. */
  obstacle(layer: AdaptableLayer, requantize: boolean): string | null {
    if (!layer.isExact && !requantize)
      return "a quantized weight, which merging rounds again; pass { requantize: true }";
    if (!this.lora_magnitude_vector) return null;
    const factors = scope(() => noGrad(() => this.rowFactors(layer)).data());
    return factors.every((c) => Number.isFinite(c) && c !== 0)
      ? null
      : "a DoRA magnitude or a row of the weight that is 0";
  }

  /** W ← W + ΔW, or with DoRA c ⊙ (W + ΔW). Gives the differences to that in a weight that rounds, none in another. */
  merge(layer: AdaptableLayer): Float32Array {
    if (!layer.isExact) this.saved = layer.saveWeight();
    if (this.lora_magnitude_vector)
      this.factor = scope(() =>
        frozen(
          unsqueeze(
            noGrad(() => this.rowFactors(layer)),
            1,
          ),
        ),
      );
    let wanted = new Float32Array();
    layer.changeWeight((weight) => {
      this.addTo(weight, 1);
      if (this.factor) mul_(weight, this.factor);
      if (!layer.isExact) wanted = weight.data();
    });
    this.merged = true;
    if (layer.isExact) return wanted;
    const stored = scope(() => layer.weightMatrix().data<Float32Array<ArrayBuffer>>());
    return stored.map((value, i) => Math.abs(value - wanted[i]));
  }

  /** W ← W − ΔW, or with DoRA W / c − ΔW; the bits that were there in a weight that rounds. */
  unmerge(layer: AdaptableLayer): void {
    const { factor } = this;
    if (layer.isExact) {
      layer.changeWeight((weight) => {
        if (factor) copy_(weight, div(weight, factor));
        this.addTo(weight, -1);
      });
    } else {
      this.saved?.restore();
      this.saved?.dispose();
      this.saved = null;
    }
    factor?.dispose();
    this.factor = null;
    this.merged = false;
  }

  /** weight += sign·ΔW */
  private addTo(weight: Tensor, sign: 1 | -1): void {
    noGrad(() => addmm_(weight, this.lora_B, this.lora_A, { alpha: sign * this.scaling }));
  }

  private forget(): void {
    this.saved?.dispose();
    this.factor?.dispose();
    this.saved = this.factor = null;
  }

  override get isMerged(): boolean {
    return this.merged;
  }

  /** The rank of `plainFactors`. */
  get writtenRank(): number {
    return this.initial ? 2 * this.rank : this.rank;
  }

  /**
   * The same change of the original weight as plain factors: for PiSSA s·(B A − B₀ A₀) = s·[B, −B₀] [A; A₀], of twice the
   * rank.
   */
  plainFactors(): { a: readonly Tensor[]; b: readonly Tensor[] } {
    const { lora_A, lora_B, initial } = this;
    return initial ? { a: [lora_A, initial[0]], b: [lora_B, mul(initial[1], -1)] } : { a: [lora_A], b: [lora_B] };
  }

  override dispose(): void {
    super.dispose();
    this.forget();
  }
}

function frozen(values: Tensor): Buffer {
  return new Buffer(values, { persistent: false });
}
