/** Adapters in the files of Hugging Face's PEFT: `adapter_config.json` and `adapter_model.safetensors`. */
import { files as fileSystem } from "#files";
import { copyInto } from "../copy.js";
import { checkOptions } from "../errors.js";
import { type HubFiles, locate } from "../io/hub.js";
import { parse, serialize } from "../io/safetensors.js";
import type { Module } from "../nn/module.js";
import { cat } from "../ops/view.js";
import { scope } from "../scope.js";
import { sameShape } from "../shape.js";
import { checkKeys, type StateDict } from "../stateDict.js";
import type { Tensor } from "../tensor.js";
import { Adapter, factorNames, peftPrefix } from "./adapter.js";
import { resolveConfig } from "./config.js";
import { handleOf, LoraHandle } from "./handle.js";
import { fromPeft, toPeft } from "./peftConfig.js";

const configName = "adapter_config.json";
const weightsName = "adapter_model.safetensors";

export type AdapterFiles = {
  "adapter_config.json": string;
  "adapter_model.safetensors": Uint8Array<ArrayBuffer>;
};

/** A directory or address, the hub's "org/name", what a file picker gives, or the two files by name. */
export type AdapterSource = string | Iterable<File> | Readonly<Record<string, string | Uint8Array | Blob>>;

export interface SaveAdapterOptions {
  /** Also write the files there, each under a temporary name that is then changed. */
  dir?: string;
  /** The active adapter if left out. */
  adapterName?: string;
}

export interface LoadAdapterOptions {
  trainable?: boolean;
  adapterName?: string;
}

/**
 * An adapter of a model as PEFT's two files. What PEFT has no field for is written as what it has: `scaling: "alpha"` as
 * lora_alpha = alpha·r, a RegExp as the paths it matched, PiSSA as a plain LoRA of rank 2r on the original weights.
 */
export function saveAdapter(target: Module | LoraHandle, options: SaveAdapterOptions = {}): AdapterFiles {
  checkOptions("lora.saveAdapter", options, ["dir", "adapterName"]);
  const handle = target instanceof LoraHandle ? target : handleOf(target);
  if (!handle)
    throw new Error("lora.saveAdapter: the model must have an adapter, got one without; call lora.apply first");
  const adapter = handle.adapter(options.adapterName ?? handle.config.adapterName);
  const files: AdapterFiles = {
    "adapter_config.json": `${JSON.stringify(toPeft(adapter), null, 2)}\n`,
    "adapter_model.safetensors": scope(() => serialize(plainTensors(adapter), { format: "pt" })),
  };
  const { dir } = options;
  if (dir !== undefined)
    for (const [name, content] of Object.entries(files))
      fileSystem.writeFileAtomicSync(fileSystem.join(dir, name), content);
  return files;
}

/** The state dict with every layer's factors as those of a change of the original weight. */
function plainTensors(adapter: Adapter): StateDict {
  const tensors = adapter.stateDict();
  for (const { path, layer, delta } of adapter.layers) {
    const { a, b } = delta.plainFactors();
    const [nameA, nameB] = factorNames(layer);
    tensors[`${peftPrefix}${path}.${nameA}`] = cat(a, 0);
    tensors[`${peftPrefix}${path}.${nameB}`] = cat(b, 1);
  }
  return tensors;
}

/**
 * Gives `model` the adapter in PEFT's files. A model that has adapters keeps them and gets one more, which `setAdapter`
 * makes the active one.
 *
 * Errors: fields that would change the result and are not supported, tensors that do not fit; the model is then as it was.
 */
export async function loadAdapter(
  model: Module,
  source: AdapterSource,
  options: LoadAdapterOptions = {},
): Promise<LoraHandle> {
  checkOptions("lora.loadAdapter", options, ["trainable", "adapterName"]);
  const { trainable = true, adapterName = "default" } = options;
  const files = await readFiles(source);
  const config = resolveConfig("lora.loadAdapter", model, { ...fromPeft(files.config), adapterName });
  const { tensors } = await parse(files.weights);
  const make = () => {
    const adapter = new Adapter("lora.loadAdapter", model, config, { given: true });
    try {
      copyTensors(model, adapter, tensors);
    } catch (error) {
      adapter.dispose();
      throw error;
    }
    if (!trainable) adapter.freeze();
    return adapter;
  };
  try {
    const handle = handleOf(model);
    handle?.insert(adapterName, make);
    return handle ?? new LoraHandle(model, make());
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

async function readFiles(source: AdapterSource): Promise<{ config: string; weights: Uint8Array }> {
  const found = typeof source === "string" ? await locate<HubFiles>(source, configName) : byName(source);
  const read = async (name: string): Promise<Uint8Array> => {
    if (typeof found === "string") return fileSystem.readFile(fileSystem.join(found, name));
    const file = found[name];
    if (file instanceof Uint8Array) return file;
    if (file instanceof Blob) return new Uint8Array(await file.arrayBuffer());
    if (typeof file === "string") return new TextEncoder().encode(file);
    throw new Error(`lora.loadAdapter: the files must include ${name}, got ${Object.keys(found).join(", ") || "none"}`);
  };
  const [config, weights] = await Promise.all([read(configName), read(weightsName)]);
  return { config: new TextDecoder().decode(config), weights };
}

function byName(source: Exclude<AdapterSource, string>): Readonly<Record<string, string | Uint8Array | Blob>> {
  if (typeof source !== "object" || source === null)
    throw new Error(`lora.loadAdapter: the source must be a directory, an address or files, got ${source}`);
  if (!(Symbol.iterator in source)) return source;
  return Object.fromEntries(Array.from(source as Iterable<File>, (file) => [file.name, file]));
}

/** Copies the file's tensors into the adapter, or reports everything that does not fit. */
function copyTensors(model: Module, adapter: Adapter, tensors: StateDict): void {
  scope(() => {
    const own = adapter.stateDict();
    const base = new Map(model.state());
    const isOwn = ([key, tensor]: [string, Tensor]) => key in own || !repeats(base, key, tensor);
    const given = new Map(Object.entries(tensors).filter(isOwn));
    checkKeys("lora.loadAdapter", new Map(Object.entries(own)), given);
    for (const [key, tensor] of Object.entries(own)) copyInto(tensor, tensors[key]);
  });
}

/** Whether a tensor is the model's own: PEFT writes embeddings beside their adapters, and originals of saved modules. */
function repeats(base: ReadonlyMap<string, Tensor>, key: string, tensor: Tensor): boolean {
  if (!key.startsWith(peftPrefix)) return false;
  const own = base.get(key.slice(peftPrefix.length).replace(/\.(base_layer|original_module)(?=\.)/, ""));
  if (!own || !sameShape(own.shape, tensor.shape)) return false;
  const values = own.data();
  return tensor.data().every((value, i) => value === values[i]);
}
