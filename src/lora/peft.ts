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

export type AdapterFiles = {
  "adapter_config.json": string;
  "adapter_model.safetensors": Uint8Array<ArrayBuffer>;
};

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
 * @param source the files, the directory (or URL of one) that holds them, or "org/name" on the Hugging Face hub
 * Errors: fields that would change the result and are not supported, tensors that do not fit; the model is then as it was.
 */
export async function loadAdapter(
  model: Module,
  source: string | AdapterFiles,
  options: LoadAdapterOptions = {},
): Promise<LoraHandle> {
  checkOptions("lora.loadAdapter", options, ["trainable", "adapterName"]);
  const { trainable = true, adapterName = "default" } = options;
  const files = typeof source === "string" ? await readFiles(source) : source;
  const config = resolveConfig("lora.loadAdapter", model, { ...fromPeft(files["adapter_config.json"]), adapterName });
  const { tensors } = await parse(files["adapter_model.safetensors"]);
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

async function readFiles(source: string): Promise<AdapterFiles> {
  const found = await locate<HubFiles>(source, "adapter_config.json");
  const read = async (name: string) =>
    typeof found === "string"
      ? fileSystem.readFile(fileSystem.join(found, name))
      : new Uint8Array(await found[name].arrayBuffer());
  const [config, weights] = await Promise.all([read("adapter_config.json"), read("adapter_model.safetensors")]);
  return { "adapter_config.json": new TextDecoder().decode(config), "adapter_model.safetensors": weights };
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
