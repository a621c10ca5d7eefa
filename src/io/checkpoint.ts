/**
 * Everything that a training run needs to go on as if it had never stopped, in one safetensors file: tensors
 * `model.<path>` and `optimizer.<name>`, and the rest as JSON in the metadata.
 */
import { files } from "#files";
import { checkOptions } from "../errors.js";
import { WeightDelta } from "../nn/delta.js";
import { Module } from "../nn/module.js";
import { getRngState, type RngState, setRngState } from "../random.js";
import { runtimeInfo } from "../runtime.js";
import { openScope, scope } from "../scope.js";
import { checkKeys, type StateDict, type TensorsByKey } from "../stateDict.js";
import type { Tensor } from "../tensor.js";
import { crc32 } from "./checksum.js";
import type { RandomAccess } from "./files.js";
import { toJson } from "./json.js";
import { open, type SafetensorsReader, type Source, serialize } from "./safetensors.js";

/** Something that a checkpoint holds, beside tensors as JSON. */
export interface Stateful<State> {
  stateDict(): State;
  loadStateDict(state: State): void;
}

export interface CheckpointParts {
  /** A module: its parameters and persistent buffers, the active adapter's included. Or what else has a state dict of tensors. */
  model: Module | Stateful<StateDict>;
  optimizer?: Stateful<{ tensors: StateDict }> & { readonly name?: string };
  scheduler?: Stateful<object>;
  loader?: Stateful<object>;
  /** What else is to be kept: anything that JSON keeps. */
  extra?: unknown;
}

/**
 * Where a checkpoint goes: a path in Node; in a browser a file handle (of the origin private file system, or picked by
 * the user), or a function that is given the bytes.
 */
export type CheckpointTarget =
  | string
  | FileSystemFileHandle
  | ((bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>);
export type CheckpointSource = Source | FileSystemFileHandle;

const partNames = ["model", "optimizer", "scheduler", "loader", "extra"];
const VERSION = "1";
/** Metadata is written by key, so that the checksum is in the same place of every file: it is of all others. */
const START = '{"__metadata__":{"crc32":"';
const CHECKSUM_AT = 8 + START.length;
const NO_CHECKSUM = "00000000";
const CHUNK_BYTES = 1 << 24;

/**
 * Writes model, optimizer, scheduler, the loader's position, the state of the random numbers and `extra`, as they are
 * when it is called. Whatever fails, a file at `target` is the old one or the whole new one.
 */
export async function saveCheckpoint(target: CheckpointTarget, parts: CheckpointParts): Promise<void> {
  checkParts("saveCheckpoint", parts);
  await write(target, encode(parts));
}

/**
 * Gives all parts the state that they were saved with, and returns `extra`. Where the run went on with other kernels
 * (SIMD variant), a warning says that results may differ in the last bits. Parts may be left out, but for the model.
 * Errors: a file that is damaged or no checkpoint, parts that it lacks or that do not fit; all are then as they were.
 */
export async function loadCheckpoint<Extra = unknown>(
  source: CheckpointSource,
  parts: CheckpointParts,
): Promise<Extra> {
  checkParts("loadCheckpoint", parts);
  const checkpoint = await Checkpoint.open(source);
  try {
    await checkpoint.restore(parts);
    return checkpoint.extra as Extra;
  } finally {
    await checkpoint.close();
  }
}

function checkParts(op: string, parts: CheckpointParts): void {
  checkOptions(op, parts ?? {}, partNames);
  if (typeof parts?.model?.stateDict !== "function")
    throw new Error(`${op}: model must be given, a module or what has a state dict, got ${parts?.model}`);
}

/** A checkpoint whose bytes have been checked. */
export class Checkpoint {
  private constructor(private readonly reader: SafetensorsReader) {}

  static async open(source: CheckpointSource): Promise<Checkpoint> {
    const reader = await open(isFileHandle(source) ? await source.getFile() : source);
    try {
      await check(reader);
      return new Checkpoint(reader);
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  get extra(): unknown {
    return this.part("extra");
  }

  async restore({ model, optimizer, scheduler, loader }: CheckpointParts): Promise<void> {
    for (const [name, part] of Object.entries({ optimizer, scheduler, loader })) {
      if (part && this.part(name) === undefined) throw this.fault(`the checkpoint must hold the ${name}`, "none");
    }
    const optimizerState = this.optimizerState(optimizer);
    const own = model instanceof Module ? this.fitting(model) : null;
    using temporary = openScope();
    const [optimizerTensors, modelTensors] = [await this.read("optimizer."), own ? {} : await this.read("model.")];
    const undo: (() => void)[] = [];
    /** What fails later gives back the state that `part` had. */
    const load = <State>(part: Stateful<State>, state: State): void => {
      const before = temporary.run(() => part.stateDict());
      undo.push(() => part.loadStateDict(before));
      part.loadStateDict(state);
    };
    try {
      if (optimizer) load(optimizer, { ...optimizerState, tensors: optimizerTensors });
      if (scheduler) load(scheduler, this.part("scheduler") as object);
      if (loader) load(loader, this.part("loader") as object);
      load(randomNumbers, this.part("rng") as RngState);
      // last, since a whole model is not copied to be given back: all that can fail now is reading a file that was whole
      if (own) for (const [name, tensor] of own) await this.reader.readInto(name, tensor);
      else load(model as Stateful<StateDict>, modelTensors);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    } finally {
      for (const tensor of Object.values({ ...optimizerTensors, ...modelTensors })) tensor.dispose();
    }
    this.warnOfVariant();
  }

  close(): Promise<void> {
    return this.reader.close();
  }

  private part(name: string): unknown {
    const text = this.reader.metadata[name];
    return text === undefined ? undefined : JSON.parse(text);
  }

  private optimizerState(optimizer: CheckpointParts["optimizer"]): object {
    const { name, ...state } = (this.part("optimizer") ?? {}) as { name?: string };
    if (optimizer && optimizer.name !== name) throw this.fault(`the optimizer must be ${optimizer.name}`, `${name}`);
    return state;
  }

  /** The model's tensors under their names in the file, which must have them and no other. */
  private fitting(model: Module): Map<string, Tensor> {
    const [saved, active] = [this.part("modelAdapters") as string[], activeAdapters(model)];
    if (saved.join() !== active.join() && saved.length > 0 && active.length > 0) {
      throw this.fault(`the active adapter must be ${saved.join()}, as in the checkpoint`, active.join());
    }
    const own = new Map([...tensorsOf("loadCheckpoint", model)].map(([path, tensor]) => [`model.${path}`, tensor]));
    const given: TensorsByKey = new Map(this.names("model.").map((name) => [name, this.reader.info(name)]));
    checkKeys("loadCheckpoint", own, given);
    return own;
  }

  private names(prefix: string): string[] {
    return this.reader.keys.filter((name) => name.startsWith(prefix));
  }

  private async read(prefix: string): Promise<StateDict> {
    const tensors: StateDict = {};
    try {
      for (const name of this.names(prefix)) tensors[name.slice(prefix.length)] = await this.reader.read(name);
    } catch (error) {
      for (const tensor of Object.values(tensors)) tensor.dispose();
      throw error;
    }
    return tensors;
  }

  private warnOfVariant(): void {
    const [saved, present] = [this.part("variant"), runtimeInfo().variant];
    if (saved === present) return;
    console.warn(
      `wasmgrad: ${this.reader.access.name} was saved with ${saved} kernels and goes on with ${present}: results may differ in the last bits (init's simd chooses)`,
    );
  }

  private fault(rule: string, got: string): Error {
    return fault(rule, got, this.reader.access);
  }
}

const randomNumbers: Stateful<RngState> = { stateDict: getRngState, loadStateDict: setRngState };

function fault(rule: string, got: string, { name }: RandomAccess): Error {
  return new Error(`loadCheckpoint: ${rule}, got ${got} (${name})`);
}

/** The names of the adapters whose deltas the layers have now. */
function activeAdapters(model: CheckpointParts["model"]): string[] {
  if (!(model instanceof Module)) return [];
  return [...new Set(model.modules().flatMap((m) => (m instanceof WeightDelta ? m.adapterName : [])))];
}

/** Every parameter and persistent buffer, adapters' too, once. Errors: a merged adapter, which would be added again. */
function tensorsOf(op: string, model: Module): Map<string, Tensor> {
  for (const [path, module] of model.namedModules()) {
    if (module instanceof WeightDelta && module.isMerged) {
      throw new Error(`${op}: adapters must be unmerged, got a merged one at ${path}; unmerge() or detach() it first`);
    }
  }
  const buffers = [...model.namedBuffers()].filter(([, buffer]) => buffer.persistent);
  return new Map<string, Tensor>([...model.namedParameters(), ...buffers]);
}

function encode({ model, optimizer, scheduler, loader, extra }: CheckpointParts): Uint8Array<ArrayBuffer> {
  return scope(() => {
    const { tensors = {}, ...options } = optimizer?.stateDict() ?? {};
    const state = {
      variant: runtimeInfo().variant,
      rng: getRngState(),
      modelAdapters: activeAdapters(model),
      optimizer: optimizer && { name: optimizer.name, ...options },
      scheduler: scheduler?.stateDict(),
      loader: loader?.stateDict(),
      extra,
    };
    const given = Object.entries(state).filter(([, part]) => part !== undefined);
    const metadata = given.map(([name, part]) => [name, toJson("saveCheckpoint", name, part)]);
    const bytes = serialize(
      {
        ...prefixed(
          "model.",
          model instanceof Module ? tensorsOf("saveCheckpoint", model) : Object.entries(model.stateDict()),
        ),
        ...prefixed("optimizer.", Object.entries(tensors)),
      },
      { crc32: NO_CHECKSUM, wasmgrad_checkpoint: VERSION, ...Object.fromEntries(metadata) },
    );
    bytes.set(ascii(hex(crc32(bytes))), CHECKSUM_AT);
    return bytes;
  });
}

function prefixed(prefix: string, tensors: Iterable<[string, Tensor]>): StateDict {
  return Object.fromEntries([...tensors].map(([name, tensor]) => [prefix + name, tensor]));
}

async function write(target: CheckpointTarget, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  if (typeof target === "string") return files.writeFileAtomic(target, bytes);
  if (typeof target === "function") return target(bytes);
  if (!isFileHandle(target)) {
    throw new Error(`saveCheckpoint: the target must be a path, a file handle or a function, got ${target}`);
  }
  // the file is replaced when the stream is closed
  const stream = await target.createWritable();
  try {
    await stream.write(bytes);
  } catch (error) {
    await stream.abort();
    throw error;
  }
  await stream.close();
}

function isFileHandle(value: unknown): value is FileSystemFileHandle {
  return typeof (value as Partial<FileSystemFileHandle> | null)?.createWritable === "function";
}

/** The file is a checkpoint, and every bit is as it was written. */
async function check({ access, metadata }: SafetensorsReader): Promise<void> {
  const head = (await access.read(0, Math.min(access.size, CHECKSUM_AT + NO_CHECKSUM.length))).slice();
  const isCheckpoint = ascii(START).every((byte, i) => head[8 + i] === byte);
  if (!isCheckpoint || metadata.wasmgrad_checkpoint === undefined) {
    throw fault("the file must be one that saveCheckpoint wrote", "another safetensors file", access);
  }
  if (metadata.wasmgrad_checkpoint !== VERSION) {
    throw fault(`the checkpoint's version must be ${VERSION}`, metadata.wasmgrad_checkpoint, access);
  }
  head.set(ascii(NO_CHECKSUM), CHECKSUM_AT);
  let crc = crc32(head);
  for (let at = head.length; at < access.size; at += CHUNK_BYTES) {
    crc = crc32(await access.read(at, Math.min(access.size, at + CHUNK_BYTES)), crc);
  }
  if (hex(crc) !== metadata.crc32) {
    throw fault(`the file must have the checksum ${metadata.crc32} that it was written with`, hex(crc), access);
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
