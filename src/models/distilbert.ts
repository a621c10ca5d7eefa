/** DistilBERT, with the state-dict keys and the results of Hugging Face's `DistilBertModel` and its classifier. Sanh et al. 2019 */
import { checkOptions } from "../errors.js";
import { ModuleList } from "../nn/containers.js";
import { Dropout } from "../nn/dropout.js";
import { Embedding } from "../nn/embedding.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { LayerNorm } from "../nn/norm.js";
import { scaledDotProductAttention } from "../ops/attention.js";
import { add } from "../ops/binary.js";
import { relu } from "../ops/unary.js";
import { select } from "../ops/view.js";
import { discard, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { activationOf } from "./activation.js";
import { mergeHeads, splitHeads } from "./attention.js";
import { checkConfig, type PretrainedConfig } from "./config.js";
import { checkIds, keyMask, learnedPositions } from "./inputs.js";
import { type FileLayout, PretrainedModel } from "./pretrained.js";

/** The fields of Hugging Face's config.json that matter here. */
export interface DistilBertConfig extends PretrainedConfig {
  vocab_size: number;
  max_position_embeddings: number;
  n_layers: number;
  n_heads: number;
  /** The width of the model. */
  dim: number;
  /** The width within a feed-forward layer. */
  hidden_dim: number;
  activation: string;
  dropout: number;
  attention_dropout: number;
  /** Before the classifier. */
  seq_classif_dropout: number;
  /** The classes, by number as text. */
  id2label?: Readonly<Record<string, string>>;
  label2id?: Readonly<Record<string, number>>;
  /** In place of `id2label`; 2 where neither is given. */
  num_labels?: number;
}

export interface DistilBertForwardOptions {
  /** [B, T], 0 where a token (padding) is not to be seen. */
  attentionMask?: Tensor;
  /** int32 [B, T], each token's place in its text; one after the other if left out. */
  positionIds?: Tensor;
}

const defaults: DistilBertConfig = {
  vocab_size: 30522,
  max_position_embeddings: 512,
  n_layers: 6,
  n_heads: 12,
  dim: 768,
  hidden_dim: 3072,
  activation: "gelu",
  dropout: 0.1,
  attention_dropout: 0.1,
  seq_classif_dropout: 0.2,
  pad_token_id: 0,
};

/** Layers that files of other tasks have on top of the encoder. */
const heads = /^(vocab_transform|vocab_layer_norm|vocab_projector|pre_classifier|classifier|qa_outputs)(\.|$)/;

class Embeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;

  constructor(config: DistilBertConfig) {
    super();
    this.word_embeddings = new Embedding(config.vocab_size, config.dim, {
      paddingIdx: config.pad_token_id ?? undefined,
    });
    this.position_embeddings = new Embedding(config.max_position_embeddings, config.dim);
    this.LayerNorm = new LayerNorm(config.dim, { eps: 1e-12 });
    this.dropout = new Dropout(config.dropout);
  }

  override forward(ids: Tensor, positions: Tensor): Tensor {
    const x = add(this.word_embeddings.forward(ids), this.position_embeddings.forward(positions));
    return this.dropout.forward(this.LayerNorm.forward(x));
  }
}

class SelfAttention extends Module {
  readonly q_lin: Linear;
  readonly k_lin: Linear;
  readonly v_lin: Linear;
  readonly out_lin: Linear;
  readonly dropout: Dropout;
  private readonly headDim: number;

  constructor({ dim, n_heads, attention_dropout }: DistilBertConfig) {
    super();
    this.q_lin = new Linear(dim, dim);
    this.k_lin = new Linear(dim, dim);
    this.v_lin = new Linear(dim, dim);
    this.out_lin = new Linear(dim, dim);
    this.dropout = new Dropout(attention_dropout);
    this.headDim = dim / n_heads;
  }

  override forward(x: Tensor, attnMask: Tensor | undefined): Tensor {
    const q = splitHeads(this.q_lin.forward(x), this.headDim);
    const k = splitHeads(this.k_lin.forward(x), this.headDim);
    const v = splitHeads(this.v_lin.forward(x), this.headDim);
    const dropoutP = this.training ? this.dropout.p : 0;
    return this.out_lin.forward(mergeHeads(scaledDotProductAttention(q, k, v, { attnMask, dropoutP })));
  }
}

class FFN extends Module {
  readonly dropout: Dropout;
  readonly lin1: Linear;
  readonly lin2: Linear;
  private readonly activation: (x: Tensor) => Tensor;

  constructor({ dim, hidden_dim, dropout, activation }: DistilBertConfig) {
    super();
    this.dropout = new Dropout(dropout);
    this.lin1 = new Linear(dim, hidden_dim);
    this.lin2 = new Linear(hidden_dim, dim);
    this.activation = activationOf("DistilBert", "activation", activation);
  }

  override forward(x: Tensor): Tensor {
    return this.dropout.forward(this.lin2.forward(this.activation(this.lin1.forward(x))));
  }
}

class TransformerBlock extends Module {
  readonly attention: SelfAttention;
  readonly sa_layer_norm: LayerNorm;
  readonly ffn: FFN;
  readonly output_layer_norm: LayerNorm;

  constructor(config: DistilBertConfig) {
    super();
    this.attention = new SelfAttention(config);
    this.sa_layer_norm = new LayerNorm(config.dim, { eps: 1e-12 });
    this.ffn = new FFN(config);
    this.output_layer_norm = new LayerNorm(config.dim, { eps: 1e-12 });
  }

  override forward(x: Tensor, mask: Tensor | undefined): Tensor {
    const h = scope(() => this.sa_layer_norm.forward(add(x, this.attention.forward(x, mask))));
    const y = scope(() => this.output_layer_norm.forward(add(h, this.ffn.forward(h))));
    discard(h);
    return y;
  }
}

class Transformer extends Module {
  readonly layer: ModuleList<TransformerBlock>;

  constructor(config: DistilBertConfig) {
    super();
    this.layer = new ModuleList(Array.from({ length: config.n_layers }, () => new TransformerBlock(config)));
  }

  override forward(x: Tensor, mask: Tensor | undefined): Tensor {
    let h = x;
    for (const layer of this.layer) {
      const input = h;
      h = layer.forward(input, mask);
      if (h !== input) discard(input);
    }
    return h;
  }
}

/**
 * DistilBERT's encoder: hidden states [B, T, dim] for token ids [B, T]. Files of models for one task are read too, without
 * the layers for their task.
 *
 *     const model = await models.DistilBert.fromPretrained("distilbert/distilbert-base-uncased");
 *     const hidden = model.forward(ids, { attentionMask });
 *
 * Errors: token ids outside the vocabulary; texts longer than `max_position_embeddings`; unknown activations.
 *
 * @see https://huggingface.co/docs/transformers/model_doc/distilbert
 */
export class DistilBert extends PretrainedModel<DistilBertConfig> {
  readonly embeddings: Embeddings;
  readonly transformer: Transformer;

  constructor(config: Partial<DistilBertConfig> = {}) {
    super(complete(config));
    this.embeddings = new Embeddings(this.config);
    this.transformer = new Transformer(this.config);
    this.initialize();
  }

  override forward(ids: Tensor, options: DistilBertForwardOptions = {}): Tensor {
    checkOptions("DistilBert", options, ["attentionMask", "positionIds"]);
    const { vocab_size, max_position_embeddings: limit } = this.config;
    checkIds("DistilBert", ids, vocab_size);
    return scope(() => {
      const mask = keyMask("DistilBert", options.attentionMask, ids.shape);
      const { positionIds } = options;
      const positions = learnedPositions("DistilBert", ids.shape, {
        positionIds,
        limit,
        field: "max_position_embeddings",
      });
      return this.transformer.forward(
        scope(() => this.embeddings.forward(ids, positions)),
        mask,
      );
    });
  }

  /** @internal */
  override get layout(): FileLayout {
    return {
      modelType: "distilbert",
      architecture: "DistilBertModel",
      prefix: "distilbert.",
      ignored: new RegExp(`${oldBuffers.source}|${heads.source}`),
    };
  }
}

/** Position numbers, which older files hold. */
const oldBuffers = /(^|\.)position_ids$/;

/**
 * DistilBERT with a classifier of whole texts, which looks at their first token: logits [B, labels] for token ids [B, T].
 *
 *     const options = { newHead: true, config: { num_labels: 2 } }; // a fresh classifier on a base model; without, the file's
 *     const model = await models.DistilBertForSequenceClassification.fromPretrained("path/to/distilbert", options);
 *     const loss = F.crossEntropy(model.forward(ids, { attentionMask }), labels);
 *
 * Errors: those of `DistilBert`; a file without a classifier, unless `newHead` asks for one.
 */
export class DistilBertForSequenceClassification extends PretrainedModel<DistilBertConfig> {
  readonly distilbert: DistilBert;
  readonly pre_classifier: Linear;
  readonly classifier: Linear;
  readonly dropout: Dropout;

  constructor(config: Partial<DistilBertConfig> = {}) {
    super(withLabels(complete(config)));
    const { dim, seq_classif_dropout } = this.config;
    this.distilbert = new DistilBert(this.config);
    this.pre_classifier = new Linear(dim, dim);
    this.classifier = new Linear(dim, labelCount(this.config));
    this.dropout = new Dropout(seq_classif_dropout);
    this.initialize();
  }

  override forward(ids: Tensor, options: DistilBertForwardOptions = {}): Tensor {
    return scope(() => {
      const first = select(this.distilbert.forward(ids, options), 1, 0); // (B, dim)
      return this.classifier.forward(this.dropout.forward(relu(this.pre_classifier.forward(first))));
    });
  }

  /** @internal */
  override get layout(): FileLayout {
    return {
      modelType: "distilbert",
      architecture: "DistilBertForSequenceClassification",
      prefix: "distilbert.",
      ignored: oldBuffers,
      heads,
    };
  }
}

function complete(config: Partial<DistilBertConfig>): DistilBertConfig {
  const full = { ...defaults, ...config };
  checkConfig("DistilBert", full, {
    modelTypes: ["distilbert"],
    counts: ["vocab_size", "max_position_embeddings", "n_layers", "n_heads", "dim", "hidden_dim"],
    probabilities: ["dropout", "attention_dropout", "seq_classif_dropout"],
  });
  activationOf("DistilBert", "activation", full.activation);
  if (full.dim % full.n_heads !== 0) {
    throw new Error(`DistilBert: config.dim must be a multiple of n_heads, got ${full.dim} and ${full.n_heads}`);
  }
  return full;
}

function labelCount({ num_labels, id2label }: DistilBertConfig): number {
  return num_labels ?? (id2label ? Object.keys(id2label).length : 2);
}

/** With names for all classes, as files have them: transformers counts these. */
function withLabels(config: DistilBertConfig): DistilBertConfig {
  const count = labelCount(config);
  if (!(Number.isInteger(count) && count > 0))
    throw new Error(
      `DistilBertForSequenceClassification: config.num_labels must be a whole number from 1, got ${count}`,
    );
  const { num_labels: _, ...rest } = config;
  if (config.id2label && Object.keys(config.id2label).length === count) return rest;
  const names = Array.from({ length: count }, (_, i) => [i, `LABEL_${i}`] as const);
  return {
    ...rest,
    id2label: Object.fromEntries(names),
    label2id: Object.fromEntries(names.map(([i, name]) => [name, i])),
  };
}
