/** LoRA as tutorials write it: a layer beside a linear one. Hu et al. 2021 */
import { copyInto } from "../copy.js";
import { noGrad } from "../graph.js";
import { normal_, zeros_ } from "../nn/init.js";
import type { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { Parameter } from "../nn/parameter.js";
import { add, mul } from "../ops/binary.js";
import { matmul } from "../ops/matmul.js";
import { transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";

/** alpha · (x A B): A [in, rank] from N(0, 1/rank) (standard deviation 1/√rank), B [rank, out] zero. */
export class LoRALayer extends Module {
  readonly A: Parameter;
  readonly B: Parameter;

  constructor(
    readonly inDim: number,
    readonly outDim: number,
    readonly rank: number,
    readonly alpha: number,
  ) {
    super();
    checkRank("LoRALayer: rank", rank, inDim, outDim);
    if (!Number.isFinite(alpha)) throw new Error(`LoRALayer: alpha must be a finite number, got ${alpha}`);
    this.A = scope(() => new Parameter(normal_(empty([inDim, rank]), 0, 1 / Math.sqrt(rank))));
    this.B = scope(() => new Parameter(zeros_(empty([rank, outDim]))));
  }

  override forward(x: Tensor): Tensor {
    return scope(() => mul(matmul(matmul(x, this.A), this.B), this.alpha));
  }

  protected override describe(): string {
    return `in=${this.inDim}, out=${this.outDim}, rank=${this.rank}, alpha=${this.alpha}`;
  }
}

/** linear(x) + lora(x). Freezing `linear` is the caller's choice. */
export class LinearWithLoRA extends Module {
  readonly lora: LoRALayer;
  private merged = false;

  constructor(
    readonly linear: Linear,
    rank: number,
    alpha: number,
  ) {
    super();
    this.lora = new LoRALayer(linear.inFeatures, linear.outFeatures, rank, alpha);
  }

  override forward(x: Tensor): Tensor {
    if (this.merged) return this.linear.forward(x);
    return scope(() => add(this.linear.forward(x), this.lora.forward(x)));
  }

  /** Adds alpha·(A B)ᵀ to the linear layer's weight; from then on forward uses that layer alone. */
  mergeWeights(): void {
    if (this.merged) throw new Error("LinearWithLoRA: mergeWeights must be called once, got a second call");
    noGrad(() =>
      scope(() => {
        const { weight } = this.linear;
        copyInto(weight, add(weight, mul(transpose(matmul(this.lora.A, this.lora.B), 0, 1), this.lora.alpha)));
      }),
    );
    this.merged = true;
  }
}

export function checkRank(what: string, rank: number, inDim: number, outDim: number): void {
  if (!(Number.isInteger(rank) && rank >= 1 && rank <= Math.min(inDim, outDim))) {
    throw new Error(
      `${what} must be a whole number from 1 to ${Math.min(inDim, outDim)} (the layer is ${inDim} → ${outDim}), got ${rank}`,
    );
  }
}
