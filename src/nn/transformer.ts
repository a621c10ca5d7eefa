/** The layers of the original transformer. Vaswani et al. 2017 */
import { checkOptions } from "../errors.js";
import { add } from "../ops/binary.js";
import { gelu, relu } from "../ops/unary.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { type AttendOptions, MultiheadAttention } from "./attention.js";
import { Dropout } from "./dropout.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { LayerNorm } from "./norm.js";

export interface TransformerLayerOptions {
  /** The width of the feed-forward part. */
  dimFeedforward?: number;
  dropout?: number;
  activation?: "relu" | "gelu" | ((x: Tensor) => Tensor);
  layerNormEps?: number;
  /** Inputs and outputs are [B, T, E]; else [T, B, E]. */
  batchFirst?: boolean;
  /** Normalize the input of each part instead of the sum after it. Xiong et al. 2020 */
  normFirst?: boolean;
  bias?: boolean;
}

/** Masks as in `MultiheadAttention`: of a boolean one, true is hidden. */
export interface EncodeOptions {
  srcMask?: Tensor;
  srcKeyPaddingMask?: Tensor;
  isCausal?: boolean;
}

export interface DecodeOptions {
  tgtMask?: Tensor;
  memoryMask?: Tensor;
  tgtKeyPaddingMask?: Tensor;
  memoryKeyPaddingMask?: Tensor;
  tgtIsCausal?: boolean;
  memoryIsCausal?: boolean;
}

const layerOptions = [
  "dimFeedforward",
  "dropout",
  "activation",
  "layerNormEps",
  "batchFirst",
  "normFirst",
  "bias",
] as const satisfies (keyof TransformerLayerOptions)[];

/** Self-attention and a feed-forward part, each with a residual path. torch.nn.TransformerEncoderLayer */
export class TransformerEncoderLayer extends Module {
  readonly self_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly normFirst: boolean;
  readonly activation: (x: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super();
    checkOptions("TransformerEncoderLayer", options, layerOptions);
    const { dimFeedforward = 2048, dropout = 0.1, layerNormEps: eps = 1e-5, batchFirst = true, bias = true } = options;
    this.self_attn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, { bias });
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, { bias });
    this.norm1 = new LayerNorm(dModel, { eps, bias });
    this.norm2 = new LayerNorm(dModel, { eps, bias });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.normFirst = options.normFirst ?? false;
    this.activation = activationOf("TransformerEncoderLayer", options.activation);
  }

  /** @param src [B, T, E] */
  override forward(src: Tensor, options: EncodeOptions = {}): Tensor {
    checkOptions("TransformerEncoderLayer", options, ["srcMask", "srcKeyPaddingMask", "isCausal"]);
    const { srcMask: attnMask, srcKeyPaddingMask: keyPaddingMask, isCausal } = options;
    const masks = { attnMask, keyPaddingMask, isCausal };
    const attend = (x: Tensor) => this.dropout1.forward(this.self_attn.forward(x, x, x, masks).output);
    const feed = (x: Tensor) => this.dropout2.forward(feedForward(this, x));
    return scope(() => residual(residual(src, attend, this.norm1, this.normFirst), feed, this.norm2, this.normFirst));
  }
}

/** Self-attention, attention to an encoder's output, and a feed-forward part. torch.nn.TransformerDecoderLayer */
export class TransformerDecoderLayer extends Module {
  readonly self_attn: MultiheadAttention;
  readonly multihead_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly norm3: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly dropout3: Dropout;
  readonly normFirst: boolean;
  readonly activation: (x: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super();
    checkOptions("TransformerDecoderLayer", options, layerOptions);
    const { dimFeedforward = 2048, dropout = 0.1, layerNormEps: eps = 1e-5, batchFirst = true, bias = true } = options;
    this.self_attn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.multihead_attn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, { bias });
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, { bias });
    this.norm1 = new LayerNorm(dModel, { eps, bias });
    this.norm2 = new LayerNorm(dModel, { eps, bias });
    this.norm3 = new LayerNorm(dModel, { eps, bias });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.dropout3 = new Dropout(dropout);
    this.normFirst = options.normFirst ?? false;
    this.activation = activationOf("TransformerDecoderLayer", options.activation);
  }

  /**
   * @param tgt [B, T, E]
   * @param memory what the encoder gives, [B, S, E]
   */
  override forward(tgt: Tensor, memory: Tensor, options: DecodeOptions = {}): Tensor {
    checkOptions("TransformerDecoderLayer", options, [
      "tgtMask",
      "memoryMask",
      "tgtKeyPaddingMask",
      "memoryKeyPaddingMask",
      "tgtIsCausal",
      "memoryIsCausal",
    ]);
    const own: AttendOptions = {
      attnMask: options.tgtMask,
      keyPaddingMask: options.tgtKeyPaddingMask,
      isCausal: options.tgtIsCausal,
    };
    const across: AttendOptions = {
      attnMask: options.memoryMask,
      keyPaddingMask: options.memoryKeyPaddingMask,
      isCausal: options.memoryIsCausal,
    };
    const attend = (x: Tensor) => this.dropout1.forward(this.self_attn.forward(x, x, x, own).output);
    const recall = (x: Tensor) => this.dropout2.forward(this.multihead_attn.forward(x, memory, memory, across).output);
    const feed = (x: Tensor) => this.dropout3.forward(feedForward(this, x));
    return scope(() => {
      const h1 = residual(tgt, attend, this.norm1, this.normFirst);
      const h2 = residual(h1, recall, this.norm2, this.normFirst);
      return residual(h2, feed, this.norm3, this.normFirst);
    });
  }
}

/** x + part(norm(x)), or norm(x + part(x)) */
function residual(x: Tensor, part: (x: Tensor) => Tensor, norm: LayerNorm, normFirst: boolean): Tensor {
  return scope(() => (normFirst ? add(x, part(norm.forward(x))) : norm.forward(add(x, part(x)))));
}

interface FeedForward {
  readonly linear1: Linear;
  readonly activation: (x: Tensor) => Tensor;
  readonly dropout: Dropout;
  readonly linear2: Linear;
}

function feedForward({ linear1, activation, dropout, linear2 }: FeedForward, x: Tensor): Tensor {
  return linear2.forward(dropout.forward(activation(linear1.forward(x))));
}

function activationOf(
  layer: string,
  activation: TransformerLayerOptions["activation"] = "relu",
): (x: Tensor) => Tensor {
  if (typeof activation === "function") return activation;
  if (activation === "relu") return relu;
  if (activation === "gelu") return (x) => gelu(x);
  throw new Error(`${layer}: activation must be "relu", "gelu" or a function, got ${JSON.stringify(activation)}`);
}
