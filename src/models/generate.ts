/** Text generation with a key-value cache. */
import { checkOptions } from "../errors.js";
import { noGrad } from "../graph.js";
import { inMode } from "../nn/mode.js";
import { tensor } from "../ops/create.js";
import { Pacer } from "../pause.js";
import { RandomStream } from "../random.js";
import { scope } from "../scope.js";
import { KeyValueCache } from "./cache.js";
import type { CausalLanguageModel } from "./causal.js";
import { nextToken, type SamplingOptions } from "./sampling.js";

export interface GenerateOptions extends SamplingOptions {
  maxNewTokens?: number;
  /** Token ids that end the text; the model's end-of-sequence token by default. */
  stop?: readonly number[];
  seed?: number;
  onToken?: (id: number) => void;
  /** Ends after the present token; what there is so far is returned. */
  signal?: AbortSignal;
}

/** `ids` and what follows them. */
export async function generate(
  model: CausalLanguageModel,
  ids: ArrayLike<number>,
  options: GenerateOptions = {},
): Promise<number[]> {
  const { maxNewTokens = 20, stop = [], seed = 0, onToken, signal } = options;
  checkGenerateOptions(ids, options);
  checkLength(model, ids.length + maxNewTokens);
  const tokens = Array.from(ids);
  const random = new RandomStream(seed);
  const pacer = new Pacer();
  const cache = new KeyValueCache(tokens.length + Math.min(maxNewTokens, 256));
  try {
    for (let pending = tokens, n = 0; n < maxNewTokens && !signal?.aborted; n++) {
      const next = nextToken(nextLogits(model, pending, cache), tokens, options, random);
      tokens.push(next);
      onToken?.(next);
      if (stop.includes(next)) break;
      pending = [next];
      await pacer.pause();
    }
    return tokens;
  } finally {
    cache.dispose();
  }
}

/** The logits after the last of `ids`, without dropout. */
function nextLogits(model: CausalLanguageModel, ids: number[], cache: KeyValueCache): Float32Array {
  const restore = inMode(model, false);
  try {
    return noGrad(() =>
      scope(() =>
        model.forward(tensor([ids], { dtype: "int32" }), { cache, logitsToKeep: 1 }).data<Float32Array<ArrayBuffer>>(),
      ),
    );
  } finally {
    restore();
  }
}

/** The last token is not computed with. */
function checkLength(model: CausalLanguageModel, tokens: number): void {
  const { tokens: limit, field, hard } = model.positionLimit;
  if (tokens - 1 <= limit) return;
  const rule = `generate: prompt and maxNewTokens must fit config.${field}, which is ${limit}, got ${tokens} tokens`;
  if (hard) throw new Error(rule);
  console.warn(`${rule}; what comes after so many may make no sense`);
}

const known: Record<keyof GenerateOptions, true> = {
  maxNewTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  repetitionPenalty: true,
  stop: true,
  seed: true,
  onToken: true,
  signal: true,
};

function checkGenerateOptions(ids: ArrayLike<number>, options: GenerateOptions): void {
  checkOptions("generate", options, Object.keys(known));
  const { maxNewTokens = 20, temperature = 0, topK = 1, topP = 1, repetitionPenalty = 1, stop = [] } = options;
  const check = (holds: boolean, rule: string, got: unknown) => {
    if (!holds) throw new Error(`generate: ${rule}, got ${got}`);
  };
  check(isIds(ids), "the prompt must be a list of token ids", show(ids));
  check(isIds(stop), "stop must be a list of token ids", show(stop));
  check(ids.length > 0, "the prompt must have one token or more", "none");
  check(
    Number.isInteger(maxNewTokens) && maxNewTokens >= 0,
    "maxNewTokens must be a whole number from 0",
    maxNewTokens,
  );
  check(temperature >= 0 && Number.isFinite(temperature), "temperature must be a finite number from 0", temperature);
  check(Number.isInteger(topK) && topK >= 1, "topK must be a whole number from 1", topK);
  check(topP > 0 && topP <= 1, "topP must be above 0 and up to 1", topP);
  check(repetitionPenalty > 0, "repetitionPenalty must be above 0", repetitionPenalty);
}

/** Whether it is a list of whole numbers. */
function isIds(value: unknown): boolean {
  return (
    (Array.isArray(value) || ArrayBuffer.isView(value)) &&
    Array.from(value as ArrayLike<number>).every(Number.isInteger)
  );
}

function show(value: unknown): string {
  return Array.isArray(value) ? JSON.stringify(value).slice(0, 40) : `${value}`.slice(0, 40);
}
