/**
 * The forward pass of a Llama with no adapter, with one (rank 8 on all linear layers) and with one that is merged, for a
 * batch of text and for one token: a merged adapter costs nothing, since it is the same layers with other numbers.
 */
import { lora, models, noGrad, scope, tensor } from "../src/index.js";
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

const rows = [["tokens", "no adapter", "separate", "merged", "separate / none", "merged / none"]];
for (const [B, T] of [
  [8, 128],
  [1, 32],
  [1, 1],
]) {
  const ids = tensor(
    Int32Array.from({ length: B * T }, (_, i) => (i * 37) % config.vocab_size),
    { shape: [B, T] },
  );
  const forward = (model: models.Llama) => () => noGrad(() => scope(() => void model.forward(ids)));
  const timed = interleave([base, separate.model, merged.model].map(forward), forward(base));
  const seconds = timed.map(({ seconds }) => median(seconds));
  // each against the base's forward just before it
  const ratios = timed.map(({ seconds, yardstick }) => median(seconds.map((s, i) => s / yardstick[i])));
  const milliseconds = seconds.map((s) => `${(s * 1000).toFixed(2)} ms`);
  rows.push([`${B} × ${T}`, ...milliseconds, ratios[1].toFixed(2), ratios[2].toFixed(2)]);
  ids.dispose();
}
console.log(table(rows));
for (const { model, handle } of [separate, merged]) {
  handle.detach();
  model.dispose();
}
base.dispose();
