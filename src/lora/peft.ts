/** Adapters in the files of Hugging Face's PEFT: `adapter_config.json` and `adapter_model.safetensors`. */
import { files as fileSystem } from "#files";
import { copyInto } from "../copy.js";
import { parse, serialize } from "../io/safetensors.js";
import type { Module } from "../nn/module.js";
import { scope } from "../scope.js";
import { checkKeys, type StateDict } from "../stateDict.js";
import { apply, handleOf, LoraHandle } from "./apply.js";
import type { LoraConfig } from "./config.js";

export type AdapterFiles = {
  "adapter_config.json": string;
  "adapter_model.safetensors": Uint8Array<ArrayBuffer>;
};

/** The part of PEFT's `LoraConfig` that decides what an adapter computes. */
interface PeftConfig {
  peft_type: string;
  r: number;
  lora_alpha: number;
  lora_dropout: number;
  target_modules: readonly string[] | string;
  exclude_modules?: readonly string[] | string | null;
  use_rslora?: boolean;
  rank_pattern?: Record<string, number>;
  alpha_pattern?: Record<string, number>;
  [field: string]: unknown;
}

/**
 * The adapter of a model as PEFT's two files; written to `dir` too where one is given (each to a temporary name, then renamed).
 * With `scaling: "alpha"` the files say lora_alpha = alpha·r, since PEFT divides by r.
 */
export function saveAdapter(target: Module | LoraHandle, { dir }: { dir?: string } = {}): AdapterFiles {
  const handle = target instanceof LoraHandle ? target : handleOf(target);
  if (!handle)
    throw new Error("lora.saveAdapter: the model must have an adapter, got one without; call lora.apply first");
  const files: AdapterFiles = {
    "adapter_config.json": `${JSON.stringify(toPeft(handle), null, 2)}\n`,
    "adapter_model.safetensors": scope(() => serialize(handle.stateDict(), { format: "pt" })),
  };
  if (dir !== undefined)
    for (const [name, content] of Object.entries(files))
      fileSystem.writeFileAtomicSync(fileSystem.join(dir, name), content);
  return files;
}

/**
 * Gives `model` the adapter in PEFT's files.
 *
 * @param source the files, or the directory (or URL of one) that holds them
 * Errors: fields that would change the result and are not supported, tensors that do not fit; the model is then as it was.
 */
export async function loadAdapter(
  model: Module,
  source: string | AdapterFiles,
  { trainable = true, adapterName = "default" }: { trainable?: boolean; adapterName?: string } = {},
): Promise<LoraHandle> {
  const files = typeof source === "string" ? await readFiles(source) : source;
  const peft = parseConfig(files["adapter_config.json"]);
  const { tensors } = await parse(files["adapter_model.safetensors"]);
  try {
    const handle = apply(model, { ...fromPeft(peft), adapterName });
    try {
      copyTensors(handle, tensors);
    } catch (error) {
      handle.detach();
      throw error;
    }
    if (!trainable) for (const { delta } of handle.adapted) delta.requiresGrad_(false);
    return handle;
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

async function readFiles(dir: string): Promise<AdapterFiles> {
  const [config, weights] = await Promise.all([
    fileSystem.readFile(fileSystem.join(dir, "adapter_config.json")),
    fileSystem.readFile(fileSystem.join(dir, "adapter_model.safetensors")),
  ]);
  return { "adapter_config.json": new TextDecoder().decode(config), "adapter_model.safetensors": weights };
}

function toPeft({ config, adapted }: LoraHandle): PeftConfig {
  const plainAlpha = config.scaling === "alpha";
  const alphaPattern = plainAlpha
    ? Object.fromEntries(adapted.map(({ path, delta }) => [path, delta.scaling * delta.rank]))
    : config.alphaPattern;
  return {
    peft_type: "LORA",
    base_model_name_or_path: null,
    task_type: null,
    inference_mode: true,
    r: config.r,
    lora_alpha: plainAlpha ? config.alpha * config.r : config.alpha,
    lora_dropout: config.dropout,
    target_modules: namesFor(config, adapted),
    exclude_modules: null,
    use_rslora: config.scaling === "alpha/sqrt(r)",
    rank_pattern: config.rankPattern,
    alpha_pattern: alphaPattern,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    modules_to_save: null,
    use_dora: false,
  };
}

/** A list of names as it was given; a pattern of ours (PEFT's are Python's), or one with exclusions, as the paths it chose. */
function namesFor({ targetModules, excludeModules }: LoraConfig, adapted: LoraHandle["adapted"]): readonly string[] {
  const isPlainList = Array.isArray(targetModules) && Array.isArray(excludeModules) && excludeModules.length === 0;
  return isPlainList ? (targetModules as readonly string[]) : adapted.map(({ path }) => path);
}

function fromPeft(peft: PeftConfig): Partial<LoraConfig> {
  return {
    r: peft.r,
    alpha: peft.lora_alpha,
    dropout: peft.lora_dropout ?? 0,
    targetModules: patternOf(peft.target_modules),
    excludeModules: peft.exclude_modules ? (patternOf(peft.exclude_modules) as string[] | RegExp) : [],
    scaling: peft.use_rslora ? "alpha/sqrt(r)" : "alpha/r",
    rankPattern: peft.rank_pattern ?? {},
    alphaPattern: peft.alpha_pattern ?? {},
  };
}

function patternOf(names: readonly string[] | string): LoraConfig["targetModules"] {
  if (typeof names !== "string") return names;
  if (names === "all-linear") return names;
  try {
    return new RegExp(names);
  } catch (error) {
    throw new Error(
      `lora.loadAdapter: target_modules must be a pattern that JavaScript has too, got ${(error as Error).message}`,
    );
  }
}

/** Fields that this library honours, or that change nothing in what a trained adapter computes. */
const understood = new Set([
  ...[
    "peft_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
  ],
  ...["auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"],
  ...["corda_config", "eva_config", "loftq_config", "lora_ga_config", "megatron_core", "qalora_group_size"],
]);

function parseConfig(text: string): PeftConfig {
  let config: PeftConfig;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new Error(`lora.loadAdapter: adapter_config.json must be JSON, got ${(error as Error).message}`);
  }
  if (config.peft_type !== "LORA") {
    throw new Error(`lora.loadAdapter: peft_type must be "LORA", got ${JSON.stringify(config.peft_type)}`);
  }
  for (const field of ["r", "lora_alpha", "target_modules"]) {
    if (config[field] == null) throw new Error(`lora.loadAdapter: adapter_config.json must have ${field}, got none`);
  }
  const unsupported = Object.entries(config).filter(([field, value]) => !understood.has(field) && !isOff(field, value));
  if (unsupported.length > 0) {
    const list = unsupported.map(([field, value]) => `${field} = ${JSON.stringify(value)}`).join(", ");
    throw new Error(
      `lora.loadAdapter: adapter_config.json must ask for plain LoRA on linear layers in this version, got ${list}`,
    );
  }
  return config;
}

/** Absent, empty or false: a feature that is not used. */
function isOff(field: string, value: unknown): boolean {
  if (field === "bias") return value === "none";
  // initializations that leave the base weights as they are
  if (field === "init_lora_weights") return [true, false, "gaussian", "orthogonal", "eva"].includes(value as string);
  return value === null || value === false || (typeof value === "object" && Object.keys(value as object).length === 0);
}

/** Copies the file's tensors into the adapter, or reports everything that does not fit. */
function copyTensors(handle: LoraHandle, given: StateDict): void {
  scope(() => {
    const own = handle.stateDict();
    checkKeys("lora.loadAdapter", new Map(Object.entries(own)), new Map(Object.entries(given)));
    for (const [key, tensor] of Object.entries(own)) copyInto(tensor, given[key]);
  });
}
