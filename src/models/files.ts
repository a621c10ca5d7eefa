/** The files of a Hugging Face directory, read: config.json and safetensors, whole or in shards. */
import { files } from "#files";
import { noGrad } from "../graph.js";
import * as safetensors from "../io/safetensors.js";
import type { Module } from "../nn/module.js";
import { all, eq } from "../ops/compare.js";

import { scope } from "../scope.js";
import { checkKeys } from "../stateDict.js";
import type { Tensor } from "../tensor.js";
import type { FileLayout } from "./pretrained.js";

/** A model's files by name, as picked in a page or read elsewhere. */
export type ModelFiles = Record<string, Blob | Uint8Array | string>;

/** A directory or address, what a file picker gives, or files by name. */
export type ModelSource = string | URL | Iterable<File> | ModelFiles;

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

export const wholeName = "model.safetensors";
export const indexName = "model.safetensors.index.json";

/** A string or files by name. */
export function normalizeSource(source: ModelSource): string | ModelFiles {
  if (source instanceof URL) return source.href;
  if (typeof source !== "string" && (typeof source !== "object" || source === null))
    throw new Error(`fromPretrained: the source must be a directory, an address or files, got ${source}`);
  if (typeof source === "string" || !(Symbol.iterator in source)) return source as string | ModelFiles;
  return Object.fromEntries(Array.from(source as Iterable<File>, (file) => [file.name, file]));
}

/** config.json of a directory, URL or set of files. */
export async function readConfig<Config>(source: string | ModelFiles): Promise<Config> {
  return parseJson("config.json", await readText(source, "config.json"));
}

/**
 * Copies the weights into `model`, one tensor at a time: what is in memory is the model and one tensor as it was stored.
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
  const readers = await openWeights(source, signal);
  try {
    const wanted = match(readers, own, layout, newHead);
    const total = [...wanted.keys()].reduce((sum, tensor) => sum + tensor.size * 4, 0);
    let loaded = 0;
    for (const [tensor, [first, ...others]] of wanted) {
      signal?.throwIfAborted();
      await first.reader.readInto(first.key, tensor);
      for (const other of others) await checkEqual(tensor, first, other);
      loaded += tensor.size * 4;
      onProgress?.(loaded, total);
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** Where each tensor of the model is: tied ones may be in the files under each of their keys, or under one. */
function match(
  readers: readonly safetensors.SafetensorsReader[],
  own: ReadonlyMap<string, Tensor>,
  { prefix, ignored, heads }: FileLayout,
  newHead: boolean,
): Map<Tensor, Stored[]> {
  const found = new Map<string, Stored>();
  for (const reader of readers) {
    for (const key of reader.keys) {
      // with or without the base model's name in front, whichever the model has
      const names = [key, prefix + key, ...(key.startsWith(prefix) ? [key.slice(prefix.length)] : [])];
      const name = names.find((name) => own.has(name)) ?? key;
      if (found.has(name)) throw new Error(`fromPretrained: the files must hold each tensor once, got ${key} again`);
      found.set(name, { reader, key });
    }
  }
  const infos = new Map([...found].map(([name, { reader, key }]) => [name, reader.info(key)]));
  const present = new Set([...found.keys()].map((name) => own.get(name)));
  const isNew = (key: string) => newHead && heads?.test(key) === true;
  checkKeys("fromPretrained", own, infos, {
    mayMiss: (key) => isNew(key) || present.has(own.get(key)),
    mayExceed: (key) => isNew(key) || ignored.test(key),
  });
  const wanted = new Map<Tensor, Stored[]>();
  for (const [name, stored] of found) {
    const tensor = own.get(name);
    if (tensor && !isNew(name)) wanted.set(tensor, [...(wanted.get(tensor) ?? []), stored]);
  }
  return wanted;
}

async function checkEqual(tensor: Tensor, first: Stored, { reader, key }: Stored): Promise<void> {
  const other = await reader.read(key);
  const isEqual = noGrad(() => scope(() => all(eq(tensor, other)).item() === 1));
  other.dispose();
  if (!isEqual)
    throw new Error(`fromPretrained: ${first.key} and ${key} must be equal, as the config ties them, got two`);
}

async function openWeights(
  source: string | ModelFiles,
  signal: AbortSignal | undefined,
): Promise<safetensors.SafetensorsReader[]> {
  const names = await weightFiles(source);
  const readers: safetensors.SafetensorsReader[] = [];
  try {
    for (const name of names) {
      const reader = await openFile(source, name, signal);
      readers.push(reader);
      if (names.length > 1) reader.rest(); // a browser has few connections
    }
    return readers;
  } catch (error) {
    for (const reader of readers) await reader.close();
    throw error;
  }
}

/** The file with all weights, as transformers prefers it, or those that the index names. */
async function weightFiles(source: string | ModelFiles): Promise<string[]> {
  const isThere = async (name: string) =>
    typeof source === "string" ? files.exists(files.join(source, name)) : name in source;
  if (await isThere(wholeName)) return [wholeName];
  if (!(await isThere(indexName))) {
    const got = typeof source === "string" ? source : Object.keys(source).join(", ");
    throw new Error(`fromPretrained: the files must include ${wholeName} or ${indexName}, got ${got}`);
  }
  const index: { weight_map?: Record<string, unknown> } = parseJson(indexName, await readText(source, indexName));
  const shards = [...new Set(Object.values(index.weight_map ?? {}))].sort();
  const wrong = shards.find((shard) => typeof shard !== "string" || !/^\w[\w.-]*\.safetensors$/.test(shard));
  if (shards.length === 0 || wrong !== undefined) {
    throw new Error(`fromPretrained: ${indexName} must name safetensors files, got ${JSON.stringify(wrong ?? index)}`);
  }
  for (const shard of shards as string[]) {
    if (!(await isThere(shard)))
      throw new Error(
        `fromPretrained: the files must include ${shard}, which ${indexName} names, got none of this name`,
      );
  }
  return shards as string[];
}

async function readText(source: string | ModelFiles, name: string): Promise<string> {
  if (typeof source === "string") return files.readText(files.join(source, name));
  const file = fileOf(source, name);
  if (typeof file === "string") return file;
  return new TextDecoder().decode(file instanceof Blob ? await file.arrayBuffer() : file);
}

function parseJson<T>(name: string, text: string): T {
  const fault = (got: string) => new Error(`fromPretrained: ${name} must be a JSON object, got ${got}`);
  let value: T;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault((error as Error).message);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fault(text.slice(0, 40));
  return value;
}

async function openFile(
  source: string | ModelFiles,
  name: string,
  signal: AbortSignal | undefined,
): Promise<safetensors.SafetensorsReader> {
  if (typeof source === "string") return safetensors.open(files.join(source, name), { signal });
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
