/** The next token from its logits, by the rules and in the order of Hugging Face's `generate`. */
import type { RandomStream } from "../random.js";
import { kernels } from "../wasm/kernels.js";

export interface SamplingOptions {
  /** 0 takes the likeliest token each time; 1 samples from the model's distribution. */
  temperature?: number;
  /** Sample among the k likeliest tokens (and those as likely as the k-th). */
  topK?: number;
  /** Sample among the likeliest tokens whose probabilities reach p together. Holtzman et al. 2020 */
  topP?: number;
  /** Divides the logits (multiplies negative ones) of tokens that occurred. Keskar et al. 2019 */
  repetitionPenalty?: number;
}

/** Tokens that may come next, with weights that are proportional to their probabilities. */
export interface Candidates {
  ids: readonly number[];
  weights: Float64Array;
}

/** The token that follows `tokens`. Changes `logits`. */
export function nextToken(
  logits: Float32Array,
  tokens: readonly number[],
  options: SamplingOptions,
  random: RandomStream,
): number {
  penalize(logits, tokens, options.repetitionPenalty ?? 1);
  const best = likeliest(logits);
  if (!Number.isFinite(logits[best])) throw new Error(`generate: logits must be finite, got ${logits[best]}`);
  if (!options.temperature) return best;
  const { ids, weights } = candidates(logits, options);
  return ids[draw(weights, random.next())];
}

export function penalize(logits: Float32Array, tokens: readonly number[], penalty: number): void {
  if (penalty === 1) return;
  for (const id of new Set(tokens)) logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
}

/** What is left after temperature, top-k and top-p, in this order. */
export function candidates(logits: Float32Array, { temperature = 1, topK, topP = 1 }: SamplingOptions): Candidates {
  const limit = topK === undefined || topK >= logits.length ? -Infinity : kthLargest(logits, topK);
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id] >= limit) ids.push(id);
  const top = logits[likeliest(logits)];
  const weights = Float64Array.from(ids, (id) => kernels.exp64((logits[id] - top) / temperature));
  return topP === 1 ? { ids, weights } : nucleus({ ids, weights }, topP);
}

/** The likeliest candidates of which it takes all to reach the share `p`, the likeliest first. */
function nucleus({ ids, weights }: Candidates, p: number): Candidates {
  const total = sum(weights);
  // Those below this weight have less than 1 − p together: none is needed, and only the others are sorted.
  const least = ((1 - p) * total) / weights.length;
  const order = [...weights.keys()].filter((i) => weights[i] >= least);
  order.sort((a, b) => weights[b] - weights[a] || ids[a] - ids[b]);
  let reached = 0;
  let count = 0;
  while (count < order.length && reached < p * total) reached += weights[order[count++]];
  const kept = order.slice(0, count);
  return { ids: kept.map((i) => ids[i]), weights: Float64Array.from(kept, (i) => weights[i]) };
}

/** The index that the uniform number `u` in [0, 1) picks. */
function draw(weights: Float64Array, u: number): number {
  let rest = u * sum(weights);
  const picked = weights.findIndex((w) => (rest -= w) < 0);
  return picked < 0 ? weights.length - 1 : picked;
}

function sum(weights: Float64Array): number {
  return weights.reduce((total, w) => total + w, 0);
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** The k-th largest value: partitions until only its place is left, without sorting. Hoare 1961 (FIND) */
function kthLargest(values: Float32Array, k: number): number {
  const a = values.slice();
  const place = k - 1;
  for (let low = 0, high = a.length - 1; low < high; ) {
    const pivot = a[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (a[i] > pivot) i++;
      while (a[j] < pivot) j--;
      if (i > j) break;
      [a[i], a[j]] = [a[j], a[i]];
      i++;
      j--;
    }
    if (place <= j) high = j;
    else if (place >= i) low = i;
    else break;
  }
  return a[place];
}
