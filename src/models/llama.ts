/**
 * Llama, with the state-dict keys and the logits of Hugging Face's `LlamaForCausalLM`, and the models that differ from it
 * in their config alone: Mistral, Qwen2. Touvron et al. 2023
 */
import { ModuleList } from "../nn/containers.js";
import { Embedding } from "../nn/embedding.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { RMSNorm } from "../nn/norm.js";
import { add } from "../ops/binary.js";
import { rotaryEmbedding } from "../ops/rotary.js";
import { discard, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { activationOf, gateOf } from "./activation.js";
import { type CausalContext, causalAttention, mergeHeads, splitHeads } from "./attention.js";
import {
  type CausalForwardOptions,
  CausalLanguageModel,
  checkCausalInputs,
  lastTokens,
  type PositionLimit,
} from "./causal.js";
import { checkConfig, type PretrainedConfig } from "./config.js";
import { checkPositionIds, keyMask, lastPosition } from "./inputs.js";
import type { FileLayout } from "./pretrained.js";
import { type RopeConfig, RotaryTables, rotaryFrequencies } from "./rotary.js";

/** The fields of Hugging Face's config.json that matter here. */
export interface LlamaConfig extends PretrainedConfig {
  vocab_size: number;
  /** The width of the model. */
  hidden_size: number;
  /** The width within a feed-forward layer. */
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  /** Fewer than heads: groups of queries share keys and values. */
  num_key_value_heads?: number;
  head_dim?: number | null;
  max_position_embeddings?: number;
  rms_norm_eps?: number;
  /** Of Llama: in all four projections. Those of Qwen2 have biases but for the last. */
  attention_bias?: boolean;
  mlp_bias?: boolean;
  hidden_act?: string;
  attention_dropout?: number;
  rope_theta?: number;
  rope_scaling?: RopeConfig | null;
  /** Where newer files keep `rope_theta` and `rope_scaling`. */
  rope_parameters?: RopeConfig | null;
  /** Of Mistral and Qwen2: how many tokens one sees. Longer texts are an error. */
  sliding_window?: number | null;
  use_sliding_window?: boolean;
  /** The layers before this one see everything. */
  max_window_layers?: number;
}

interface Context extends CausalContext {
  /** Where the tokens are: each in a place of its own, int32 [B, T], or one after the other. */
  place: { positions: Tensor } | { offset: number };
  tables: { cos: Tensor; sin: Tensor };
}

class LlamaAttention extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;
  private readonly headDim: number;
  private readonly dropoutP: number;

  constructor(
    config: LlamaConfig,
    private readonly layer: number,
  ) {
    super();
    const { hidden_size: hidden, num_attention_heads: heads } = config;
    const { headDim, keyHeads, biases } = derived(config);
    this.q_proj = new Linear(hidden, heads * headDim, { bias: biases.qkv });
    this.k_proj = new Linear(hidden, keyHeads * headDim, { bias: biases.qkv });
    this.v_proj = new Linear(hidden, keyHeads * headDim, { bias: biases.qkv });
    this.o_proj = new Linear(heads * headDim, hidden, { bias: biases.o });
    this.headDim = headDim;
    this.dropoutP = config.attention_dropout ?? 0;
  }

  override forward(x: Tensor, context: Context): Tensor {
    const { cos, sin } = context.tables;
    const q = rotaryEmbedding(splitHeads(this.q_proj.forward(x), this.headDim), cos, sin, context.place);
    const k = rotaryEmbedding(splitHeads(this.k_proj.forward(x), this.headDim), cos, sin, context.place);
    const v = splitHeads(this.v_proj.forward(x), this.headDim);
    const dropoutP = this.training ? this.dropoutP : 0;
    return this.o_proj.forward(mergeHeads(causalAttention(q, k, v, this.layer, context, { dropoutP })));
  }
}

class LlamaMLP extends Module {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;
  private readonly gated: (gate: Tensor, x: Tensor) => Tensor;

  constructor({ hidden_size: hidden, intermediate_size: inner, mlp_bias, hidden_act }: LlamaConfig) {
    super();
    const bias = mlp_bias ?? false;
    this.gate_proj = new Linear(hidden, inner, { bias });
    this.up_proj = new Linear(hidden, inner, { bias });
    this.down_proj = new Linear(inner, hidden, { bias });
    this.gated = gateOf("Llama", "hidden_act", hidden_act ?? "silu");
  }

  override forward(x: Tensor): Tensor {
    return this.down_proj.forward(this.gated(this.gate_proj.forward(x), this.up_proj.forward(x)));
  }
}

class LlamaDecoderLayer extends Module {
  readonly self_attn: LlamaAttention;
  readonly mlp: LlamaMLP;
  readonly input_layernorm: RMSNorm;
  readonly post_attention_layernorm: RMSNorm;

  constructor(config: LlamaConfig, layer: number) {
    super();
    const eps = config.rms_norm_eps ?? 1e-6;
    this.self_attn = new LlamaAttention(config, layer);
    this.mlp = new LlamaMLP(config);
    this.input_layernorm = new RMSNorm(config.hidden_size, { eps });
    this.post_attention_layernorm = new RMSNorm(config.hidden_size, { eps });
  }

  override forward(x: Tensor, context: Context): Tensor {
    const h = scope(() => add(x, this.self_attn.forward(this.input_layernorm.forward(x), context)));
    const y = scope(() => add(h, this.mlp.forward(this.post_attention_layernorm.forward(h))));
    discard(h);
    return y;
  }
}

class LlamaModel extends Module {
  readonly embed_tokens: Embedding;
  readonly layers: ModuleList<LlamaDecoderLayer>;
  readonly norm: RMSNorm;
  private readonly rotary: RotaryTables;

  constructor(config: LlamaConfig) {
    super();
    const { headDim, rope, positions } = derived(config);
    this.embed_tokens = new Embedding(config.vocab_size, config.hidden_size);
    this.layers = new ModuleList(
      Array.from({ length: config.num_hidden_layers }, (_, i) => new LlamaDecoderLayer(config, i)),
    );
    this.norm = new RMSNorm(config.hidden_size, { eps: config.rms_norm_eps ?? 1e-6 });
    this.rotary = new RotaryTables(rotaryFrequencies("Llama", headDim, rope), positions);
  }

  override forward(ids: Tensor, positionIds: Tensor | undefined, { cache, mask }: CausalContext): Tensor {
    const start = cache?.length ?? 0;
    const length = positionIds ? lastPosition(positionIds) + 1 : start + ids.shape[1];
    const place = positionIds ? { positions: positionIds } : { offset: start };
    const context: Context = { place, mask, cache, tables: this.rotary.forward(length) };
    let h = this.embed_tokens.forward(ids);
    for (const layer of this.layers) {
      const input = h;
      h = scope(() => layer.forward(input, context));
      if (h !== input) discard(input);
    }
    return this.norm.forward(h);
  }
}

/**
 * Llama: a decoder with rotary positions (unscaled, scaled linearly or as "llama3"), grouped queries and gated
 * feed-forward layers; with the config's `model_type` "mistral" or "qwen2", that model.
 *
 *     const model = await models.Llama.fromPretrained("path/to/llama"); // or an address, files, the hub's "org/name"
 *     const logits = model.forward(tensor([[1, 403, 407]], { dtype: "int32" })); // [B, T, vocab]
 *     const ids = await model.generate([1], { maxNewTokens: 100, temperature: 0.8, topP: 0.9 });
 *
 * Texts padded on the left want `positionIds` beside the `attentionMask`.
 * Errors: token ids outside the vocabulary; texts longer than a sliding window; other ropes and unknown activations.
 *
 * @see https://huggingface.co/docs/transformers/model_doc/llama
 */
export class Llama extends CausalLanguageModel<LlamaConfig> {
  readonly model: LlamaModel;
  readonly lm_head: Linear;

  constructor(config: LlamaConfig) {
    super(config);
    checkLlama(config);
    this.model = new LlamaModel(config);
    this.lm_head = this.headOver(this.model.embed_tokens);
    this.initialize();
  }

  override forward(ids: Tensor, options: CausalForwardOptions = {}): Tensor {
    const { cache, attentionMask, positionIds, logitsToKeep } = options;
    checkCausalInputs("Llama", ids, options, this.config.vocab_size);
    if (positionIds) checkPositionIds("Llama", positionIds, ids.shape);
    const tokens = (cache?.length ?? 0) + ids.shape[1];
    checkWindow(this.config, tokens);
    return scope(() => {
      const mask = keyMask("Llama", attentionMask, [ids.shape[0], tokens]);
      const h = this.model.forward(ids, positionIds, { cache, mask });
      return this.lm_head.forward(lastTokens(h, logitsToKeep));
    });
  }

  /** @internal */
  override get positionLimit(): PositionLimit {
    const { positions, window } = derived(this.config);
    if (window < positions) return { tokens: window, field: "sliding_window", hard: true };
    return { tokens: positions, field: "max_position_embeddings", hard: false };
  }

  /** @internal */
  override get layout(): FileLayout {
    const modelType = this.config.model_type ?? "llama";
    return { modelType, architecture: architectures[modelType], prefix: "model.", ignored: /rotary_emb\.inv_freq$/ };
  }
}

const architectures: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
};

/** What follows from the fields of the config, by the rules of its model type. */
function derived(config: LlamaConfig): {
  headDim: number;
  keyHeads: number;
  biases: { qkv: boolean; o: boolean };
  positions: number;
  rope: RopeConfig;
  window: number;
} {
  const { model_type = "llama", hidden_size, num_attention_heads: heads, attention_bias = false } = config;
  const positions = config.max_position_embeddings ?? 2048;
  const { rope_theta = 10000, rope_scaling, rope_parameters } = config;
  return {
    headDim: config.head_dim ?? hidden_size / heads,
    keyHeads: config.num_key_value_heads ?? heads,
    biases:
      model_type === "llama" ? { qkv: attention_bias, o: attention_bias } : { qkv: model_type === "qwen2", o: false },
    positions,
    rope: { rope_theta, original_max_position_embeddings: positions, ...(rope_scaling ?? rope_parameters) },
    window: windowOf(config),
  };
}

/** How many tokens one sees where it is fewer than all; transformers' defaults, which differ by model type. */
function windowOf(config: LlamaConfig): number {
  const { model_type, sliding_window = 4096, use_sliding_window = false, max_window_layers = 28 } = config;
  const slides =
    model_type === "mistral" ||
    (model_type === "qwen2" && use_sliding_window && max_window_layers < config.num_hidden_layers);
  return slides && sliding_window !== null ? sliding_window : Number.POSITIVE_INFINITY;
}

function checkWindow(config: LlamaConfig, tokens: number): void {
  const window = windowOf(config);
  if (tokens > window) {
    throw new Error(
      `Llama: texts must not be longer than config.sliding_window, which is ${window}, in this version, got ${tokens} tokens`,
    );
  }
}

function checkLlama(config: LlamaConfig): void {
  checkConfig("Llama", config, {
    modelTypes: Object.keys(architectures),
    counts: ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"],
    optionalCounts: ["num_key_value_heads", "head_dim", "max_position_embeddings"],
    probabilities: ["attention_dropout"],
  });
  const { headDim, keyHeads, rope } = derived(config);
  activationOf("Llama", "hidden_act", config.hidden_act ?? "silu");
  rotaryFrequencies("Llama", headDim, rope);
  if (headDim % 2 !== 0) throw new Error(`Llama: the head dimension must be even, got ${headDim}`);
  if (config.num_attention_heads % keyHeads !== 0) {
    throw new Error(
      `Llama: num_attention_heads must be a multiple of num_key_value_heads, got ${config.num_attention_heads} and ${keyHeads}`,
    );
  }
}
