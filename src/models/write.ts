/** The files of a Hugging Face directory, written: config.json and safetensors, whole or in shards. */
import { files } from "#files";
import * as safetensors from "../io/safetensors.js";
import { AdaptableLayer, WeightDelta } from "../nn/delta.js";
import type { Module } from "../nn/module.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { indexName, wholeName } from "./files.js";

export interface SaveOptions {
  /** Weights of more bytes are written in shards of at most so many, and an index; one tensor is never cut. */
  maxShardBytes?: number;
}

/** A model's files by name. */
export type WrittenFiles = Record<string, string | Uint8Array<ArrayBuffer>>;

/** The model's files; written to `dir` too where one is given, each to a temporary name and then renamed. */
export async function writePretrained(
  model: Module,
  config: object,
  dir: string | undefined,
  { maxShardBytes = Number.POSITIVE_INFINITY }: SaveOptions,
): Promise<WrittenFiles> {
  if (!(maxShardBytes > 0)) throw new Error(`savePretrained: maxShardBytes must be above 0, got ${maxShardBytes}`);
  checkWhole(model);
  const shards = inShards(untied(model), maxShardBytes);
  const written = { ...(shards.length === 1 ? whole(shards[0]) : sharded(shards)), "config.json": json(config) };
  if (dir === undefined) return written;
  for (const [name, content] of Object.entries(written)) await files.writeFileAtomic(files.join(dir, name), content);
  // Weights of an earlier save would be read in place of these.
  const stale = (await files.listDirectory(dir)).filter(
    (name) => weightsName.test(name) && !Object.hasOwn(written, name),
  );
  for (const name of stale) await files.remove(files.join(dir, name));
  return written;
}

const weightsName = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;

/**
 * What an adapter adds is in no weight before it is merged, and PiSSA's layers hold what is left beside it. Weights in
 * codes are none that others, or `fromPretrained`, would load.
 */
function checkWhole(model: Module): void {
  for (const [path, module] of model.namedModules()) {
    if (module instanceof WeightDelta && !module.isMerged) {
      throw new Error(
        `savePretrained: adapters must be merged, got an unmerged one at ${path}; merge() or detach() it first, or save within disable()`,
      );
    }
    if (module instanceof AdaptableLayer && !module.isExact) {
      throw new Error(
        `savePretrained: weights must be float32, got a quantized one at ${path}; call quant.dequantizeModel(model) first, or write its codes with io.safetensors.serialize(model.stateDict())`,
      );
    }
  }
}

type Entries = [key: string, tensor: Tensor][];

/** The state with tied tensors once, under the first of their keys. */
function untied(model: Module): Entries {
  const seen = new Set<Tensor>();
  return [...model.state()].filter(([, tensor]) => !seen.has(tensor) && seen.add(tensor));
}

/** Each shard as long as its tensors fit, in their order. */
function inShards(entries: Entries, maxBytes: number): Entries[] {
  const shards: Entries[] = [[]];
  let bytes = 0;
  for (const entry of entries) {
    const size = entry[1].size * 4;
    if (bytes > 0 && bytes + size > maxBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(entry);
    bytes += size;
  }
  return shards;
}

function whole(entries: Entries): WrittenFiles {
  return { [wholeName]: serialize(entries) };
}

function sharded(shards: readonly Entries[]): WrittenFiles {
  const place = (n: number) => String(n).padStart(5, "0");
  const named = shards.map((entries, i) => {
    const name = `model-${place(i + 1)}-of-${place(shards.length)}.safetensors`;
    return { name, entries };
  });
  const total_size = shards.flat().reduce((sum, [, tensor]) => sum + tensor.size * 4, 0);
  const weight_map = Object.fromEntries(named.flatMap(({ name, entries }) => entries.map(([key]) => [key, name])));
  const contents = named.map(({ name, entries }) => [name, serialize(entries)] as const);
  return { ...Object.fromEntries(contents), [indexName]: json({ metadata: { total_size }, weight_map }) };
}

function serialize(entries: Entries): Uint8Array<ArrayBuffer> {
  return scope(() => safetensors.serialize(Object.fromEntries(entries), { format: "pt" }));
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
