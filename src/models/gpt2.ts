/** GPT-2, with the state-dict keys and the logits of Hugging Face's `GPT2LMHeadModel`. Radford et al. 2019 */
import { ModuleList } from "../nn/containers.js";
import { Conv1D } from "../nn/conv1d.js";
import { Dropout } from "../nn/dropout.js";
import { Embedding } from "../nn/embedding.js";
import type { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { LayerNorm } from "../nn/norm.js";
import { add } from "../ops/binary.js";
import { chunk } from "../ops/view.js";
import { discard, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { activationOf } from "./activation.js";
import { type CausalContext, causalAttention, mergeHeads, splitHeads } from "./attention.js";
import {
  type CausalForwardOptions,
  CausalLanguageModel,
  checkCausalInputs,
  lastTokens,
  type PositionLimit,
} from "./causal.js";
import { checkConfig, type PretrainedConfig } from "./config.js";
import { keyMask, learnedPositions } from "./inputs.js";
import type { FileLayout } from "./pretrained.js";

/** The fields of Hugging Face's config.json that matter here. */
export interface GPT2Config extends PretrainedConfig {
  vocab_size: number;
  n_positions: number;
  /** The width of the model. */
  n_embd: number;
  n_layer: number;
  n_head: number;
  /** The width within a feed-forward layer: 4·n_embd if null. */
  n_inner: number | null;
  activation_function: string;
  resid_pdrop: number;
  embd_pdrop: number;
  attn_pdrop: number;
  layer_norm_epsilon: number;
  /** Whether scores are divided by √D. */
  scale_attn_weights: boolean;
  /** Whether scores are divided by the layer's number too, counted from 1. */
  scale_attn_by_inverse_layer_idx: boolean;
}

const defaults: GPT2Config = {
  vocab_size: 50257,
  n_positions: 1024,
  n_embd: 768,
  n_layer: 12,
  n_head: 12,
  n_inner: null,
  activation_function: "gelu_new",
  resid_pdrop: 0.1,
  embd_pdrop: 0.1,
  attn_pdrop: 0.1,
  layer_norm_epsilon: 1e-5,
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  tie_word_embeddings: true,
  bos_token_id: 50256,
  eos_token_id: 50256,
};

class GPT2Attention extends Module {
  readonly c_attn: Conv1D;
  readonly c_proj: Conv1D;
  readonly attn_dropout: Dropout;
  readonly resid_dropout: Dropout;
  private readonly headDim: number;
  private readonly scale: number;

  constructor(
    config: GPT2Config,
    private readonly layer: number,
  ) {
    super();
    const { n_embd, n_head, scale_attn_weights, scale_attn_by_inverse_layer_idx } = config;
    this.c_attn = new Conv1D(n_embd, 3 * n_embd);
    this.c_proj = new Conv1D(n_embd, n_embd);
    this.attn_dropout = new Dropout(config.attn_pdrop);
    this.resid_dropout = new Dropout(config.resid_pdrop);
    this.headDim = n_embd / n_head;
    this.scale =
      (scale_attn_weights ? 1 / Math.sqrt(this.headDim) : 1) / (scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
  }

  override forward(x: Tensor, context: CausalContext): Tensor {
    const [q, k, v] = chunk(this.c_attn.forward(x), 3, -1).map((part) => splitHeads(part, this.headDim));
    const options = { scale: this.scale, dropoutP: this.training ? this.attn_dropout.p : 0 };
    const y = mergeHeads(causalAttention(q, k, v, this.layer, context, options));
    return this.resid_dropout.forward(this.c_proj.forward(y));
  }
}

class GPT2MLP extends Module {
  readonly c_fc: Conv1D;
  readonly c_proj: Conv1D;
  readonly dropout: Dropout;
  private readonly activation: (x: Tensor) => Tensor;

  constructor({ n_embd, n_inner, activation_function, resid_pdrop }: GPT2Config) {
    super();
    const inner = n_inner ?? 4 * n_embd;
    this.c_fc = new Conv1D(n_embd, inner);
    this.c_proj = new Conv1D(inner, n_embd);
    this.dropout = new Dropout(resid_pdrop);
    this.activation = activationOf("GPT2", "activation_function", activation_function);
  }

  override forward(x: Tensor): Tensor {
    return this.dropout.forward(this.c_proj.forward(this.activation(this.c_fc.forward(x))));
  }
}

class GPT2Block extends Module {
  readonly ln_1: LayerNorm;
  readonly attn: GPT2Attention;
  readonly ln_2: LayerNorm;
  readonly mlp: GPT2MLP;

  constructor(config: GPT2Config, layer: number) {
    super();
    const { n_embd, layer_norm_epsilon: eps } = config;
    this.ln_1 = new LayerNorm(n_embd, { eps });
    this.attn = new GPT2Attention(config, layer);
    this.ln_2 = new LayerNorm(n_embd, { eps });
    this.mlp = new GPT2MLP(config);
  }

  override forward(x: Tensor, context: CausalContext): Tensor {
    const h = scope(() => add(x, this.attn.forward(this.ln_1.forward(x), context)));
    const y = scope(() => add(h, this.mlp.forward(this.ln_2.forward(h))));
    discard(h);
    return y;
  }
}

class GPT2Model extends Module {
  readonly wte: Embedding;
  readonly wpe: Embedding;
  readonly drop: Dropout;
  readonly h: ModuleList<GPT2Block>;
  readonly ln_f: LayerNorm;

  constructor(config: GPT2Config) {
    super();
    this.wte = new Embedding(config.vocab_size, config.n_embd);
    this.wpe = new Embedding(config.n_positions, config.n_embd);
    this.drop = new Dropout(config.embd_pdrop);
    this.h = new ModuleList(Array.from({ length: config.n_layer }, (_, i) => new GPT2Block(config, i)));
    this.ln_f = new LayerNorm(config.n_embd, { eps: config.layer_norm_epsilon });
  }

  override forward(ids: Tensor, positions: Tensor, context: CausalContext): Tensor {
    let x = scope(() => this.drop.forward(add(this.wte.forward(ids), this.wpe.forward(positions))));
    for (const block of this.h) {
      const input = x;
      x = block.forward(input, context);
      if (x !== input) discard(input);
    }
    return this.ln_f.forward(x);
  }
}

/**
 * GPT-2: a decoder with learned positions and Conv1D weights [in, out], as published.
 *
 *     const model = await models.GPT2.fromPretrained("openai-community/gpt2"); // or a directory, an address, files
 *     const logits = model.forward(tensor([[15496, 995]], { dtype: "int32" })); // [B, T, vocab]
 *     const ids = await model.generate([15496, 995], { maxNewTokens: 20, temperature: 0.8, topK: 50 });
 *
 * A new one, `new models.GPT2({ n_layer: 4, n_embd: 128, n_head: 4 })`, has transformers' defaults in the other fields and
 * its initialization.
 * Errors: token ids outside the vocabulary; positions from `n_positions` on; cross-attention and unknown activations.
 *
 * @see https://huggingface.co/docs/transformers/model_doc/gpt2
 */
export class GPT2 extends CausalLanguageModel<GPT2Config> {
  readonly transformer: GPT2Model;
  readonly lm_head: Linear;

  constructor(config: Partial<GPT2Config> = {}) {
    super({ ...defaults, ...config });
    checkGPT2(this.config);
    this.transformer = new GPT2Model(this.config);
    this.lm_head = this.headOver(this.transformer.wte);
    this.initialize();
  }

  override forward(ids: Tensor, options: CausalForwardOptions = {}): Tensor {
    const { vocab_size, n_positions: limit } = this.config;
    checkCausalInputs("GPT2", ids, options, vocab_size);
    return scope(() => {
      const { cache, attentionMask, positionIds, logitsToKeep } = options;
      const [B, T] = ids.shape;
      const start = cache?.length ?? 0;
      const mask = keyMask("GPT2", attentionMask, [B, start + T]);
      const positions = learnedPositions("GPT2", [B, T], { positionIds, start, limit, field: "n_positions" });
      const h = this.transformer.forward(ids, positions, { cache, mask });
      return this.lm_head.forward(lastTokens(h, logitsToKeep));
    });
  }

  /** @internal */
  override get positionLimit(): PositionLimit {
    return { tokens: this.config.n_positions, field: "n_positions", hard: true };
  }

  /** @internal */
  override get layout(): FileLayout {
    return {
      modelType: "gpt2",
      architecture: "GPT2LMHeadModel",
      prefix: "transformer.",
      ignored: /\.attn\.(masked_)?bias$/, // causal masks of older files
    };
  }

  /** Projections onto the residual path start smaller by √(2·n_layer), the number of such paths. */
  protected override initialDeviation(path: string): number {
    const std = super.initialDeviation(path);
    return path.endsWith("c_proj") ? std / Math.sqrt(2 * this.config.n_layer) : std;
  }
}

function checkGPT2(config: GPT2Config): void {
  checkConfig("GPT2", config, {
    modelTypes: ["gpt2"],
    counts: ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head"],
    probabilities: ["resid_pdrop", "embd_pdrop", "attn_pdrop"],
    only: { add_cross_attention: false },
  });
  activationOf("GPT2", "activation_function", config.activation_function);
  if (config.n_embd % config.n_head !== 0) {
    throw new Error(`GPT2: config.n_embd must be a multiple of n_head, got ${config.n_embd} and ${config.n_head}`);
  }
}
