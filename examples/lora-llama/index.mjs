/**
 * A Llama from Hugging Face learns the manner of a text through LoRA adapters, which are saved for PEFT. Ctrl-C saves
 * what there is; the same command with --resume goes on from there, bit for bit.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { Command } from "commander";
import { data, F, init, io, lora, manualSeed, models, optim, tensor, train } from "wasmgrad";

const flags = new Command("lora-llama")
  .description("fine-tunes a Llama on a text with LoRA")
  .requiredOption("--model <dir>", "directory with config.json, safetensors and tokenizer.json, or org/name on the hub")
  .requiredOption("--data <file>", "text to learn from; its last tenth is held out")
  .option("--max-chars <n>", "use the first n characters of it", Number, 60_000)
  .option("--target <names>", "layers to adapt, comma-separated, or all-linear", "all-linear")
  .option("--rank <r>", "rank of the adapters", Number, 8)
  .option("--alpha <a>", "they are scaled by alpha / rank", Number, 16)
  .option("--dropout <p>", "before them", Number, 0.05)
  .option("--epochs <n>", "times that the text is read", Number, 2)
  .option("--batch-size <n>", "rows in a batch", Number, 8)
  .option("--context <n>", "tokens in a row", Number, 128)
  .option("--learning-rate <lr>", "the highest", Number, 3e-3)
  .option("--prompt <text>", "start of the samples; by default the first line of what is held out")
  .option("--sample-tokens <n>", "tokens of each sample", Number, 60)
  .option("--seed <n>", "of adapters, order and samples", Number, 1)
  .option("--resume", "go on where the last run in --out ended", false)
  .option("--out <dir>", "where adapter and checkpoint go", "wasmgrad-out/lora-llama")
  .parse()
  .opts();

const interrupt = new AbortController();
process.on("SIGINT", () => {
  if (interrupt.signal.aborted) process.exit(130);
  console.error("\ninterrupted: saves what there is after this step; Ctrl-C again quits at once");
  interrupt.abort();
});

const dir = existsSync(flags.model) ? flags.model : await io.fromHub(flags.model, { signal: interrupt.signal });
const readJson = (name) => JSON.parse(readFileSync(join(dir, name), "utf8"));
const tokenizer = new Tokenizer(readJson("tokenizer.json"), readJson("tokenizer_config.json"));
const encode = (text) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const decode = (ids) => tokenizer.decode(ids, { skip_special_tokens: true });

const text = readFileSync(flags.data, "utf8").slice(0, flags.maxChars);
const tokens = encode(text);
const cut = Math.floor(0.9 * tokens.length);

/** Rows of `context` tokens and the tokens that follow each of them. */
function batches(tokens, { shuffle }) {
  const { context, batchSize, seed } = flags;
  const length = Math.floor((tokens.length - 1) / context);
  if (length < 1)
    throw new Error(`lora-llama: --data must have more than ${10 * context} tokens, got ${tokens.length}`);
  const dataset = { length, get: (i) => Int32Array.from(tokens.slice(i * context, (i + 1) * context + 1)) };
  const rows = (samples, shift) =>
    tensor(
      samples.flatMap((row) => [...row.subarray(shift, shift + context)]),
      { shape: [samples.length, context], dtype: "int32" },
    );
  const collate = (samples) => ({ inputs: rows(samples, 0), targets: rows(samples, 1) });
  return new data.DataLoader(dataset, { batchSize, shuffle, seed, collate });
}

const training = batches(tokens.slice(0, cut), { shuffle: true });
const validation = batches(tokens.slice(cut), { shuffle: false });

await init();
manualSeed(flags.seed);
const model = await models.Llama.fromPretrained(dir, { signal: interrupt.signal });
console.log(
  `${flags.model}: ${model.numParameters().toLocaleString("en-US")} parameters; ${tokens.length} tokens of text`,
);

function lossOf(model, { inputs, targets }) {
  const logits = model.forward(inputs); // (B, T, vocab)
  return F.crossEntropy(logits.reshape([-1, logits.shape[2]]), targets.flatten());
}

const prompt =
  flags.prompt ??
  decode(tokens.slice(cut, cut + flags.context))
    .trim()
    .split("\n")[0];
const bos = model.config.bos_token_id ?? [];

async function show(when) {
  const loss = await train.evaluate(model, validation, lossOf);
  const ids = [bos, encode(prompt)].flat();
  const all = await model.generate(ids, { maxNewTokens: flags.sampleTokens, temperature: 0.7, seed: flags.seed });
  console.log(`${when}: validation loss ${loss.toFixed(4)}\n  [${prompt}]${decode(all).slice(decode(ids).length)}\n`);
}

await show("before");

const adapter = lora.apply(model, {
  r: flags.rank,
  alpha: flags.alpha,
  dropout: flags.dropout,
  targetModules: flags.target === "all-linear" ? flags.target : flags.target.split(","),
});
const { trainable, percent } = adapter.parameterCount();
console.log(`LoRA of rank ${flags.rank}: ${trainable.toLocaleString("en-US")} trained (${percent.toFixed(2)} %)`);

mkdirSync(flags.out, { recursive: true });
const optimizer = new optim.AdamW(adapter.trainableParameters(), { lr: flags.learningRate });
const totalSteps = flags.epochs * training.length;
const scheduler = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps: Math.min(10, totalSteps), totalSteps });
const history = await train.fit(model, training, {
  epochs: flags.epochs,
  optimizer,
  scheduler: { scheduler, interval: "step" },
  loss: lossOf,
  clipGradNorm: 1,
  signal: interrupt.signal,
  checkpoint: {
    target: join(flags.out, "checkpoint.safetensors"),
    everySteps: 50,
    resume: flags.resume,
    model: adapter,
  },
  callbacks: [new train.ProgressBar({ title: "fine-tuning" })],
});
lora.saveAdapter(adapter, { dir: join(flags.out, "adapter") });
console.log(`${history.steps.length} of ${totalSteps} steps; adapter for PEFT: ${join(flags.out, "adapter")}\n`);

await show("after");
if (history.stopped === "aborted") process.exitCode = 130;
