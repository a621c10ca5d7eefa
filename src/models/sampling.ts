/** The next token from its logits, by the rules and in the order of Hugging Face's `generate`. */
import { div } from "../ops/binary.js";
import { tensor } from "../ops/create.js";
import { softmax } from "../ops/softmax.js";
import type { RandomStream } from "../random.js";
import { scope } from "../scope.js";

export interface SamplingOptions {
  /** 0 takes the likeliest token each time; 1 samples from the model's distribution. */
  temperature?: number;
  /** Sample among the k likeliest tokens, and those as likely as the k-th. */
  topK?: number;
  /** Sample among the likeliest tokens whose probabilities reach p together, and those as likely as the last. Holtzman et al. 2020 */
  topP?: number;
  /** Divides the logits (multiplies negative ones) of tokens that occurred. Keskar et al. 2019 */
  repetitionPenalty?: number;
}

/** The token that follows `tokens`. Changes `logits`. */
export function nextToken(
  logits: Float32Array,
  tokens: readonly number[],
  options: SamplingOptions,
  random: RandomStream,
): number {
  const { temperature = 0, repetitionPenalty = 1 } = options;
  penalize(logits, tokens, repetitionPenalty);
  const best = likeliest(logits);
  if (!Number.isFinite(logits[best])) throw new Error(`generate: logits must be finite, got ${logits[best]}`);
  return temperature === 0 ? best : draw(distribution(logits, { ...options, temperature }), random.next());
}

export function penalize(logits: Float32Array, tokens: readonly number[], penalty: number): void {
  if (penalty === 1) return;
  for (const id of new Set(tokens)) logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
}

/** What temperature, top-k and top-p, in this order, make of the logits: 0 for what they leave out, not scaled to the sum 1. */
export function distribution(logits: Float32Array, { temperature = 1, topK, topP = 1 }: SamplingOptions): Float32Array {
  if (topK !== undefined && topK < logits.length) keepFrom(logits, kthLargest(logits, topK), -Infinity);
  const probabilities = scope(() => softmax(div(tensor(logits), temperature)).data());
  if (topP < 1) keepFrom(probabilities, nucleusBound(probabilities, topP), 0);
  return probabilities;
}

/** The least probability among the likeliest tokens that reach the share `p` together. */
function nucleusBound(probabilities: Float32Array, p: number): number {
  // Those below this have less than 1 − p together: none of them is needed, and only the others are sorted.
  const least = (1 - p) / probabilities.length;
  const descending = probabilities
    .filter((q) => q >= least)
    .sort()
    .reverse();
  let reached = 0;
  const last = descending.findIndex((q) => (reached += q) >= p);
  return last < 0 ? 0 : descending[last];
}

function keepFrom(values: Float32Array, bound: number, left: number): void {
  for (let i = 0; i < values.length; i++) if (values[i] < bound) values[i] = left;
}

/** The index that the uniform number `u` in [0, 1) picks. */
function draw(weights: Float32Array, u: number): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  let rest = u * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    rest -= weights[i];
    if (rest < 0) break;
  }
  return last;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** The k-th largest value: halves what may hold it until only its place is left, without sorting. Hoare 1961 (FIND) */
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
      const swapped = a[i];
      a[i++] = a[j];
      a[j--] = swapped;
    }
    if (place <= j) high = j;
    else if (place >= i) low = i;
    else break;
  }
  return a[place];
}
