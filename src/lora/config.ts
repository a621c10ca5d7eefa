/** What an adapter is: the options of `lora.apply` with their defaults, checked. */
import { checkOptions } from "../errors.js";
import type { AdaptableLayer } from "../nn/delta.js";
import type { Module } from "../nn/module.js";
import { defaultTargets, largestRank, type Names } from "./targets.js";

const scalings = ["alpha/r", "alpha/sqrt(r)", "alpha"] as const;
const initializations = ["default", "gaussian", "pissa", "orthogonal"] as const;
const biasModes = ["none", "all", "lora_only"] as const;

export interface LoraConfig {
  /** The rank of ΔW. */
  r: number;
  alpha: number;
  /** Of the adapter's input, in training. */
  dropout: number;
  /** Names (exact paths or dotted suffixes), a pattern that matches whole paths, or every linear layer but the output head. */
  targetModules: Names | "all-linear";
  excludeModules: Names;
  /** What B·A is multiplied with: α/r, α/√r (rsLoRA, Kalajdzievski 2023) or α. */
  scaling: (typeof scalings)[number];
  /** Magnitude and direction apart: W' = m ⊙ (W + ΔW) / ‖W + ΔW‖ by rows. Liu et al. 2024 */
  useDora: boolean;
  /**
   * "default": A Kaiming-uniform, B zero. "gaussian": A from N(0, 1/r²), B zero. "orthogonal": random factors with
   * B A = 0. "pissa": the largest r singular vectors of W, which is the residual while the adapter is active (Meng et
   * al. 2024). Embeddings: A zero, B from N(0, 1), whatever it says.
   */
  initWeights: (typeof initializations)[number];
  /** Biases trained beside the adapter: none, all of the model's, or the adapted layers'. */
  biasMode: (typeof biasModes)[number];
  /** Modules trained whole, on a copy: those whose path ends with one of these names. */
  modulesToSave: readonly string[];
  /** Only the blocks with these numbers; for a list of names. */
  layersToTransform: readonly number[] | null;
  /** The names of the lists that hold the blocks; any, if empty. */
  layersPattern: readonly string[];
  /** Ranks and alphas of single layers: PEFT's patterns, matched against the end of the path. */
  rankPattern: Readonly<Record<string, number>>;
  alphaPattern: Readonly<Record<string, number>>;
  adapterName: string;
}

/** What a caller gives: numbers and names may stand for lists of one. */
export type LoraOptions = Partial<
  Omit<LoraConfig, "layersToTransform" | "layersPattern"> & {
    layersToTransform: number | readonly number[] | null;
    layersPattern: string | readonly string[];
  }
>;

const defaults: Omit<LoraConfig, "targetModules"> = {
  r: 8,
  alpha: 16,
  dropout: 0,
  excludeModules: [],
  scaling: "alpha/r",
  useDora: false,
  initWeights: "default",
  biasMode: "none",
  modulesToSave: [],
  layersToTransform: null,
  layersPattern: [],
  rankPattern: {},
  alphaPattern: {},
  adapterName: "default",
};

/** Fills in the defaults for `model` and checks every value. */
export function resolveConfig(op: string, model: Module, options: LoraOptions): LoraConfig {
  checkOptions(op, options, ["targetModules", ...Object.keys(defaults)]);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as LoraOptions;
  const config: LoraConfig = {
    ...defaults,
    ...given,
    targetModules: given.targetModules ?? defaultTargets(op, model),
    layersToTransform: listOf(given.layersToTransform),
    layersPattern: listOf(given.layersPattern) ?? [],
  };
  checkConfig(op, config);
  return config;
}

function listOf<T extends string | number>(value: T | readonly T[] | null | undefined): readonly T[] | null {
  if (value === null || value === undefined) return null;
  return typeof value === "object" ? value : [value];
}

function checkConfig(op: string, config: LoraConfig): void {
  const { targetModules, excludeModules, layersToTransform, layersPattern, r, alpha, dropout, modulesToSave } = config;
  const check = (name: string, value: unknown, holds: boolean, rule: string) => {
    if (!holds) throw new Error(`${op}: ${name} must be ${rule}, got ${show(value)}`);
  };
  const isNames = (value: unknown) => isListOf("string", value) || value instanceof RegExp;
  const isPositive = (value: number) => Number.isInteger(value) && value >= 1;
  check(
    "targetModules",
    targetModules,
    isNames(targetModules) || targetModules === "all-linear",
    'a list of names, a RegExp or "all-linear"',
  );
  check("excludeModules", excludeModules, isNames(excludeModules), "a list of names or a RegExp");
  check("modulesToSave", modulesToSave, isListOf("string", modulesToSave), "a list of names");
  check("r", r, isPositive(r), "a whole number from 1");
  check("alpha", alpha, Number.isFinite(alpha), "a finite number");
  check("dropout", dropout, dropout >= 0 && dropout < 1, "from 0 to below 1");
  check("useDora", config.useDora, typeof config.useDora === "boolean", "true or false");
  checkChoice(op, "scaling", config.scaling, scalings);
  checkChoice(op, "initWeights", config.initWeights, initializations);
  checkChoice(op, "biasMode", config.biasMode, biasModes);
  for (const name of ["rankPattern", "alphaPattern"] as const)
    check(name, config[name], isRecord(config[name]), "an object of numbers by pattern");
  for (const pattern of [...Object.keys(config.rankPattern), ...Object.keys(config.alphaPattern), ...layersPattern])
    check("a pattern", pattern, isPattern(pattern), "a regular expression");
  for (const [pattern, rank] of Object.entries(config.rankPattern))
    check(`rankPattern["${pattern}"]`, rank, isPositive(rank), "a whole number from 1");
  for (const [pattern, alpha] of Object.entries(config.alphaPattern))
    check(`alphaPattern["${pattern}"]`, alpha, Number.isFinite(alpha), "a finite number");
  if (layersToTransform !== null) {
    check("layersToTransform", layersToTransform, layersToTransform.every(Number.isInteger), "whole numbers");
    check("targetModules", targetModules, Array.isArray(targetModules), "a list of names beside layersToTransform");
  }
  if (layersPattern.length > 0)
    check("layersPattern", layersPattern, layersToTransform !== null, "given with layersToTransform");
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(`(${text})`) !== null;
  } catch {
    return false;
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isListOf(type: string, value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === type);
}

function checkChoice(op: string, name: string, value: unknown, choices: readonly string[]): void {
  const list = choices.map((choice) => JSON.stringify(choice));
  if (!choices.includes(value as string)) {
    throw new Error(`${op}: ${name} must be ${list.slice(0, -1).join(", ")} or ${list.at(-1)}, got ${show(value)}`);
  }
}

function show(value: unknown): string {
  return value instanceof RegExp || typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The rank and scaling of the layer at `path`. */
export function sizeOfAdapter(config: LoraConfig, path: string): { rank: number; scaling: number } {
  const rank = byPattern(config.rankPattern, path) ?? config.r;
  const alpha = byPattern(config.alphaPattern, path) ?? config.alpha;
  const divisor = { "alpha/r": rank, "alpha/sqrt(r)": Math.sqrt(rank), alpha: 1 }[config.scaling];
  return { rank, scaling: alpha / divisor };
}

/** As PEFT: the first key that, as a pattern, matches the end of the path. */
function byPattern(patterns: Readonly<Record<string, number>>, path: string): number | undefined {
  const key = Object.keys(patterns).find((pattern) => new RegExp(`^(.*\\.)?(${pattern})$`).test(path));
  return key === undefined ? undefined : patterns[key];
}

/** What cannot be done to this layer, before anything is. */
export function checkLayer(
  op: string,
  config: LoraConfig,
  path: string,
  layer: AdaptableLayer,
  anyRank: boolean,
): void {
  const { inFeatures, outFeatures } = layer;
  const { rank, scaling } = sizeOfAdapter(config, path);
  if (rank > largestRank(layer) && !anyRank) {
    throw new Error(
      `${op}: rank of ${path} must be a whole number from 1 to ${largestRank(layer)} (the layer is ${inFeatures} → ${outFeatures}), got ${rank}`,
    );
  }
  if (layer.isLookup) return;
  if (config.initWeights === "orthogonal" && rank % 2 !== 0)
    throw new Error(`${op}: the rank must be even for initWeights "orthogonal", got ${rank} at ${path}`);
  if (config.initWeights === "pissa" && !layer.isExact)
    throw new Error(`${op}: initWeights "pissa" must have float32 weights to split, got a quantized layer at ${path}`);
  if (config.initWeights === "pissa" && !(scaling > 0))
    throw new Error(`${op}: alpha must be above 0 for initWeights "pissa", got ${config.alpha}`);
}
