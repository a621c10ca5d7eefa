/**
 * The forward pass of a Llama with an adapter (rank 8 on all linear layers), with one that is merged, and of the very same
 * weights without it, for a batch of text and for one token: a merged adapter costs nothing, since it is the same layers
 * with other numbers. (Another model's weights would not do to compare with: where they lie decides up to 30 %.)
 */
import { lora, models, nn, noGrad, scope, tensor } from "../src/index.js";
import { interleave, median, start, table } from "./harness.js";

const config: models.LlamaConfig = {
  vocab_size: 512,
  hidden_size: 256,
  intermediate_size: 688,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  max_position_embeddings: 256,
};

await start();
const base = new models.Llama(config).eval();
const [separate, merged] = [0, 1].map(() => {
  const model = new models.Llama(config).eval();
  model.loadStateDict(base.stateDict());
  return { model, handle: lora.apply(model, { r: 8, targetModules: "all-linear" }) };
});
merged.handle.merge();
base.dispose();

/** Runs `forward` with the layers' deltas taken out. */
function without(model: models.Llama, forward: () => void): () => void {
  const layers = model.modules().filter((module) => module instanceof nn.Linear && module.delta) as nn.Linear[];
  const deltas = layers.map(({ delta }) => delta);
  return () => {
    for (const layer of layers) layer.delta = null;
    forward();
    for (const [i, layer] of layers.entries()) layer.delta = deltas[i];
  };
}

const rows = [["tokens", "separate", "without", "ratio", "merged", "without", "ratio"]];
for (const [B, T] of [
  [8, 128],
  [1, 32],
  [1, 1],
]) {
  const ids = tensor(
    Int32Array.from({ length: B * T }, (_, i) => (i * 37) % config.vocab_size),
    { shape: [B, T] },
  );
  const cells = [separate, merged].flatMap(({ model }) => {
    const forward = () => noGrad(() => scope(() => void model.forward(ids)));
    const [{ seconds, yardstick }] = interleave([forward], without(model, forward));
    const ratio = median(seconds.map((s, i) => s / yardstick[i]));
    return [...[seconds, yardstick].map((s) => `${(median(s) * 1000).toFixed(2)} ms`), ratio.toFixed(2)];
  });
  rows.push([`${B} × ${T}`, ...cells]);
  ids.dispose();
}
console.log(table(rows));
for (const { model, handle } of [separate, merged]) {
  handle.detach();
  model.dispose();
}
