/** Reading and writing models in the layout of Hugging Face directories: config.json and safetensors, whole or in shards. */
import { files } from "#files";
import { copyInto } from "../copy.js";
import * as safetensors from "../io/safetensors.js";
import type { Module } from "../nn/module.js";
import { scope } from "../scope.js";
import { checkKeys, type KeyRules } from "../stateDict.js";

/** A model's files by name, as picked in a page or read elsewhere. */
export type ModelFiles = Record<string, Blob | Uint8Array | string>;

export interface LoadOptions {
  /** After each tensor: bytes of the model filled so far, and in all. */
  onProgress?: (loaded: number, total: number) => void;
  signal?: AbortSignal;
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
  rules: KeyRules,
  { onProgress, signal }: LoadOptions = {},
): Promise<void> {
  const own = new Map(model.state());
  const readers = await Promise.all((await weightFiles(source)).map((name) => openFile(source, name)));
  try {
    checkKeys(
      "fromPretrained",
      own,
      new Map(readers.flatMap((reader) => reader.keys.map((key) => [key, reader.info(key)] as const))),
      rules,
    );
    const total = [...own.values()].reduce((sum, tensor) => sum + tensor.size * 4, 0);
    let loaded = 0;
    for (const reader of readers) {
      for (const key of reader.keys) {
        signal?.throwIfAborted();
        const target = own.get(key);
        if (!target) continue;
        const tensor = await reader.read(key);
        copyInto(target, tensor);
        tensor.dispose();
        loaded += target.size * 4;
        onProgress?.(loaded, total);
      }
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** The model's files; written to `dir` too where one is given, each to a temporary name and then renamed. */
export async function writePretrained(
  model: Module,
  config: object,
  { dir, skip = [] }: { dir?: string; skip?: readonly string[] },
): Promise<{ "config.json": string; "model.safetensors": Uint8Array<ArrayBuffer> }> {
  const output = {
    "config.json": `${JSON.stringify(config, null, 2)}\n`,
    "model.safetensors": scope(() => {
      const weights = Object.entries(model.stateDict()).filter(([key]) => !skip.includes(key));
      return safetensors.serialize(Object.fromEntries(weights), { format: "pt" });
    }),
  };
  if (dir !== undefined)
    for (const [name, content] of Object.entries(output)) await files.writeFileAtomic(files.join(dir, name), content);
  return output;
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
