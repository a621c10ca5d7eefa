import { describe, expect, test } from "vitest";
import {
  data,
  F,
  lora,
  manualSeed,
  memoryStats,
  models,
  optim,
  scope,
  type Tensor,
  tensor,
  train,
} from "../../src/index.js";

const B = 6;
const T = 5;
const V = 11;

interface Case {
  make: () => models.PretrainedModel;
  logits: (model: never, ids: Tensor, attentionMask: Tensor) => Tensor;
  targets: Tensor;
}

/** Logits [B·T, V] of a language model. */
function ofTokens(model: models.CausalLanguageModel, ids: Tensor, attentionMask: Tensor): Tensor {
  return F.reshape(model.forward(ids, { attentionMask }), [-1, V]);
}

const cases: Record<string, () => Case> = {
  DistilBertForSequenceClassification: () => ({
    make: () =>
      new models.DistilBertForSequenceClassification({
        vocab_size: V,
        initializer_range: 0.3,
        max_position_embeddings: T,
        n_layers: 1,
        n_heads: 2,
        dim: 8,
        hidden_dim: 16,
      }),
    logits: (model: models.DistilBertForSequenceClassification, ids, attentionMask) =>
      model.forward(ids, { attentionMask }),
    targets: tensor(Int32Array.from({ length: B }, (_, i) => i % 2)),
  }),
  GPT2: () => ({
    make: () =>
      new models.GPT2({ vocab_size: V, initializer_range: 0.3, n_positions: T, n_embd: 8, n_layer: 1, n_head: 2 }),
    logits: ofTokens,
    targets: shifted(),
  }),
  Llama: () => ({
    make: () =>
      new models.Llama({
        vocab_size: V,
        initializer_range: 0.3,
        hidden_size: 8,
        intermediate_size: 12,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        attention_dropout: 0.1,
      }),
    logits: ofTokens,
    targets: shifted(),
  }),
};

/** Row b is b, b + 1, …; the last token of every other row is padding. */
const token = (b: number, t: number) => (b + t) % V;
const isPadding = (b: number, t: number) => b % 2 === 1 && t === T - 1;
const grid = (value: (b: number, t: number) => number) =>
  Int32Array.from({ length: B * T }, (_, i) => value(Math.floor(i / T), i % T));

function shifted(): Tensor {
  return tensor(
    grid((b, t) => (t === T - 1 || isPadding(b, t + 1) ? -100 : token(b, t + 1))),
    { shape: [B, T] },
  );
}

describe("training", () => {
  for (const [name, prepare] of Object.entries(cases)) {
    for (const adapted of [false, true]) {
      test(`${name} learns${adapted ? " through LoRA adapters" : ""} with padding and dropout, in memory that stays flat, and releases it all`, async () => {
        const before = memoryStats();
        manualSeed(3);
        const { make, logits, targets } = prepare();
        const model = make();
        const adapter = adapted ? lora.apply(model, { r: 4, targetModules: "all-linear" }) : null;
        const inputs = [
          tensor(grid(token), { shape: [B, T] }),
          tensor(
            grid((b, t) => (isPadding(b, t) ? 0 : 1)),
            { shape: [B, T] },
          ),
        ];
        const loader = new data.DataLoader(new data.TensorDataset(...inputs, targets), { batchSize: 3 });
        const optimizer = new optim.AdamW(adapter?.trainableParameters() ?? model.parameters(), {
          lr: 0.02,
        });
        const live: number[] = [];
        const history = await train.fit(model, loader, {
          epochs: 40,
          optimizer,
          loss: (model, [ids, mask, targets]) =>
            F.crossEntropy(logits(model as never, ids, mask), F.reshape(targets, [-1])),
          callbacks: [{ onEpoch: () => void live.push(memoryStats().liveBytes) }],
        });
        const { epochs } = history;
        expect(epochs[39].loss).toBeLessThan((adapted ? 0.8 : 0.5) * epochs[0].loss);
        expect(new Set(live.slice(1)).size).toBe(1);
        expect(model.training).toBe(true);
        for (const owner of [...inputs, targets, optimizer, model]) owner.dispose();
        expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
      });
    }
  }

  test("fresh weights have transformers' spread; what adds to the residual path starts smaller, padding rows at zero", () => {
    const spread = (x: Tensor) => Math.sqrt(x.data().reduce((sum, value) => sum + value * value, 0) / x.size);
    manualSeed(1);
    const gpt2 = new models.GPT2({ vocab_size: 50, n_positions: 8, n_embd: 64, n_layer: 8, n_head: 2 });
    const { attn, mlp } = gpt2.transformer.h.at(3);
    expect(spread(attn.c_attn.weight) / 0.02).toBeCloseTo(1, 1);
    expect(spread(gpt2.transformer.wte.weight) / 0.02).toBeCloseTo(1, 1);
    expect(spread(attn.c_proj.weight) / 0.005).toBeCloseTo(1, 1);
    expect(spread(mlp.c_proj.weight) / 0.005).toBeCloseTo(1, 1);
    gpt2.dispose();
    const bert = new models.DistilBert({
      vocab_size: 9,
      n_layers: 1,
      dim: 24,
      hidden_dim: 8,
      pad_token_id: 2,
      initializer_range: 0.5,
    });
    scope(() => {
      const rows = bert.embeddings.word_embeddings.weight;
      expect(spread(F.narrow(rows, 0, 2, 1))).toBe(0);
      expect(spread(F.narrow(rows, 0, 0, 2))).toBeGreaterThan(0.2);
    });
    bert.dispose();
  });
});
