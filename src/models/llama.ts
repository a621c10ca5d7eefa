/** Llama, with the state-dict keys and the logits of Hugging Face's `LlamaForCausalLM`. Touvron et al. 2023 */
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { ModuleList } from "../nn/containers.js";
import { Embedding } from "../nn/embedding.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { RMSNorm } from "../nn/norm.js";
import { scaledDotProductAttention } from "../ops/attention.js";
import { add, mul } from "../ops/binary.js";
import { to } from "../ops/convert.js";
import { rotaryEmbedding } from "../ops/rotary.js";
import { silu } from "../ops/unary.js";
import { permute, reshape } from "../ops/view.js";
import { discard, scope } from "../scope.js";
import { sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import type { KeyValueCache } from "./cache.js";
import type { PretrainedConfig } from "./config.js";
import { type GenerateOptions, generate } from "./generate.js";
import { type FileLayout, PretrainedModel } from "./pretrained.js";
import { RotaryTables } from "./rotary.js";

interface RopeConfig {
  rope_type?: string;
  type?: string;
  rope_theta?: number;
}

/** The fields of Hugging Face's config.json that matter here. */
export interface LlamaConfig extends PretrainedConfig {
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads?: number;
  head_dim?: number;
  max_position_embeddings?: number;
  rms_norm_eps?: number;
  rope_theta?: number;
  tie_word_embeddings?: boolean;
  attention_bias?: boolean;
  mlp_bias?: boolean;
  hidden_act?: string;
  rope_scaling?: RopeConfig | null;
  /** Where newer files keep `rope_theta`. */
  rope_parameters?: RopeConfig | null;
  model_type?: string;
  initializer_range?: number;
  bos_token_id?: number | null;
  eos_token_id?: number | number[] | null;
}

interface Context {
  /** Position of the first token, where `positions` does not say each token's. */
  start: number;
  /** int32 [B, T] */
  positions?: Tensor;
  /** bool [B, 1, 1, tokens so far], false where a key takes no part. */
  mask?: Tensor;
  cache?: KeyValueCache;
  tables: { cos: Tensor; sin: Tensor };
}

class LlamaAttention extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;

  constructor(
    config: LlamaConfig,
    private readonly layer: number,
  ) {
    super();
    const { hidden_size: hidden, num_attention_heads: heads, attention_bias: bias = false } = config;
    const keyHeads = config.num_key_value_heads ?? heads;
    const headDim = headDimOf(config);
    this.q_proj = new Linear(hidden, heads * headDim, { bias });
    this.k_proj = new Linear(hidden, keyHeads * headDim, { bias });
    this.v_proj = new Linear(hidden, keyHeads * headDim, { bias });
    this.o_proj = new Linear(heads * headDim, hidden, { bias });
    this.headDim = headDim;
  }

  private readonly headDim: number;

  override forward(x: Tensor, { start, positions, mask, cache, tables }: Context): Tensor {
    const [B, T] = x.shape;
    const { cos, sin } = tables;
    const place = positions ? { positions } : { offset: start };
    const heads = (t: Tensor) => permute(reshape(t, [B, T, -1, this.headDim]), [0, 2, 1, 3]); // (B, H, T, D)
    const q = rotaryEmbedding(heads(this.q_proj.forward(x)), cos, sin, place);
    let k = rotaryEmbedding(heads(this.k_proj.forward(x)), cos, sin, place);
    let v = heads(this.v_proj.forward(x));
    if (cache) ({ keys: k, values: v } = cache.append(this.layer, k, v));
    const y = scaledDotProductAttention(q, k, v, { attnMask: mask, isCausal: true, causalOffset: k.shape[2] - T });
    return this.o_proj.forward(reshape(permute(y, [0, 2, 1, 3]), [B, T, -1]));
  }
}

class LlamaMLP extends Module {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;

  constructor({ hidden_size: hidden, intermediate_size: inner, mlp_bias: bias = false }: LlamaConfig) {
    super();
    this.gate_proj = new Linear(hidden, inner, { bias });
    this.up_proj = new Linear(hidden, inner, { bias });
    this.down_proj = new Linear(inner, hidden, { bias });
  }

  override forward(x: Tensor): Tensor {
    return this.down_proj.forward(mul(silu(this.gate_proj.forward(x)), this.up_proj.forward(x)));
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
    this.embed_tokens = new Embedding(config.vocab_size, config.hidden_size);
    this.layers = new ModuleList(
      Array.from({ length: config.num_hidden_layers }, (_, i) => new LlamaDecoderLayer(config, i)),
    );
    this.norm = new RMSNorm(config.hidden_size, { eps: config.rms_norm_eps ?? 1e-6 });
    this.rotary = new RotaryTables(
      headDimOf(config),
      config.rope_theta ?? config.rope_parameters?.rope_theta ?? 10000,
      config.max_position_embeddings ?? 2048,
    );
  }

  override forward(ids: Tensor, { cache, attentionMask, positionIds }: LlamaForwardOptions = {}): Tensor {
    const start = cache?.length ?? 0;
    const mask = attentionMask && keyMask(attentionMask, ids.shape[0], start + ids.shape[1]);
    const length = positionIds ? Math.max(...positionIds.data()) + 1 : start + ids.shape[1];
    const context: Context = { start, positions: positionIds, mask, cache, tables: this.rotary.forward(length) };
    let h = this.embed_tokens.forward(ids);
    for (const layer of this.layers) {
      const input = h;
      h = scope(() => layer.forward(input, context));
      if (h !== input) discard(input);
    }
    return this.norm.forward(h);
  }
}

export interface LlamaForwardOptions {
  /** Earlier tokens' keys and values; `ids` are the tokens after them. */
  cache?: KeyValueCache;
  /** [B, tokens so far], 0 where a token (padding) is not to be seen. */
  attentionMask?: Tensor;
  /** int32 [B, T], each token's place in its text; one after the other if left out. */
  positionIds?: Tensor;
}

/** A causal language model: logits [B, T, vocab] for token ids [B, T]. */
export class Llama extends PretrainedModel<LlamaConfig> {
  readonly model: LlamaModel;
  readonly lm_head: Linear;

  constructor(config: LlamaConfig) {
    super(config);
    checkLlama(config);
    this.model = new LlamaModel(config);
    this.lm_head = new Linear(config.hidden_size, config.vocab_size, { bias: false });
    if (config.tie_word_embeddings) {
      this.lm_head.weight.dispose();
      this.lm_head.weight = this.model.embed_tokens.weight;
    }
    this.initialize();
  }

  override forward(ids: Tensor, options: LlamaForwardOptions = {}): Tensor {
    checkOptions("Llama", options, ["cache", "attentionMask", "positionIds"]);
    if (ids.ndim !== 2 || ids.size === 0) {
      throw new ShapeError(
        `Llama: token ids must have shape [batch, tokens] with one token or more, got ${showShape(ids.shape)}`,
      );
    }
    return scope(() => this.lm_head.forward(this.model.forward(ids, options)));
  }

  /** `ids` and what follows them; ends after the config's end-of-sequence token unless `stop` says otherwise. */
  generate(ids: ArrayLike<number>, options: GenerateOptions = {}): Promise<number[]> {
    return generate(this, ids, { ...options, stop: options.stop ?? [this.config.eos_token_id ?? []].flat() });
  }

  /** @internal */
  override get layout(): FileLayout {
    return {
      modelType: "llama",
      architecture: "LlamaForCausalLM",
      prefix: "model.",
      ignored: /rotary_emb\.inv_freq$/,
    };
  }
}

function headDimOf({ head_dim, hidden_size, num_attention_heads }: LlamaConfig): number {
  return head_dim ?? hidden_size / num_attention_heads;
}

function keyMask(attentionMask: Tensor, B: number, tokens: number): Tensor {
  if (!sameShape(attentionMask.shape, [B, tokens])) {
    throw new ShapeError(
      `Llama: attentionMask must have shape ${showShape([B, tokens])}, got ${showShape(attentionMask.shape)}`,
    );
  }
  return reshape(to(attentionMask, "bool"), [B, 1, 1, tokens]);
}

/** What would silently give other logits, or cannot be built, is an error. */
function checkLlama(config: LlamaConfig): void {
  const sizes = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"] as const;
  for (const name of sizes) {
    if (!(Number.isInteger(config[name]) && config[name] > 0)) {
      throw new Error(`Llama: config.${name} must be a whole number from 1, got ${config[name]}`);
    }
  }
  const headDim = headDimOf(config);
  const keyHeads = config.num_key_value_heads ?? config.num_attention_heads;
  if (headDim % 2 !== 0) throw new Error(`Llama: the head dimension must be even, got ${headDim}`);
  if (config.num_attention_heads % keyHeads !== 0) {
    throw new Error(
      `Llama: num_attention_heads must be a multiple of num_key_value_heads, got ${config.num_attention_heads} and ${keyHeads}`,
    );
  }
  if (config.hidden_act !== undefined && config.hidden_act !== "silu") {
    throw new Error(`Llama: config.hidden_act must be "silu", got ${JSON.stringify(config.hidden_act)}`);
  }
  if (config.model_type !== undefined && config.model_type !== "llama") {
    throw new Error(`Llama: config.model_type must be "llama", got ${JSON.stringify(config.model_type)}`);
  }
  for (const rope of [config.rope_scaling, config.rope_parameters]) {
    const type = rope?.rope_type ?? rope?.type ?? "default";
    if (type !== "default")
      throw new Error(`Llama: the rope type must be "default" in this version, got ${JSON.stringify(type)}`);
  }
}
