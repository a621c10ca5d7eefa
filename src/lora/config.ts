/** Which layers get an adapter, and how large. */
import { checkOptions } from "../errors.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";

export interface LoraConfig {
  /** The rank of ΔW. */
  r: number;
  alpha: number;
  /** Of the adapter's input, in training. */
  dropout: number;
  /** Names (exact paths or dotted suffixes), a pattern that matches whole paths, or every linear layer but the output head. */
  targetModules: readonly string[] | RegExp | "all-linear";
  excludeModules: readonly string[] | RegExp;
  /** What B·A is multiplied with. */
  scaling: "alpha/r" | "alpha/sqrt(r)" | "alpha";
  /** Ranks and alphas of single layers: PEFT's patterns, matched against the end of the path. */
  rankPattern: Readonly<Record<string, number>>;
  alphaPattern: Readonly<Record<string, number>>;
  adapterName: string;
}

/** Attention's query and value projections, by the names that models give them. */
const usualTargets: readonly (readonly string[])[] = [
  ["q_proj", "v_proj"],
  ["q_lin", "v_lin"],
  ["query", "value"],
];

/** Names of the layer that computes logits. */
const outputHeads = ["lm_head", "classifier", "score"];

const known: Record<keyof LoraConfig, true> = {
  r: true,
  alpha: true,
  dropout: true,
  targetModules: true,
  excludeModules: true,
  scaling: true,
  rankPattern: true,
  alphaPattern: true,
  adapterName: true,
};

/** Fills in the defaults for `model` and checks every value. */
export function resolveConfig(model: Module, options: Partial<LoraConfig>): LoraConfig {
  checkOptions("lora.apply", options, Object.keys(known));
  const config: LoraConfig = {
    r: 8,
    alpha: 16,
    dropout: 0,
    excludeModules: [],
    scaling: "alpha/r",
    rankPattern: {},
    alphaPattern: {},
    adapterName: "default",
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    targetModules: options.targetModules ?? defaultTargets(model),
  };
  const { targetModules } = config;
  const isList = Array.isArray(targetModules) && targetModules.every((name) => typeof name === "string");
  if (!isList && !(targetModules instanceof RegExp) && targetModules !== "all-linear") {
    throw new Error(
      `lora.apply: targetModules must be a list of names, a RegExp or "all-linear", got ${JSON.stringify(targetModules)}`,
    );
  }
  checkRange("r", config.r, Number.isInteger(config.r) && config.r >= 1, "a whole number from 1");
  checkRange("alpha", config.alpha, Number.isFinite(config.alpha), "a finite number");
  checkRange("dropout", config.dropout, config.dropout >= 0 && config.dropout < 1, "from 0 to below 1");
  return config;
}

function checkRange(name: string, value: unknown, holds: boolean, rule: string): void {
  if (!holds) throw new Error(`lora.apply: ${name} must be ${rule}, got ${value}`);
}

function defaultTargets(model: Module): readonly string[] {
  const names = new Set(linearLayers(model).map(([path]) => path.split(".").at(-1)));
  const targets = usualTargets.find((group) => group.every((name) => names.has(name)));
  if (!targets)
    throw new Error(`lora.apply: targetModules must be given for this model, got none; ${nearNames(model)}`);
  return targets;
}

/** The linear layers that `config` names. */
export function findTargets(model: Module, { targetModules, excludeModules }: LoraConfig): [string, Linear][] {
  const layers = linearLayers(model);
  const chosen =
    targetModules === "all-linear"
      ? layers.filter(([path]) => !outputHeads.includes(path.split(".").at(-1) as string))
      : layers.filter(([path]) => matches(targetModules, path));
  if (Array.isArray(targetModules)) {
    const idle = targetModules.filter((name) => !layers.some(([path]) => matches([name], path)));
    if (idle.length > 0)
      throw new Error(`lora.apply: every target must name a linear layer, got ${idle.join(", ")}; ${nearNames(model)}`);
  }
  const targets = chosen.filter(([path]) => !matches(excludeModules, path));
  if (targets.length === 0) {
    throw new Error(
      `lora.apply: targetModules must match a linear layer, got ${targetModules} without a match; ${nearNames(model)}`,
    );
  }
  return targets;
}

function matches(names: readonly string[] | RegExp, path: string): boolean {
  if (names instanceof RegExp) return new RegExp(`^(?:${names.source})$`, names.flags.replace(/[gy]/g, "")).test(path);
  return names.some((name) => path === name || path.endsWith(`.${name}`));
}

/** Every linear layer, each once, under its first path. */
function linearLayers(model: Module): [string, Linear][] {
  const paths = new Map<Linear, string>();
  for (const [path, module] of model.namedModules()) {
    if (module instanceof Linear && !paths.has(module)) paths.set(module, path);
  }
  return [...paths].map(([layer, path]) => [path, layer]);
}

function nearNames(model: Module): string {
  const names = [...new Set(linearLayers(model).map(([path]) => path.split(".").at(-1)))];
  return `the model's linear layers are named ${names.join(", ")}`;
}

/** The rank and scaling of the layer at `path`. */
export function sizeOfAdapter(config: LoraConfig, path: string): { rank: number; scaling: number } {
  const rank = byPattern(config.rankPattern, path) ?? config.r;
  const alpha = byPattern(config.alphaPattern, path) ?? config.alpha;
  const divisor = { "alpha/r": rank, "alpha/sqrt(r)": Math.sqrt(rank), alpha: 1 }[config.scaling];
  if (divisor === undefined) {
    throw new Error(
      `lora.apply: scaling must be "alpha/r", "alpha/sqrt(r)" or "alpha", got ${JSON.stringify(config.scaling)}`,
    );
  }
  return { rank, scaling: alpha / divisor };
}

/** As PEFT: the first key that, as a pattern, matches the end of the path. */
function byPattern(patterns: Readonly<Record<string, number>>, path: string): number | undefined {
  const key = Object.keys(patterns).find((pattern) => new RegExp(`^(.*\\.)?(${pattern})$`).test(path));
  return key === undefined ? undefined : patterns[key];
}
