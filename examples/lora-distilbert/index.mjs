/**
 * The mood of a sentence, told by DistilBERT through LoRA adapters on the parts that are switched on: everything is
 * frozen, the chosen layers get adapters, these are trained, merged into the weights and taken out again.
 */
import { existsSync } from "node:fs";
import { Command } from "commander";
import { data, F, init, io, lora, manualSeed, models, noGrad, optim, scope, tensor, train } from "wasmgrad";
import { labels, sentences, testCount } from "./sentences.mjs";
import { loadTokenizer, wordTokenizer } from "./tokenizers.mjs";

const flags = new Command("lora-distilbert")
  .description("tells good moods from bad ones with DistilBERT and LoRA")
  .option(
    "--model <dir>",
    "a DistilBERT directory, or org/name on the Hugging Face hub; without it, a small random one",
  )
  .option("--new-head", "start the classifier anew: a base model has none", false)
  .option("--parts <names>", "of query, key, value, projection, mlp, head", "query,value,mlp,head")
  .option("--rank <r>", "rank of the adapters", Number, 8)
  .option("--alpha <a>", "they are scaled by alpha / rank", Number, 16)
  .option("--epochs <n>", "times that all sentences are seen", Number, 25)
  .option("--learning-rate <lr>", "the highest; by default 5e-4, or 6e-3 without --model", Number)
  .option("--seed <n>", "of weights, dropout and order", Number, 1)
  .option("--out <dir>", "where the adapter goes, in PEFT's files", "wasmgrad-out/lora-distilbert")
  .parse()
  .opts();

await init();
manualSeed(flags.seed);

const training = sentences.slice(0, -testCount);
const test = sentences.slice(-testCount);

const { model, tokenizer } = flags.model ? await pretrained(flags.model) : fromScratch();

async function pretrained(source) {
  const dir = existsSync(source) ? source : await io.fromHub(source);
  const model = await models.DistilBertForSequenceClassification.fromPretrained(dir, { newHead: flags.newHead });
  return { model, tokenizer: loadTokenizer(dir) };
}

/** Words as tokens and two small layers. */
function fromScratch() {
  const tokenizer = wordTokenizer(training.map(([text]) => text));
  const model = new models.DistilBertForSequenceClassification({
    vocab_size: tokenizer.size,
    max_position_embeddings: 32,
    n_layers: 2,
    n_heads: 4,
    dim: 64,
    hidden_dim: 128,
    initializer_range: 0.1,
    id2label: Object.fromEntries(labels.entries()),
  });
  return { model, tokenizer };
}

/** Ids [B, T] with a mask that is 0 where a sentence has ended, and the moods [B]. */
function batchOf(samples) {
  const rows = samples.map(([text]) => tokenizer.encode(text));
  const length = Math.max(...rows.map((ids) => ids.length));
  const padded = rows.map((ids) => [...ids, ...new Array(length - ids.length).fill(0)]);
  return {
    ids: tensor(padded, { dtype: "int32" }),
    attentionMask: tensor(rows.map((ids) => Array.from({ length }, (_, i) => i < ids.length))),
    moods: tensor(Int32Array.from(samples, ([, mood]) => mood)),
  };
}

const logitsOf = (model, { ids, attentionMask }) => model.forward(ids, { attentionMask });

/** The probability of a good mood for each of `samples`. */
function predict(samples) {
  model.eval();
  return noGrad(() =>
    scope(() => [
      ...F.softmax(logitsOf(model, batchOf(samples)))
        .select(1, 1)
        .data(),
    ]),
  );
}

function show(when) {
  const probabilities = predict(test);
  const right = test.filter(([, mood], i) => mood === Number(probabilities[i] > 0.5)).length;
  console.log(`${when}: ${right} of ${test.length} unseen sentences right`);
  for (const [i, [text, mood]] of test.slice(0, 4).entries()) {
    const guess = labels[Number(probabilities[i] > 0.5)];
    console.log(`  ${(100 * probabilities[i]).toFixed(0).padStart(3)} % good → ${guess} (${labels[mood]}): ${text}`);
  }
}

show("before");

const parts = Object.fromEntries(flags.parts.split(",").map((part) => [part.trim(), true]));
const adapter = lora.apply(model, {
  alpha: flags.alpha,
  dropout: 0.1,
  ...lora.targetsFor(model, parts, { r: flags.rank }),
});
const { trainable, total, percent } = adapter.parameterCount();
console.log(
  `\nLoRA on ${Object.keys(parts).join(", ")}: ${trainable} of ${total} parameters (${percent.toFixed(1)} %)`,
);

const dataset = { length: training.length, get: (i) => training[i] };
const loader = new data.DataLoader(dataset, { batchSize: 13, shuffle: true, seed: flags.seed, collate: batchOf });
const lr = flags.learningRate ?? (flags.model ? 5e-4 : 6e-3);
const optimizer = new optim.AdamW(adapter.trainableParameters(), { lr });
const totalSteps = flags.epochs * loader.length;
const scheduler = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps: Math.min(10, totalSteps), totalSteps });
await train.fit(model, loader, {
  epochs: flags.epochs,
  optimizer,
  scheduler: { scheduler, interval: "step" },
  loss: (model, batch) => F.crossEntropy(logitsOf(model, batch), batch.moods),
  callbacks: [new train.ProgressBar({ title: "fine-tuning" })],
});

console.log("");
show("after");
lora.saveAdapter(adapter, { dir: flags.out });
console.log(`\nadapter: ${flags.out}`);

const separate = predict(test);
adapter.merge();
const merged = predict(test);
const difference = Math.max(...separate.map((p, i) => Math.abs(p - merged[i])));
adapter.detach();
const alone = predict(test);
console.log(`merged: probabilities differ by ${difference.toExponential(1)} at most from the adapter's`);
console.log(
  `detached: ${alone.every((p, i) => p === merged[i]) ? "the plain layers compute the same" : "the layers differ"}, ` +
    `${model.numParameters() === total - trainable ? "and nothing of the adapter is left" : "but parameters are left"}`,
);
