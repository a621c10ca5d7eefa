/** Which layers get an adapter, and which modules are trained whole. */
import { AdaptableLayer } from "../nn/delta.js";
import type { Module } from "../nn/module.js";
import type { LoraConfig } from "./config.js";

export type Names = readonly string[] | RegExp;

/** Attention's query and value projections, by the names that models give them. */
const usualTargets: readonly (readonly string[])[] = [
  ["q_proj", "v_proj"],
  ["q_lin", "v_lin"],
  ["query", "value"],
  ["c_attn"],
];

/** Names of the layer that computes logits. */
const outputHeads = ["lm_head", "classifier", "score"];

/** Query and value projections, or an error that lists the names there are. */
export function defaultTargets(op: string, model: Module): readonly string[] {
  const names = new Set(adaptableLayers(model).map(([path]) => lastName(path)));
  const targets = usualTargets.find((group) => group.every((name) => names.has(name)));
  if (!targets) throw new Error(`${op}: targetModules must be given for this model, got none; ${namesOf(model)}`);
  return targets;
}

/** The layers that `config` names, each once, under its first path. */
export function findTargets(op: string, model: Module, config: LoraConfig, given: boolean): [string, AdaptableLayer][] {
  const { targetModules, excludeModules } = config;
  const layers = adaptableLayers(model);
  if (Array.isArray(targetModules) && !given) {
    const idle = targetModules.filter((name) => !layers.some(([path]) => matches([name], path)));
    if (idle.length > 0)
      throw new Error(`${op}: every target must name a layer, got ${idle.join(", ")}; ${namesOf(model)}`);
  }
  const whole = findSavedModules(op, model, config, given).flatMap(({ paths }) => paths);
  const targets = layers
    .filter(([path, layer]) => isTarget(config, path, layer))
    .filter(([path]) => !matches(excludeModules, path))
    .filter(([path]) => !whole.some((outer) => path === outer || path.startsWith(`${outer}.`)));
  if (targets.length === 0) {
    throw new Error(`${op}: targetModules must match a layer, got ${show(config)} without a match; ${namesOf(model)}`);
  }
  return targets;
}

/** Modules to be trained whole. As PEFT: those whose path ends with one of the names, so "classifier" is "pre_classifier" too. */
export function findSavedModules(
  op: string,
  model: Module,
  config: LoraConfig,
  given: boolean,
): { module: Module; paths: string[] }[] {
  const found = new Map<Module, string[]>();
  for (const [path, module] of model.namedModules("", ({ isAdapter }) => !isAdapter)) {
    if (path === "" || !config.modulesToSave.some((name) => path.endsWith(name))) continue;
    const isInside = [...found.values()].flat().some((outer) => path.startsWith(`${outer}.`));
    if (!isInside) found.set(module, [...(found.get(module) ?? []), path]);
  }
  const paths = [...found.values()].flat();
  const idle = config.modulesToSave.filter((name) => !paths.some((path) => path.endsWith(name)));
  if (idle.length > 0 && !given) {
    const names = [...new Set([...model.namedModules()].map(([path]) => lastName(path)))].filter(Boolean);
    throw new Error(
      `${op}: modulesToSave must name modules, got ${idle.join(", ")}; the model's are named ${names.join(", ")}`,
    );
  }
  return [...found].map(([module, paths]) => ({ module, paths }));
}

function isTarget(
  { targetModules, layersToTransform, layersPattern }: LoraConfig,
  path: string,
  layer: AdaptableLayer,
) {
  if (targetModules === "all-linear") return !layer.isLookup && !outputHeads.includes(lastName(path));
  if (targetModules instanceof RegExp) return matches(targetModules, path);
  if (targetModules.includes(path)) return true;
  if (!matches(targetModules, path)) return false;
  return layersToTransform === null || layersToTransform.includes(layerIndex(path, layersPattern));
}

/** The number of the block that `path` is in: what follows the list's name, or any name; NaN if there is none. As PEFT. */
function layerIndex(path: string, lists: readonly string[]): number {
  const patterns =
    lists.length > 0 ? lists.map((list) => `(?:^|.*?\\.)${list}\\.(\\d+)\\.`) : [".*?\\.[^.]*\\.(\\d+)\\."];
  const found = patterns.map((pattern) => path.match(new RegExp(`^${pattern}`))).find((match) => match !== null);
  return found ? Number(found[1]) : Number.NaN;
}

function matches(names: Names, path: string): boolean {
  if (names instanceof RegExp) return new RegExp(`^(?:${names.source})$`, names.flags.replace(/[gy]/g, "")).test(path);
  return names.some((name) => path === name || path.endsWith(`.${name}`));
}

function adaptableLayers(model: Module): [string, AdaptableLayer][] {
  const paths = new Map<AdaptableLayer, string>();
  for (const [path, module] of model.namedModules()) {
    if (module instanceof AdaptableLayer && !paths.has(module)) paths.set(module, path);
  }
  return [...paths].map(([layer, path]) => [path, layer]);
}

function namesOf(model: Module): string {
  const names = [...new Set(adaptableLayers(model).map(([path]) => lastName(path)))];
  return names.length > 0
    ? `the model's layers that take an adapter are named ${names.join(", ")}`
    : "the model has no layer that takes an adapter";
}

function show({ targetModules, layersToTransform, excludeModules }: LoraConfig): string {
  const layers = layersToTransform === null ? "" : ` in layers ${layersToTransform.join(", ")}`;
  const excluded = Array.isArray(excludeModules) && excludeModules.length === 0 ? "" : ` without ${excludeModules}`;
  return `${targetModules}${layers}${excluded}`;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** The parts of a transformer that tutorials switch on one by one. */
export interface Parts {
  query?: boolean;
  key?: boolean;
  value?: boolean;
  /** What joins the heads again. */
  projection?: boolean;
  mlp?: boolean;
  /** What computes class scores or logits. */
  head?: boolean;
}

/** Their names in published models; GPT-2's c_attn is query, key and value in one. */
const partNames: Readonly<Record<keyof Parts, readonly string[]>> = {
  query: ["q_proj", "q_lin", "query", "attn.c_attn"],
  key: ["k_proj", "k_lin", "key", "attn.c_attn"],
  value: ["v_proj", "v_lin", "value", "attn.c_attn"],
  projection: ["o_proj", "out_lin", "attn.c_proj", "out_proj"],
  mlp: ["gate_proj", "up_proj", "down_proj", "lin1", "lin2", "c_fc", "mlp.c_proj", "linear1", "linear2"],
  head: ["pre_classifier", "classifier", "lm_head", "score"],
};

/**
 * What `lora.apply` takes for the chosen parts: their layers' names in this model, and rank `r`, lowered for layers that
 * are smaller (a classifier of two classes has rank 2 at the most).
 *
 * @example lora.apply(model, { alpha: 16, ...lora.targetsFor(model, { query: true, value: true, head: true }, { r: 8 }) })
 */
export function targetsFor(
  model: Module,
  parts: Parts,
  { r = 8 }: { r?: number } = {},
): Pick<LoraConfig, "r" | "targetModules" | "rankPattern"> {
  const layers = adaptableLayers(model);
  const unknown = Object.keys(parts).filter((part) => !(part in partNames));
  if (unknown.length > 0) {
    throw new Error(`lora.targetsFor: parts must be ${Object.keys(partNames).join(", ")}, got ${unknown.join(", ")}`);
  }
  const chosen = Object.entries(parts).flatMap(([part, on]) => (on ? [part as keyof Parts] : []));
  const targets = chosen.map((part) =>
    partNames[part].filter((name) => layers.some(([path]) => matches([name], path))),
  );
  const missing = chosen.filter((_, i) => targets[i].length === 0);
  if (chosen.length === 0 || missing.length > 0) {
    throw new Error(
      `lora.targetsFor: the parts must be in the model, got ${missing.join(", ") || "none"}; ${namesOf(model)}`,
    );
  }
  const targetModules = [...new Set(targets.flat())];
  const small = layers.filter(([path, layer]) => matches(targetModules, path) && largestRank(layer) < r);
  const rankPattern = Object.fromEntries(small.map(([path, layer]) => [exactly(path), largestRank(layer)]));
  return { r, targetModules, rankPattern };
}

export function largestRank({ inFeatures, outFeatures }: AdaptableLayer): number {
  return Math.min(inFeatures, outFeatures);
}

/** The pattern that matches `path` alone. */
export function exactly(path: string): string {
  return `^${path.replaceAll(".", "\\.")}`;
}
