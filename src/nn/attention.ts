import { checkOptions, ShapeError, showShape } from "../errors.js";
import { hiding, scaledDotProductAttention } from "../ops/attention.js";
import { add, mul } from "../ops/binary.js";
import { ones, zeros } from "../ops/create.js";
import { dropout } from "../ops/dropout.js";
import { linear } from "../ops/linear.js";
import { matmul } from "../ops/matmul.js";
import { layerNorm } from "../ops/norm.js";
import { mean } from "../ops/reduce.js";
import { softmax } from "../ops/softmax.js";
import { chunk, narrow, permute, reshape, transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { xavierUniform_, zeros_ } from "./init.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface MultiheadAttentionOptions {
  /** The probability of an attention weight to become 0 in training. */
  dropout?: number;
  bias?: boolean;
  /** Inputs and outputs are [B, T, E]; else [T, B, E]. */
  batchFirst?: boolean;
  /** Layer norm of every head's queries and keys, so that scores cannot grow. Chameleon Team 2024 */
  qkNorm?: boolean;
}

export interface AttendOptions {
  /**
   * [Tq, Tk], [B·H, Tq, Tk] or [B, H, Tq, Tk]: float32, added to the scores, or bool, true where a key is HIDDEN from a
   * query, as in PyTorch's layer (`scaledDotProductAttention` has it the other way round, there as here).
   */
  attnMask?: Tensor;
  /** [B, Tk]: bool, true where a key is padding, or float32, added to the scores. */
  keyPaddingMask?: Tensor;
  /** Query i sees the keys j ≤ i. */
  isCausal?: boolean;
  /** Also give the attention weights, the mean over heads; keeps [Tq, Tk] matrices. */
  needWeights?: boolean;
}

/** What a head sees: [B, H, T, D] each. */
type Heads = readonly [q: Tensor, k: Tensor, v: Tensor];

/**
 * Concat(head₁, …, head_H) Wₒᵀ + bₒ, headᵢ = softmax(qᵢ kᵢᵀ / √D) vᵢ, where q, k, v are the inputs times the thirds of
 * `in_proj_weight` [3E, E] and D = E / H. Vaswani et al. 2017; torch.nn.MultiheadAttention
 */
export class MultiheadAttention extends Module {
  readonly in_proj_weight: Parameter;
  readonly in_proj_bias: Parameter | null;
  readonly out_proj: Linear;
  readonly q_norm: HeadNorm | null;
  readonly k_norm: HeadNorm | null;
  readonly dropout: number;
  readonly batchFirst: boolean;

  constructor(
    readonly embedDim: number,
    readonly numHeads: number,
    options: MultiheadAttentionOptions = {},
  ) {
    super();
    checkOptions("MultiheadAttention", options, ["dropout", "bias", "batchFirst", "qkNorm"]);
    const { dropout = 0, bias = true, batchFirst = true, qkNorm = false } = options;
    const headDim = embedDim / numHeads;
    if (!(Number.isInteger(headDim) && headDim > 0)) {
      throw new Error(`MultiheadAttention: embedDim must be a multiple of numHeads, got ${embedDim} and ${numHeads}`);
    }
    if (!(dropout >= 0 && dropout <= 1))
      throw new Error(`MultiheadAttention: dropout must be from 0 to 1, got ${dropout}`);
    this.dropout = dropout;
    this.batchFirst = batchFirst;
    this.in_proj_weight = scope(() => new Parameter(xavierUniform_(empty([3 * embedDim, embedDim]))));
    this.in_proj_bias = bias ? scope(() => new Parameter(zeros([3 * embedDim]))) : null;
    this.out_proj = new Linear(embedDim, embedDim, { bias });
    if (this.out_proj.bias) zeros_(this.out_proj.bias);
    this.q_norm = qkNorm ? new HeadNorm(numHeads, headDim) : null;
    this.k_norm = qkNorm ? new HeadNorm(numHeads, headDim) : null;
  }

  /**
   * @param query [B, Tq, E]
   * @param key [B, Tk, E]
   * @param value [B, Tk, E]
   * @returns output [B, Tq, E] and, where asked for, weights [B, Tq, Tk]
   */
  override forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttendOptions = {},
  ): { output: Tensor; weights?: Tensor } {
    checkOptions("MultiheadAttention", options, ["attnMask", "keyPaddingMask", "isCausal", "needWeights"]);
    this.checkInputs(query, key, value);
    return scope(() => {
      const [q, k, v] = this.project([query, key, value]).map((x) => this.batched(x));
      const heads: Heads = [this.heads(q, this.q_norm), this.heads(k, this.k_norm), this.heads(v, null)];
      const attnMask = this.mask(heads, options);
      const dropoutP = this.training ? this.dropout : 0;
      const isCausal = options.isCausal ?? false;
      const { y, weights } = options.needWeights
        ? weigh(heads, attnMask, isCausal, dropoutP)
        : { y: scaledDotProductAttention(...heads, { attnMask, isCausal, dropoutP }), weights: undefined };
      const joined = this.batched(reshape(permute(y, [0, 2, 1, 3]), q.shape));
      return { output: this.out_proj.forward(joined), weights: weights && mean(weights, { dim: 1 }) };
    });
  }

  protected override describe(): string {
    return `embed=${this.embedDim}, heads=${this.numHeads}`;
  }

  /** The inputs times their thirds of `in_proj_weight`; equal neighbours share one product. */
  private project(inputs: readonly Tensor[]): Tensor[] {
    const { in_proj_weight: weight, in_proj_bias: bias, embedDim: E } = this;
    const results: Tensor[] = [];
    while (results.length < inputs.length) {
      const first = results.length;
      let count = 1;
      while (first + count < inputs.length && inputs[first + count] === inputs[first]) count++;
      const rows = (t: Tensor) => (count === inputs.length ? t : narrow(t, 0, first * E, count * E));
      const joint = linear(inputs[first], rows(weight), bias ? rows(bias) : undefined);
      results.push(...(count === 1 ? [joint] : chunk(joint, count, -1)));
    }
    return results;
  }

  /** [B, T, E] from what the user gives, and back. */
  private batched(x: Tensor): Tensor {
    return this.batchFirst ? x : transpose(x, 0, 1);
  }

  /** [B, H, T, D] from [B, T, E] */
  private heads(x: Tensor, norm: HeadNorm | null): Tensor {
    const [B, T] = x.shape;
    const split = reshape(x, [B, T, this.numHeads, this.embedDim / this.numHeads]);
    return permute(norm ? norm.forward(split) : split, [0, 2, 1, 3]);
  }

  /** Both masks as what is added to the scores. */
  private mask([q, k]: Heads, { attnMask, keyPaddingMask }: AttendOptions): Tensor | undefined {
    const [B, H, Tq] = q.shape;
    const Tk = k.shape[2];
    const masks: Tensor[] = [];
    if (attnMask) masks.push(additive("attnMask", attnMask.ndim === 3 ? reshape(attnMask, [B, H, Tq, Tk]) : attnMask));
    if (keyPaddingMask) {
      if (!sameShape(keyPaddingMask.shape, [B, Tk])) {
        throw new ShapeError(
          `MultiheadAttention: keyPaddingMask must have shape ${showShape([B, Tk])}, got ${showShape(keyPaddingMask.shape)}`,
        );
      }
      masks.push(additive("keyPaddingMask", reshape(keyPaddingMask, [B, 1, 1, Tk])));
    }
    return masks.length === 0 ? undefined : masks.reduce((sum, mask) => add(sum, mask));
  }

  private checkInputs(query: Tensor, key: Tensor, value: Tensor): void {
    const batchDim = this.batchFirst ? 0 : 1;
    const fits = [query, key, value].every((x) => x.ndim === 3 && x.shape[2] === this.embedDim);
    if (!fits || !sameShape(key.shape, value.shape) || query.shape[batchDim] !== key.shape[batchDim]) {
      const layout = this.batchFirst ? "[B, T, E]" : "[T, B, E]";
      throw new ShapeError(
        `MultiheadAttention: query, key and value must be ${layout} with E = ${this.embedDim}, one B, and one T of key and value, got ${[query, key, value].map((t) => showShape(t.shape)).join(", ")}`,
      );
    }
  }
}

/** Layer norm over each head's D, with weight and bias [H, D]; as transformers' `ChameleonLayerNorm`. */
class HeadNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(
    private readonly numHeads: number,
    private readonly headDim: number,
  ) {
    super();
    this.weight = scope(() => new Parameter(ones([numHeads, headDim])));
    this.bias = scope(() => new Parameter(zeros([numHeads, headDim])));
  }

  /** x: [B, T, H, D] */
  override forward(x: Tensor): Tensor {
    return add(mul(layerNorm(x, [this.headDim]), this.weight), this.bias);
  }

  protected override describe(): string {
    return `heads=${this.numHeads}, dim=${this.headDim}`;
  }
}

/** Attention from its parts: the weights [B, H, Tq, Tk], after dropout, and what they give. */
function weigh(
  [q, k, v]: Heads,
  mask: Tensor | undefined,
  isCausal: boolean,
  p: number,
): { y: Tensor; weights: Tensor } {
  let scores = matmul(mul(q, 1 / Math.sqrt(q.shape[3])), transpose(k, -2, -1));
  if (mask) scores = add(scores, mask);
  if (isCausal) scores = add(scores, hiding(q.shape[2], k.shape[2], 0));
  const weights = dropout(softmax(scores), { p });
  return { y: matmul(weights, v), weights };
}

/** −∞ where a boolean mask is true; float masks as they are. */
function additive(name: string, mask: Tensor): Tensor {
  if (mask.dtype === "float32") return mask;
  if (mask.dtype !== "bool")
    throw new Error(`MultiheadAttention: ${name} must be "bool" or "float32", got "${mask.dtype}"`);
  return empty(mask.shape).set(Float32Array.from(mask.data(), (hidden) => (hidden ? -Infinity : 0)));
}
