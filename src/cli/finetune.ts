/** LoRA fine-tuning of a language model on a text: what the commands share. */

import { files } from "#files";
import { lora, type models, noGrad, quant, scope, tensor } from "../index.js";
import type { TrainingCheckpoint } from "./checkpoint.js";
import { type Corpus, evaluate } from "./corpus.js";
import type { TextTokenizer } from "./tokenizer.js";
import { type TrainingOptions, type TrainingResult, trainLanguageModel } from "./training.js";

export interface AdapterOptions {
  rank: number;
  alpha: number;
  dropout: number;
  target: readonly string[] | "all-linear";
  rslora: boolean;
  /** Keeps the base in codes: QLoRA. */
  quantize?: quant.SchemeName | "none";
}

export interface SampleOptions {
  prompt: string;
  tokens: number;
  temperature: number;
  seed: number;
}

/** What was measured of one training phase. */
export interface PhaseResult extends TrainingResult {
  validationBefore: number;
  validationAfter: number;
  sampleBefore: string;
  sampleAfter: string;
  trainable: number;
  parameters: number;
}

export interface FinetuneResult extends PhaseResult {
  /** The largest difference between the logits of the adapter and those of the merged weights. */
  mergeDifference: number;
  files: { path: string; bytes: number }[];
}

/**
 * Trains, with the validation loss and a sample before and after. `save` runs as soon as the training has ended.
 * An abort before the first step rejects; later it ends the training.
 */
export async function trainPhase(
  title: string,
  model: models.Llama,
  tokenizer: TextTokenizer,
  corpus: Corpus,
  training: TrainingOptions,
  sampling: SampleOptions,
  save: () => void = () => {},
): Promise<PhaseResult> {
  const parameters = model.parameters().filter((p) => p.requiresGrad);
  model.eval();
  const validationBefore = await evaluate(model, corpus.validation, training.context, training.signal);
  const sampleBefore = await sample(model, tokenizer, sampling);
  print(`  validation loss before: ${validationBefore.toFixed(4)}`);
  print(quote(sampling.prompt, sampleBefore));
  model.train();
  training.signal.throwIfAborted();
  const result = await trainLanguageModel(title, model, parameters, corpus, training);
  save();
  model.eval();
  const validationAfter = await evaluate(model, corpus.validation, training.context);
  const sampleAfter = await sample(model, tokenizer, sampling);
  print(`  validation loss after:  ${validationAfter.toFixed(4)}`);
  if (!(validationAfter < validationBefore))
    print("  the validation loss has not fallen: try a lower --learning-rate or more --steps");
  print(quote(sampling.prompt, sampleAfter));
  const trainable = parameters.reduce((sum, p) => sum + p.size, 0);
  return {
    ...result,
    validationBefore,
    validationAfter,
    sampleBefore,
    sampleAfter,
    trainable,
    parameters: model.numParameters(),
  };
}

/** Adapter in, trained, saved, merged, checked, saved: `out/adapter` for PEFT, `out/merged` for transformers. */
export async function finetune(
  model: models.Llama,
  tokenizer: TextTokenizer,
  corpus: Corpus,
  adapter: AdapterOptions,
  training: Omit<TrainingOptions, "checkpoint"> & { checkpoint?: TrainingCheckpoint },
  sampling: SampleOptions,
  out: string,
): Promise<FinetuneResult> {
  const total = model.numParameters();
  const scheme = adapter.quantize === "none" ? undefined : adapter.quantize;
  if (scheme) quantizeBase(model, scheme);
  let handle = applyAdapter(model, adapter);
  const { trainable } = handle.parameterCount();
  print(
    `  LoRA rank ${adapter.rank}: ${count(trainable)} parameters are trained, ${((100 * trainable) / total).toFixed(2)} % of the base's ${count(total)}`,
  );
  const { checkpoint } = training;
  const saveAdapter = () => lora.saveAdapter(handle, { dir: files.join(out, "adapter") });
  const options = { ...training, checkpoint: checkpoint && { ...checkpoint, model: handle } };
  const phase = await trainPhase("  fine-tuning", model, tokenizer, corpus, options, sampling, saveAdapter);
  const probe = corpus.validation.subarray(0, training.context);
  const separate = logitsOf(model, probe);
  const adapterFiles = lora.saveAdapter(handle);
  if (scheme) {
    handle.detach();
    quant.dequantizeModel(model);
    handle = await lora.loadAdapter(model, adapterFiles);
  }
  handle.merge();
  const merged = logitsOf(model, probe);
  const mergeDifference = separate.reduce((most, value, i) => Math.max(most, Math.abs(value - merged[i])), 0);
  print(`  merged weights differ from the adapter by ${mergeDifference.toExponential(1)} at most in the logits`);
  handle.detach();
  const modelFiles = await saveModel(model, tokenizer, files.join(out, "merged"));
  return {
    ...phase,
    parameters: total,
    mergeDifference,
    files: [...sizes(files.join(out, "adapter"), adapterFiles), ...modelFiles],
  };
}

function quantizeBase(model: models.Llama, scheme: quant.SchemeName): void {
  const { layers, bytesAfter, ratio, maxError, meanError } = quant.quantizeModel(model, scheme);
  print(
    `  base in ${scheme}: ${layers.length} layers take ${count(bytesAfter)} bytes, ${ratio.toFixed(3)} of float32; weights differ by ${meanError.toExponential(1)} on average, ${maxError.toExponential(1)} at most`,
  );
}

export function applyAdapter(
  model: models.Llama,
  { rank: r, alpha, dropout, target, rslora }: AdapterOptions,
): lora.LoraHandle {
  const scaling = rslora ? "alpha/sqrt(r)" : "alpha/r";
  return lora.apply(model, { r, alpha, dropout, targetModules: target, scaling });
}

/** Weights, config and tokenizer in one directory; returns what was written. */
export async function saveModel(
  model: models.Llama,
  tokenizer: TextTokenizer,
  dir: string,
): Promise<FinetuneResult["files"]> {
  const weights = await model.savePretrained(dir);
  for (const [name, text] of Object.entries(tokenizer.files)) await files.writeFileAtomic(files.join(dir, name), text);
  return sizes(dir, { ...weights, ...tokenizer.files });
}

async function sample(
  model: models.Llama,
  tokenizer: TextTokenizer,
  { prompt, tokens, temperature, seed }: SampleOptions,
): Promise<string> {
  const ids = promptIds(model, tokenizer, prompt);
  const all = await model.generate(ids, { maxNewTokens: tokens, temperature, seed });
  return tokenizer.decode(all).slice(tokenizer.decode(ids).length);
}

/** The prompt's tokens after the model's beginning-of-sequence token, if it has one. */
export function promptIds({ config }: models.Llama, tokenizer: TextTokenizer, prompt: string): number[] {
  const ids = [...(config.bos_token_id == null ? [] : [config.bos_token_id]), ...tokenizer.encode(prompt)];
  if (ids.length === 0) throw new Error("prompt: the prompt must have one token or more, got none");
  return ids;
}

function logitsOf(model: models.Llama, ids: Int32Array): Float32Array {
  return noGrad(() => scope(() => model.forward(tensor(ids, { shape: [1, ids.length] })).data() as Float32Array));
}

function sizes(dir: string, contents: Record<string, string | Uint8Array>): FinetuneResult["files"] {
  return Object.entries(contents).map(([name, content]) => ({
    path: files.join(dir, name),
    bytes: typeof content === "string" ? new TextEncoder().encode(content).length : content.length,
  }));
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function count(n: number): string {
  return n.toLocaleString("en-US");
}

/** A sample, indented, with its prompt in brackets. */
function quote(prompt: string, text: string): string {
  return `  [${prompt}]${text}`.replaceAll("\n", "\n    ");
}
