/** Text generation with a key-value cache, by the rules and the order of Hugging Face's `generate`. */
import { noGrad } from "../graph.js";
import { tensor } from "../ops/create.js";
import { narrow } from "../ops/view.js";
import { Pacer } from "../pause.js";
import { RandomStream } from "../random.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { KeyValueCache } from "./cache.js";

export interface GenerateOptions {
  maxNewTokens?: number;
  /** 0 takes the likeliest token each time; 1 samples from the model's distribution. */
  temperature?: number;
  /** Sample among the k likeliest tokens. */
  topK?: number;
  /** Sample among the likeliest tokens whose probabilities reach p together. */
  topP?: number;
  /** Divides the logits (multiplies negative ones) of tokens that occurred. Keskar et al. 2019 */
  repetitionPenalty?: number;
  /** Token ids that end the text; the model's end-of-sequence token by default. */
  stop?: readonly number[];
  seed?: number;
  onToken?: (id: number) => void;
  /** Ends after the present token; what there is so far is returned. */
  signal?: AbortSignal;
}

/** A language model: logits [B, T, vocab] for ids [B, T], with the cache's tokens before them. */
export interface CausalModel {
  forward(ids: Tensor, options: { cache: KeyValueCache }): Tensor;
}

/** `ids` and what follows them. */
export async function generate(
  model: CausalModel,
  ids: ArrayLike<number>,
  options: GenerateOptions = {},
): Promise<number[]> {
  const { maxNewTokens = 20, stop = [], seed = 0, onToken, signal } = options;
  checkOptions(ids, options);
  const tokens = Array.from(ids);
  const random = new RandomStream(seed);
  const pacer = new Pacer();
  const cache = new KeyValueCache(tokens.length + Math.min(maxNewTokens, 256));
  try {
    for (let pending = tokens, n = 0; n < maxNewTokens && !signal?.aborted; n++) {
      const next = choose(nextLogits(model, pending, cache), tokens, options, random);
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

/** The logits after the last of `ids`. */
function nextLogits(model: CausalModel, ids: number[], cache: KeyValueCache): Float32Array {
  return noGrad(() =>
    scope(() => {
      const logits = model.forward(tensor([ids], { dtype: "int32" }), { cache });
      return narrow(logits, 1, ids.length - 1, 1).data() as Float32Array;
    }),
  );
}

function choose(
  logits: Float32Array,
  tokens: readonly number[],
  options: GenerateOptions,
  random: RandomStream,
): number {
  const { temperature = 0, topK, topP = 1, repetitionPenalty = 1 } = options;
  if (repetitionPenalty !== 1) {
    for (const id of new Set(tokens))
      logits[id] = logits[id] < 0 ? logits[id] * repetitionPenalty : logits[id] / repetitionPenalty;
  }
  if (temperature === 0) return likeliest(logits);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const candidates = order.slice(0, topK ?? order.length);
  const weights = candidates.map((id) => kernels.exp64((logits[id] - logits[candidates[0]]) / temperature));
  const kept = nucleus(weights, topP);
  return candidates[draw(weights.slice(0, kept), random.next())];
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** How many of the descending `weights` it takes to reach the share `p` of their sum. */
function nucleus(weights: readonly number[], p: number): number {
  const total = weights.reduce((sum, w) => sum + w, 0);
  let sum = 0;
  const reached = weights.findIndex((w) => (sum += w) >= p * total);
  return reached < 0 ? weights.length : reached + 1;
}

/** The index that the uniform number `u` in [0, 1) picks. */
function draw(weights: readonly number[], u: number): number {
  let rest = u * weights.reduce((sum, w) => sum + w, 0);
  const picked = weights.findIndex((w) => (rest -= w) < 0);
  return picked < 0 ? weights.length - 1 : picked;
}

function checkOptions(ids: ArrayLike<number>, options: GenerateOptions): void {
  const { maxNewTokens = 20, temperature = 0, topK = 1, topP = 1, repetitionPenalty = 1 } = options;
  const check = (holds: boolean, rule: string, got: unknown) => {
    if (!holds) throw new Error(`generate: ${rule}, got ${got}`);
  };
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
