import { type AdaptableLayer, WeightDelta } from "../nn/delta.js";
import { kaimingUniform_, zeros_ } from "../nn/init.js";
import { Parameter } from "../nn/parameter.js";
import { dropout } from "../ops/dropout.js";
import { addmm_ } from "../ops/matmul.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";

export interface LoraDeltaOptions {
  rank: number;
  /** What B·A is multiplied with. */
  scaling: number;
  dropout: number;
}

/** ΔW = scaling · B A, as PEFT stores it: A [rank, in] Kaiming-uniform, B [out, rank] zero. */
export class LoraDelta extends WeightDelta {
  readonly lora_A: Parameter;
  readonly lora_B: Parameter;
  readonly rank: number;
  readonly scaling: number;
  readonly dropout: number;
  /** Off: the layer computes as if it had no adapter. */
  enabled = true;
  private merged = false;

  constructor(layer: AdaptableLayer, { rank, scaling, dropout }: LoraDeltaOptions) {
    super();
    this.rank = rank;
    this.scaling = scaling;
    this.dropout = dropout;
    this.lora_A = scope(() => new Parameter(kaimingUniform_(empty([rank, layer.inFeatures]), { a: Math.sqrt(5) })));
    this.lora_B = scope(() => new Parameter(zeros_(empty([layer.outFeatures, rank]))));
  }

  override forward(x: Tensor, layer: AdaptableLayer): Tensor {
    const bias = layer.bias ?? undefined;
    if (this.merged || !this.enabled) return layer.product(x, bias);
    const z = dropout(x, { p: this.dropout, training: this.training });
    return layer.adaptedProduct(x, z, bias, this.lora_A, this.lora_B, this.scaling);
  }

  /** W += ΔW */
  merge(layer: AdaptableLayer): void {
    if (this.merged) return;
    this.addTo(layer, this.scaling);
    this.merged = true;
  }

  /** W −= ΔW */
  unmerge(layer: AdaptableLayer): void {
    if (!this.merged) return;
    this.addTo(layer, -this.scaling);
    this.merged = false;
  }

  private addTo(layer: AdaptableLayer, scaling: number): void {
    layer.changeWeight((weight) => addmm_(weight, this.lora_B, this.lora_A, { alpha: scaling }));
  }
}
