/** New adapters from weighted sums of others: PEFT's add_weighted_adapter. */
import { checkOptions } from "../errors.js";
import type { Module } from "../nn/module.js";
import { Adapter } from "./adapter.js";
import type { LoraConfig } from "./config.js";
import type { LoraDelta } from "./delta.js";
import { productSvd } from "./svd.js";
import { exactly } from "./targets.js";

export interface CombineOptions {
  /**
   * "linear": the factors' weighted sums, an approximation that needs equal ranks. "cat": the exact sum, with the ranks'
   * sum. "svd": the nearest change of rank `rank` to the exact sum.
   */
  method?: "linear" | "cat" | "svd";
  /** For "svd": the largest of the ranks if left out. */
  rank?: number;
}

/** ΔWᵢ = sᵢ Bᵢ Aᵢ in one layer, and its weight wᵢ. */
interface Term {
  delta: LoraDelta;
  weight: number;
}

/** A [rank, in] and B [out, rank], row-major; ΔW is their product. */
interface Factors {
  rank: number;
  a: Float64Array;
  b: Float64Array;
}

/** Σ wᵢ ΔWᵢ as a new adapter of scaling 1, on every layer that one of `adapters` has. */
export function combine(
  model: Module,
  adapters: readonly Adapter[],
  weights: readonly number[],
  adapterName: string,
  options: CombineOptions,
): Adapter {
  const op = "lora.addWeightedAdapter";
  checkOptions(op, options, ["method", "rank"]);
  const { method = "linear" } = options;
  checkAdapters(op, adapters, weights, options);
  const terms = new Map<string, Term[]>();
  for (const [i, { layers }] of adapters.entries()) {
    for (const { path, delta } of layers) {
      terms.set(path, [...(terms.get(path) ?? []), { delta, weight: weights[i] }]);
    }
  }
  if (method === "linear") for (const [path, parts] of terms) checkRanks(op, path, parts);
  const results = new Map([...terms].map(([path, parts]) => [path, sums[method](parts, options.rank)]));
  const r = Math.max(...[...results.values()].map(({ rank }) => rank));
  const rankPattern = Object.fromEntries(
    [...results].filter(([, { rank }]) => rank !== r).map(([path, { rank }]) => [exactly(path), rank]),
  );
  const config: LoraConfig = {
    ...adapters[0].config,
    adapterName,
    targetModules: [...results.keys()],
    excludeModules: [],
    layersToTransform: null,
    layersPattern: [],
    initWeights: "default",
    scaling: "alpha/r",
    r,
    alpha: r,
    rankPattern,
    alphaPattern: rankPattern,
  };
  const adapter = new Adapter(op, model, config, { given: true });
  for (const { path, delta } of adapter.layers) {
    const { a, b } = results.get(path) as Factors;
    delta.lora_A.set(a);
    delta.lora_B.set(b);
  }
  return adapter;
}

const sums: Record<NonNullable<CombineOptions["method"]>, (parts: readonly Term[], rank?: number) => Factors> = {
  /** A = Σ ±√|wᵢsᵢ| Aᵢ and B = Σ √|wᵢsᵢ| Bᵢ, with the sign of wᵢsᵢ */
  linear(parts) {
    const [{ delta: first }] = parts;
    const a = new Float64Array(first.lora_A.size);
    const b = new Float64Array(first.lora_B.size);
    for (const { delta, weight } of parts) {
      const factor = weight * delta.scaling;
      const root = Math.sqrt(Math.abs(factor));
      addTo(a, delta.lora_A.data(), factor < 0 ? -root : root);
      addTo(b, delta.lora_B.data(), root);
    }
    return { rank: first.rank, a, b };
  },

  /** A = [w₁s₁A₁; w₂s₂A₂; …], B = [B₁, B₂, …] */
  cat(parts) {
    const rank = parts.reduce((sum, { delta }) => sum + delta.rank, 0);
    const [out, width] = [parts[0].delta.lora_B.shape[0], parts[0].delta.lora_A.shape[1]];
    const a = new Float64Array(rank * width);
    const b = new Float64Array(out * rank);
    let start = 0;
    for (const { delta, weight } of parts) {
      addTo(a.subarray(start * width), delta.lora_A.data(), weight * delta.scaling);
      const columns = delta.lora_B.data();
      for (const [i, value] of columns.entries()) {
        b[Math.floor(i / delta.rank) * rank + start + (i % delta.rank)] = value;
      }
      start += delta.rank;
    }
    return { rank, a, b };
  },

  /** A = Vᵀ and B = U S of Σ wᵢ ΔWᵢ = U S Vᵀ */
  svd(parts, wanted) {
    const { a, b, rank: inner } = sums.cat(parts);
    const [rows, cols] = [b.length / inner, a.length / inner];
    const rank = Math.min(wanted ?? Math.max(...parts.map(({ delta }) => delta.rank)), rows, cols, inner);
    const { u, s, vt } = productSvd(b, a, rows, inner, cols, rank);
    return { rank, a: vt, b: u.map((value, i) => value * s[i % rank]) };
  },
};

/** sum += factor · values */
function addTo(sum: Float64Array, values: ArrayLike<number>, factor: number): void {
  for (let i = 0; i < values.length; i++) sum[i] += factor * values[i];
}

function checkAdapters(
  op: string,
  adapters: readonly Adapter[],
  weights: readonly number[],
  { method = "linear", rank }: CombineOptions,
): void {
  if (!Object.hasOwn(sums, method))
    throw new Error(`${op}: method must be "linear", "cat" or "svd", got ${JSON.stringify(method)}`);
  if (rank !== undefined && !(method === "svd" && Number.isInteger(rank) && rank >= 1))
    throw new Error(`${op}: rank must be a whole number from 1 and beside method "svd", got ${rank} and "${method}"`);
  if (adapters.length === 0 || weights.length !== adapters.length || !weights.every(Number.isFinite)) {
    throw new Error(
      `${op}: there must be an adapter or more and a finite weight for each, got ${adapters.length} and [${weights.join(", ")}]`,
    );
  }
  for (const { config, trainsModel } of adapters) {
    const { useDora, initWeights, adapterName } = config;
    if (useDora || initWeights === "pissa" || trainsModel) {
      const what = useDora ? "DoRA" : initWeights === "pissa" ? "PiSSA" : "trained biases or modules";
      throw new Error(`${op}: adapters must be sums to the weights and nothing else, got ${adapterName} with ${what}`);
    }
  }
}

function checkRanks(op: string, path: string, parts: readonly Term[]): void {
  const ranks = parts.map(({ delta }) => delta.rank);
  if (new Set(ranks).size > 1) {
    throw new Error(
      `${op}: ranks must be equal for method "linear", got ${ranks.join(" and ")} at ${path}; use "cat" or "svd"`,
    );
  }
}
