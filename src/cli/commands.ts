/** What each command does, from its options to its report. */

import { accessSync, constants, mkdirSync } from "node:fs";
import { files } from "#files";
import { init, lora, manualSeed, memoryStats, models, type RuntimeInfo } from "../index.js";
import { locate } from "../io/hub.js";
import type { SimdOption } from "../wasm/kernels.js";
import { type Plan, prepareCheckpoint, type TrainingCheckpoint } from "./checkpoint.js";
import { type Corpus, splitCorpus } from "./corpus.js";
import {
  type AdapterOptions,
  applyAdapter,
  count,
  type FinetuneResult,
  finetune,
  print,
  promptIds,
  saveModel,
  trainPhase,
} from "./finetune.js";
import { showDownload } from "./progress.js";
import { MERGE_TOLERANCE, type RunDescription, type TitledPhase, writeReport } from "./runReport.js";
import fables from "./texts/fables.txt" with { type: "text" };
import logbook from "./texts/logbook.txt" with { type: "text" };
import { byteTokenizer, loadTokenizer, type TextTokenizer } from "./tokenizer.js";

const begun = new Date();

export interface CommonOptions {
  simd: SimdOption;
  seed: number;
}

export interface TrainingFlags extends AdapterOptions, CommonOptions {
  steps: number;
  batchSize: number;
  context: number;
  learningRate: number;
  warmup: number;
  weightDecay: number;
  prompt?: string;
  sampleTokens: number;
  temperature: number;
  out: string;
}

export interface FinetuneFlags extends TrainingFlags {
  model: string;
  data: string;
  maxChars: number;
  checkpointEvery: number;
  resume: boolean;
}

export interface DemoFlags extends TrainingFlags {
  pretrainSteps: number;
}

export interface GenerateFlags extends CommonOptions {
  model: string;
  adapter?: string;
  prompt: string;
  maxTokens: number;
  temperature: number;
  topK?: number;
  topP?: number;
  repetitionPenalty: number;
}

/** `wasmgrad finetune`: a model directory and a text in, a PEFT adapter, a merged model and a report out. */
export async function runFinetune(flags: FinetuneFlags): Promise<void> {
  const runtime = await start(flags);
  const signal = interruptSignal("saves what there is after the present step");
  const dir = await modelDirectory(flags.model, signal);
  const tokenizer = await loadTokenizer(dir);
  const text = await files.readText(flags.data);
  const used = text.slice(0, flags.maxChars);
  const tokens = tokenizer.encode(used);
  const corpus = splitCorpus(tokens, flags.context);
  const model = await models.Llama.fromPretrained(dir, { signal });
  checkVocabulary(tokens, model);
  checkPlan(model, flags);
  const checkpoint = await prepareCheckpoint({
    path: files.join(flags.out, "checkpoint.safetensors"),
    everySteps: flags.checkpointEvery,
    plan: planOf(flags),
    resume: flags.resume,
  });
  if (flags.resume && !checkpoint.resume) print(`no checkpoint at ${checkpoint.path}: starts from the beginning`);
  print(`model  ${flags.model}: ${count(model.numParameters())} parameters`);
  print(
    `data   ${flags.data}: ${charactersUsed(used.length, text.length)}, ${count(tokens.length)} tokens, ${describeSplit(corpus)}`,
  );
  const { result, phase } = await finetunePhase(model, tokenizer, corpus, { ...flags, checkpoint }, signal);
  if (!result.interrupted && (await files.exists(checkpoint.path))) await files.remove(checkpoint.path);
  await finish(flags, runtime, [phase], result, {
    title: `LoRA fine-tuning of ${flags.model}`,
    summary: `Fine-tuned on ${flags.data}.`,
    model: `Llama, ${count(model.numParameters())} parameters (${flags.model})`,
    data: [`${flags.data} (${charactersUsed(used.length, text.length)})`],
  });
}

/** `wasmgrad generate`: a prompt and what the model makes of it, printed as it comes. */
export async function runGenerate(flags: GenerateFlags): Promise<void> {
  if (flags.temperature === 0 && (flags.topK ?? flags.topP) !== undefined) {
    throw new Error("generate: --top-k and --top-p must come with a --temperature above 0, got 0");
  }
  await init({ simd: flags.simd });
  const interrupt = interruptSignal("ends after this token");
  const dir = await modelDirectory(flags.model, interrupt);
  const tokenizer = await loadTokenizer(dir);
  const model = await models.Llama.fromPretrained(dir, { signal: interrupt });
  if (flags.adapter) (await lora.loadAdapter(model, flags.adapter, { trainable: false })).merge();
  const ids = promptIds(model, tokenizer, flags.prompt);
  let shown = "";
  const soFar = [...ids];
  await model.generate(ids, {
    maxNewTokens: flags.maxTokens,
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    repetitionPenalty: flags.repetitionPenalty,
    seed: flags.seed,
    signal: interrupt,
    onToken: (id) => {
      soFar.push(id);
      const text = tokenizer.decode(soFar);
      // a character's bytes may be spread over tokens: wait for the last of them
      if (text.endsWith("\ufffd")) return;
      process.stdout.write(text.slice(shown.length));
      shown = text;
    },
  });
  process.stdout.write(`${tokenizer.decode(soFar).slice(shown.length)}\n`);
}

const demoModel: models.LlamaConfig = {
  vocab_size: 256,
  hidden_size: 96,
  intermediate_size: 256,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  initializer_range: 0.06,
  tie_word_embeddings: true,
};

const demoTraining = { batchSize: 12, learningRate: 8e-3, warmupSteps: 20, weightDecay: 0.1 };

/** `wasmgrad` alone: a small model from scratch on one text, then LoRA on another, both of which come with the package. */
export async function runDemo(flags: DemoFlags): Promise<void> {
  const runtime = await start(flags);
  const tokenizer = byteTokenizer();
  const first = splitCorpus(tokenizer.encode(fables), flags.context);
  const second = splitCorpus(tokenizer.encode(logbook), flags.context);
  const model = new models.Llama(demoModel);
  checkPlan(model, flags);
  print(
    `1  a byte-level Llama of ${count(model.numParameters())} parameters, from scratch, on fables: ${describeSplit(first)}`,
  );
  const signal = interruptSignal("saves what there is after the present step");
  const sampling = samplingOf(flags, "The fox ");
  const scratch = await trainPhase(
    "  training",
    model,
    tokenizer,
    first,
    { ...flags, ...demoTraining, steps: flags.pretrainSteps, signal },
    sampling,
  );
  if (scratch.interrupted) {
    for (const { path, bytes } of await saveModel(model, tokenizer, files.join(flags.out, "base")))
      print(`  ${path} (${count(bytes)} bytes)`);
    process.exitCode = INTERRUPTED;
    return;
  }
  print(`\n2  LoRA fine-tuning on a ship's logbook: ${describeSplit(second)}`);
  const { result, phase } = await finetunePhase(model, tokenizer, second, flags, signal, "Day ");
  const training = {
    title: "Training from scratch",
    description: "All parameters, from random ones, on fables.",
    prompt: sampling.prompt,
    result: scratch,
  };
  await finish(flags, runtime, [training, phase], result, {
    title: "A small Llama, trained and fine-tuned",
    summary: "A byte-level language model learned fables from scratch, then a ship's logbook through a LoRA adapter.",
    model: `byte-level Llama, ${count(result.parameters)} parameters, made in this run`,
    data: ["fables.txt, which comes with wasmgrad", "logbook.txt, which comes with wasmgrad"],
  });
}

async function start({ simd, seed }: CommonOptions): Promise<RuntimeInfo> {
  const runtime = await init({ simd });
  manualSeed(seed);
  print(
    `wasmgrad ${runtime.version} · ${runtime.variant} kernels, ${runtime.threads} thread · Node ${process.versions.node}\n`,
  );
  return runtime;
}

async function finetunePhase(
  model: models.Llama,
  tokenizer: TextTokenizer,
  corpus: Corpus,
  flags: TrainingFlags & { checkpoint?: TrainingCheckpoint },
  signal: AbortSignal,
  prompt: string = tokenizer.decode([...corpus.validation.subarray(0, 24)]),
): Promise<{ result: FinetuneResult; phase: TitledPhase }> {
  const sampling = samplingOf(flags, prompt);
  const result = await finetune(
    model,
    tokenizer,
    corpus,
    flags,
    { ...flags, warmupSteps: flags.warmup, signal },
    sampling,
    flags.out,
  );
  const description = `A LoRA adapter of rank ${flags.rank} on ${Array.isArray(flags.target) ? flags.target.join(", ") : "all linear layers"}; the base is frozen.`;
  return { result, phase: { title: "LoRA fine-tuning", description, prompt: sampling.prompt, result } };
}

/** `model` where it is a directory, else the one that the hub's model of that name is kept in. */
async function modelDirectory(model: string, signal: AbortSignal): Promise<string> {
  return (await locate(model, "config.json", { signal, onProgress: showDownload })) as string;
}

/** The options that decide what a fine-tuning computes. */
function planOf({
  simd,
  prompt,
  sampleTokens,
  temperature,
  out,
  checkpointEvery,
  resume,
  ...plan
}: FinetuneFlags): Plan {
  return plan;
}

function samplingOf(
  { prompt, sampleTokens, temperature, seed }: TrainingFlags,
  usual: string,
): { prompt: string; tokens: number; temperature: number; seed: number } {
  return { prompt: prompt ?? usual, tokens: sampleTokens, temperature, seed };
}

function describeSplit({ train, validation }: Corpus): string {
  return `${count(train.length)} tokens to train on, ${count(validation.length)} held out`;
}

function charactersUsed(used: number, all: number): string {
  return used < all ? `the first ${count(used)} of ${count(all)} characters (--max-chars)` : `${count(all)} characters`;
}

function checkVocabulary(tokens: readonly number[], { config }: models.Llama): void {
  const largest = tokens.reduce((most, id) => Math.max(most, id), 0);
  if (largest >= config.vocab_size) {
    throw new Error(
      `tokenizer: ids must be below the model's vocab_size ${config.vocab_size}, got ${largest}; is it this model's tokenizer?`,
    );
  }
}

/** What would fail only after the training: the adapter's options, and the output folder. */
function checkPlan(model: models.Llama, flags: TrainingFlags): void {
  applyAdapter(model, flags).detach();
  try {
    mkdirSync(flags.out, { recursive: true });
    accessSync(flags.out, constants.W_OK);
  } catch (error) {
    throw new Error(`--out must be a folder that can be written, got ${(error as Error).message}`);
  }
}

/** The exit code of a command that Ctrl-C ended. */
export const INTERRUPTED = 130;

/** Why a command ended without results. */
export class Interruption extends Error {}

/** The first Ctrl-C ends the work in order, the second at once. */
function interruptSignal(what: string): AbortSignal {
  const controller = new AbortController();
  process.on("SIGINT", () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    process.stderr.write(`\ninterrupted: ${what}; Ctrl-C again quits at once\n`);
    controller.abort(new Interruption("interrupted before there was anything to save"));
  });
  return controller.signal;
}

/** Writes the report and says what there is now. */
async function finish(
  flags: TrainingFlags,
  runtime: RuntimeInfo,
  phases: readonly TitledPhase[],
  result: FinetuneResult,
  about: Pick<RunDescription, "title" | "summary" | "model" | "data">,
): Promise<void> {
  const { reservedBytes, peakBytes } = memoryStats();
  const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  print(
    `\n${count(Math.round(result.tokensPerSecond))} tokens/s in fine-tuning · memory ${mebibytes(peakBytes)} at the most, ${mebibytes(reservedBytes)} reserved`,
  );
  for (const { path, bytes } of result.files) print(`  ${path} (${count(bytes)} bytes)`);
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value]),
  );
  const report = await writeReport(flags.out, { ...about, runtime, begun, seed: flags.seed, options }, phases, result);
  print(`report: ${report}`);
  if (result.mergeDifference > MERGE_TOLERANCE) {
    throw new Error(
      `merge: merged weights must compute what the adapter computes to ${MERGE_TOLERANCE}, got ${result.mergeDifference}`,
    );
  }
  if (result.interrupted) process.exitCode = INTERRUPTED;
}
