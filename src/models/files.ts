/** The files of a Hugging Face directory: config.json and safetensors, whole or in shards. */
import { files } from "#files";
import { copyInto } from "../copy.js";
import * as safetensors from "../io/safetensors.js";
import type { Module } from "../nn/module.js";
import { scope } from "../scope.js";
import { checkKeys } from "../stateDict.js";
import type { Tensor } from "../tensor.js";
import type { FileLayout } from "./pretrained.js";

/** A model's files by name, as picked in a page or read elsewhere. */
export type ModelFiles = Record<string, Blob | Uint8Array | string>;

export interface LoadOptions<Config = object> {
  /** After each tensor: bytes of the model filled so far, and in all. */
  onProgress?: (loaded: number, total: number) => void;
  signal?: AbortSignal;
  /** Takes the place of fields of config.json. */
  config?: Partial<Config>;
  /** Starts the layers for the model's task from random values and leaves out those of the file: to fine-tune a base model. */
  newHead?: boolean;
}

/** A tensor in a file. */
interface Stored {
  reader: safetensors.SafetensorsReader;
  key: string;
}

/** config.json of a directory, URL or set of files. */
export async function readConfig<Config>(source: string | ModelFiles): Promise<Config> {
  const text = await readText(source, "config.json");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`fromPretrained: config.json must be JSON, got ${(error as Error).message}`);
  }
}

/**
 * Copies the weights into `model`, one tensor at a time.
 * Errors: every missing, unexpected and mis-shaped key at once, before anything is copied.
 */
export async function readWeights(
  model: Module,
  source: string | ModelFiles,
  layout: FileLayout,
  { onProgress, signal, newHead = false }: LoadOptions = {},
): Promise<void> {
  if (newHead && !layout.heads)
    throw new Error("fromPretrained: newHead must be given for a model with a head for one task, got it for another");
  const own = new Map<string, Tensor>(model.state());
  const isHead = (key: string) => newHead && layout.heads?.test(key) === true;
  const readers = await Promise.all((await weightFiles(source)).map((name) => openFile(source, name)));
  try {
    const found = match(readers, own, layout);
    const infos = new Map([...found].map(([key, stored]) => [key, stored.reader.info(stored.key)]));
    const present = new Set([...found.keys()].map((key) => own.get(key)));
    checkKeys("fromPretrained", own, infos, {
      mayMiss: (key) => isHead(key) || present.has(own.get(key)),
      mayExceed: (key) => isHead(key) || layout.ignored.test(key),
    });
    const wanted = [...found].filter(([key]) => own.has(key) && !isHead(key));
    const total = wanted.reduce((sum, [key]) => sum + (own.get(key) as Tensor).size * 4, 0);
    let loaded = 0;
    for (const [key, stored] of wanted) {
      signal?.throwIfAborted();
      const target = own.get(key) as Tensor;
      const tensor = await stored.reader.read(stored.key);
      copyInto(target, tensor);
      tensor.dispose();
      loaded += target.size * 4;
      onProgress?.(loaded, total);
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** The tensors of the files by the model's keys: with or without the base model's name in front, whichever the model has. */
function match(
  readers: readonly safetensors.SafetensorsReader[],
  own: ReadonlyMap<string, Tensor>,
  { prefix }: FileLayout,
): Map<string, Stored> {
  const found = new Map<string, Stored>();
  for (const reader of readers) {
    for (const key of reader.keys) {
      const names = [key, prefix + key, ...(key.startsWith(prefix) ? [key.slice(prefix.length)] : [])];
      const name = names.find((name) => own.has(name)) ?? key;
      found.set(found.has(name) ? key : name, { reader, key });
    }
  }
  return found;
}

/** The model's files; written to `dir` too where one is given, each to a temporary name and then renamed. */
export async function writePretrained(
  model: Module,
  config: object,
  dir?: string,
): Promise<{ "config.json": string; "model.safetensors": Uint8Array<ArrayBuffer> }> {
  const output = {
    "config.json": `${JSON.stringify(config, null, 2)}\n`,
    "model.safetensors": scope(() => safetensors.serialize(Object.fromEntries(untied(model)), { format: "pt" })),
  };
  if (dir !== undefined)
    for (const [name, content] of Object.entries(output)) await files.writeFileAtomic(files.join(dir, name), content);
  return output;
}

/** The state with tied tensors once, under the first of their keys. */
function untied(model: Module): [string, Tensor][] {
  const written = new Set<Tensor>();
  return [...model.state()].filter(([, tensor]) => !written.has(tensor) && written.add(tensor));
}

async function weightFiles(source: string | ModelFiles): Promise<string[]> {
  const index = "model.safetensors.index.json";
  const sharded = typeof source === "string" ? await files.exists(files.join(source, index)) : index in source;
  if (!sharded) return ["model.safetensors"];
  const { weight_map: shards } = JSON.parse(await readText(source, index)) as { weight_map: Record<string, string> };
  return [...new Set(Object.values(shards))].sort();
}

async function readText(source: string | ModelFiles, name: string): Promise<string> {
  if (typeof source === "string") return files.readText(files.join(source, name));
  const file = fileOf(source, name);
  if (typeof file === "string") return file;
  return new TextDecoder().decode(file instanceof Blob ? await file.arrayBuffer() : file);
}

async function openFile(source: string | ModelFiles, name: string): Promise<safetensors.SafetensorsReader> {
  if (typeof source === "string") return safetensors.open(files.join(source, name));
  const file = fileOf(source, name);
  if (typeof file === "string") throw new Error(`fromPretrained: ${name} must be bytes or a Blob, got text`);
  return safetensors.open(file);
}

function fileOf(source: ModelFiles, name: string): Blob | Uint8Array | string {
  const file = source[name];
  if (file === undefined)
    throw new Error(`fromPretrained: the files must include ${name}, got ${Object.keys(source).join(", ")}`);
  return file;
}
