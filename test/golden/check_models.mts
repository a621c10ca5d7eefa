/** Writes a directory per model, for check_models.py to load into transformers. Run: npx tsx test/golden/check_models.mts OUT_DIR */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { init, models, scope, type Tensor, tensor } from "../../src/index.js";

await init();
const fresh = { vocab_size: 30, initializer_range: 0.3 };
const bert = { ...fresh, max_position_embeddings: 12, n_layers: 2, n_heads: 2, dim: 16, hidden_dim: 20 };
const llama = {
  ...fresh,
  hidden_size: 16,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};
const llama3 = { rope_type: "llama3", factor: 4, low_freq_factor: 1, high_freq_factor: 4 };
const gpt2 = { ...fresh, n_positions: 12, n_embd: 16, n_layer: 2, n_head: 2, bos_token_id: 1, eos_token_id: 2 };

type AnyModel = models.PretrainedModel & { forward(ids: Tensor, options: { attentionMask: Tensor }): Tensor };

const made: Record<string, AnyModel> = {
  distilbert: new models.DistilBert(bert),
  classifier: new models.DistilBertForSequenceClassification({ ...bert, num_labels: 5 }),
  gpt2: new models.GPT2(gpt2),
  "gpt2-untied": new models.GPT2({ ...gpt2, tie_word_embeddings: false, n_inner: 24, activation_function: "relu" }),
  llama: new models.Llama({ ...llama, attention_bias: true, rope_theta: 500 }),
  "llama-llama3": new models.Llama({
    ...llama,
    rope_scaling: { ...llama3, original_max_position_embeddings: 16 },
    tie_word_embeddings: true,
  }),
  "llama-linear": new models.Llama({ ...llama, head_dim: 8, rope_parameters: { rope_type: "linear", factor: 2 } }),
  qwen2: new models.Llama({ ...llama, model_type: "qwen2", tie_word_embeddings: true }),
  mistral: new models.Llama({ ...llama, model_type: "mistral", sliding_window: null }),
};

const [out] = process.argv.slice(2);
const ids = [3, 7].map((step) => Array.from({ length: 9 }, (_, t) => (5 + step * t) % 30));
const mask = [9, 6].map((length) => Array.from({ length: 9 }, (_, t) => (t < length ? 1 : 0)));
for (const [name, model] of Object.entries(made)) {
  for (const [shards, options] of Object.entries({ whole: {}, sharded: { maxShardBytes: 3000 } })) {
    const dir = join(out, `${name}-${shards}`);
    await model.savePretrained(dir, options);
    const logits = scope(() =>
      model
        .eval()
        .forward(tensor(ids, { dtype: "int32" }), { attentionMask: tensor(mask) })
        .toArray(),
    );
    const expected = { ids, mask, logits, class: model.layout.architecture };
    await writeFile(join(dir, "expected.json"), JSON.stringify(expected));
  }
  model.dispose();
}
