/** `adapter_config.json`: PEFT's `LoraConfig` from ours and back. */
import type { Adapter } from "./adapter.js";
import type { LoraConfig, LoraOptions } from "./config.js";
import { exactly } from "./targets.js";

/** The part of PEFT's `LoraConfig` that decides what an adapter computes. */
interface PeftConfig {
  peft_type: string;
  r: number;
  lora_alpha: number;
  lora_dropout?: number;
  target_modules: readonly string[] | string;
  exclude_modules?: readonly string[] | string | null;
  use_rslora?: boolean;
  use_dora?: boolean;
  bias?: LoraConfig["biasMode"];
  modules_to_save?: readonly string[] | null;
  init_lora_weights?: boolean | string;
  layers_to_transform?: readonly number[] | number | null;
  layers_pattern?: readonly string[] | string | null;
  rank_pattern?: Record<string, number>;
  alpha_pattern?: Record<string, number>;
  [field: string]: unknown;
}

/**
 * Every scaling of ours as PEFT's alpha/r or alpha/√r. PiSSA's change is written as that of the original weight, a plain
 * LoRA of twice the rank.
 */
export function toPeft(adapter: Adapter): PeftConfig {
  const { config, layers } = adapter;
  const isPrincipal = config.initWeights === "pissa";
  const keeps = config.scaling !== "alpha" && !isPrincipal;
  const ranks = Object.fromEntries(layers.map(({ path, delta }) => [exactly(path), delta.writtenRank]));
  const alphas = Object.fromEntries(
    layers.map(({ path, delta }) => [exactly(path), delta.scaling * delta.writtenRank]),
  );
  const r = isPrincipal ? 2 * config.r : config.r;
  const alphaOfR = config.scaling === "alpha" ? config.alpha * r : (config.alpha * r) / config.r;
  return {
    peft_type: "LORA",
    base_model_name_or_path: null,
    task_type: null,
    inference_mode: true,
    r,
    lora_alpha: keeps ? config.alpha : alphaOfR,
    lora_dropout: config.dropout,
    ...targetsOf(adapter),
    use_rslora: config.scaling === "alpha/sqrt(r)" && keeps,
    use_dora: config.useDora,
    rank_pattern: isPrincipal ? ranks : config.rankPattern,
    alpha_pattern: keeps ? config.alphaPattern : alphas,
    bias: config.biasMode,
    modules_to_save: config.modulesToSave.length > 0 ? config.modulesToSave : null,
    fan_in_fan_out: layers.every(({ layer }) => layer.fanInFanOut && !layer.isLookup),
    init_lora_weights: true,
  };
}

/** A list of names as it was given; a pattern of ours (PEFT's are Python's), or one with exclusions, as the paths it chose. */
function targetsOf({ config, layers }: Adapter): Pick<PeftConfig, "target_modules"> & Partial<PeftConfig> {
  const { targetModules, excludeModules, layersToTransform, layersPattern } = config;
  const isPlainList = Array.isArray(targetModules) && Array.isArray(excludeModules) && excludeModules.length === 0;
  return isPlainList
    ? {
        target_modules: targetModules as readonly string[],
        exclude_modules: null,
        layers_to_transform: layersToTransform,
        layers_pattern: layersPattern.length > 0 ? layersPattern : null,
      }
    : {
        target_modules: layers.map(({ path }) => path),
        exclude_modules: null,
        layers_to_transform: null,
        layers_pattern: null,
      };
}

/** Errors: fields that would change what the adapter computes and are not honoured here, by name. */
export function fromPeft(text: string): LoraOptions {
  const peft = parse(text);
  return {
    r: peft.r,
    alpha: peft.lora_alpha,
    dropout: peft.lora_dropout ?? 0,
    targetModules: patternOf("target_modules", peft.target_modules),
    excludeModules: peft.exclude_modules ? namesOf("exclude_modules", peft.exclude_modules) : [],
    scaling: peft.use_rslora ? "alpha/sqrt(r)" : "alpha/r",
    useDora: peft.use_dora ?? false,
    initWeights: peft.init_lora_weights === "pissa" ? "pissa" : "default",
    biasMode: peft.bias ?? "none",
    modulesToSave: peft.modules_to_save ?? [],
    layersToTransform: peft.layers_to_transform ?? null,
    layersPattern: peft.layers_pattern ?? [],
    rankPattern: peft.rank_pattern ?? {},
    alphaPattern: peft.alpha_pattern ?? {},
  };
}

function patternOf(field: string, names: readonly string[] | string): LoraConfig["targetModules"] {
  return names === "all-linear" ? names : namesOf(field, names);
}

function namesOf(field: string, names: readonly string[] | string): LoraConfig["excludeModules"] {
  if (typeof names !== "string") return names;
  try {
    return new RegExp(names);
  } catch (error) {
    throw new Error(
      `lora.loadAdapter: ${field} must be a pattern that JavaScript has too, got ${(error as Error).message}`,
    );
  }
}

/** Fields that this library honours, or that change nothing in what a trained adapter computes. */
const understood = new Set([
  ...["peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "use_rslora", "use_dora"],
  ...["rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "modules_to_save", "fan_in_fan_out"],
  ...["auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"],
  ...["corda_config", "eva_config", "loftq_config", "lora_ga_config", "megatron_core", "qalora_group_size"],
  ...["ensure_weight_tying", "runtime_config"],
]);

/** Initializations that leave the base weights as they are, or PiSSA, which is done again. */
const initializations: readonly unknown[] = [true, false, "gaussian", "orthogonal", "eva", "lora_ga", "pissa"];

function parse(text: string): PeftConfig {
  const config = asJson(text);
  if (config.peft_type !== "LORA") {
    throw new Error(`lora.loadAdapter: peft_type must be "LORA", got ${JSON.stringify(config.peft_type)}`);
  }
  for (const field of ["r", "lora_alpha", "target_modules"]) {
    if (config[field] == null) throw new Error(`lora.loadAdapter: adapter_config.json must have ${field}, got none`);
  }
  const unsupported = Object.entries(config).filter(([field, value]) => !understood.has(field) && !isOff(field, value));
  if (unsupported.length > 0) {
    const list = unsupported.map(([field, value]) => `${field} = ${JSON.stringify(value)}`).join(", ");
    throw new Error(`lora.loadAdapter: adapter_config.json must ask for what is supported here, got ${list}`);
  }
  return config;
}

function asJson(text: string): PeftConfig {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new Error(`lora.loadAdapter: adapter_config.json must be JSON, got ${(error as Error).message}`);
  }
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw new Error(`lora.loadAdapter: adapter_config.json must hold an object, got ${text.slice(0, 40)}`);
  return config as PeftConfig;
}

/** Absent, empty or false: a feature that is not used. */
function isOff(field: string, value: unknown): boolean {
  if (field === "bias") return value === "none" || value === "all" || value === "lora_only";
  if (field === "init_lora_weights") return initializations.includes(value);
  return value === null || value === false || (typeof value === "object" && Object.keys(value as object).length === 0);
}
