/** Tensors in files as PyTorch and Hugging Face exchange them. */
import { checkOptions } from "../errors.js";
import type { Shape } from "../shape.js";
import type { StateDict } from "../stateDict.js";
import { bytesPerElement, type DType } from "../storage.js";
import { empty, Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { int32View, offsetBy, uint8View } from "../wasm/memory.js";
import type { RandomAccess } from "./files.js";
import {
  byCodePoints,
  decodeHeader,
  type Entry,
  encodeHeader,
  fault,
  type Header,
  headerLength,
  type Metadata,
  type StoredDType,
} from "./header.js";
import { accessTo, type Source } from "./source.js";

export type { Metadata, Source, StoredDType };

/** What is read as which type, and written as which. */
const dtypes: Record<StoredDType, DType> = {
  F32: "float32",
  F16: "float32",
  BF16: "float32",
  I64: "int32",
  I32: "int32",
  I8: "int32",
  U8: "uint8",
  BOOL: "bool",
};
const written = { float32: "F32", int32: "I32", uint8: "U8", bool: "BOOL" } as const satisfies Record<
  DType,
  StoredDType
>;
/** The data is in this order, so that it is aligned. */
const order: readonly DType[] = ["float32", "int32", "uint8", "bool"];

/**
 * All tensors of a file: F16 and BF16 widened to float32, I64 and I8 as int32. They belong to no scope.
 * Errors: a file that breaks the format's rules, before any tensor is made; an I64 value outside int32.
 */
export async function parse(source: Source): Promise<{ tensors: StateDict; metadata: Metadata }> {
  const file = await open(source);
  const read: [string, Tensor][] = [];
  try {
    for (const name of file.keys) read.push([name, await file.read(name)]);
  } catch (error) {
    for (const [, x] of read) x.dispose();
    throw error;
  } finally {
    await file.close();
  }
  return { tensors: Object.fromEntries(read), metadata: file.metadata };
}

/**
 * Reads and checks the header only; tensors are read one at a time, by name. What an address holds is fetched as it is
 * read: once, where tensors are read in the order of the file, and never held whole.
 */
export async function open(source: Source, options: { signal?: AbortSignal } = {}): Promise<SafetensorsReader> {
  checkOptions("safetensors.open", options, ["signal"]);
  const access = await accessTo(source, options.signal);
  try {
    const { name, size } = access;
    const length = headerLength(await access.read(0, Math.min(8, size)), size, name);
    const dataStart = 8 + length;
    // A copy, since TextDecoder refuses shared memory.
    const json = new Uint8Array(await access.read(8, dataStart));
    return new SafetensorsReader(access, dataStart, decodeHeader(json, size - dataStart, name));
  } catch (error) {
    await access.close();
    throw error;
  }
}

/** A file whose tensors are read on demand. */
export class SafetensorsReader {
  readonly metadata: Metadata;
  /** The tensors' names, in the order of their data. */
  readonly keys: readonly string[];
  private readonly entries: ReadonlyMap<string, Entry>;
  private isOpen = true;

  /** @internal */
  constructor(
    /** @internal */
    readonly access: RandomAccess,
    private readonly dataStart: number,
    { entries, metadata }: Header,
  ) {
    this.entries = entries;
    this.metadata = metadata;
    this.keys = [...entries.keys()];
  }

  /** The shape, the type that it is read as, and the type in the file. */
  info(name: string): { shape: Shape; dtype: DType; stored: StoredDType } {
    const { shape, dtype: stored } = this.entry(name);
    return { shape, dtype: dtypes[stored], stored };
  }

  /** One tensor, owned by no scope. */
  async read(name: string): Promise<Tensor> {
    const { shape, dtype } = this.info(name);
    const bytes = await this.bytesOf(name);
    const x = empty(shape, dtype);
    this.decode(name, bytes, x);
    return x;
  }

  /** @internal The same into a dense tensor of that shape and type. */
  async readInto(name: string, x: Tensor): Promise<void> {
    this.decode(name, await this.bytesOf(name), x);
    x.storage.version++;
  }

  private async bytesOf(name: string): Promise<Uint8Array> {
    const { dtype, begin, end } = this.entry(name);
    if (!this.isOpen) throw fault("the file must be open", "a closed one", this.access.name);
    const bytes = await this.access.read(this.dataStart + begin, this.dataStart + end);
    if (dtype === "I64") checkInt64(bytes, this.access.name, name);
    return bytes;
  }

  private decode(name: string, bytes: Uint8Array, x: Tensor): void {
    decoders[this.entry(name).dtype](x, bytes);
  }

  /** @internal Lets go of a connection until the next read. */
  rest(): void {
    this.access.rest?.();
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.access.close();
  }

  private entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (!entry) throw fault("the tensor must be in the file", `${JSON.stringify(name)}`, this.access.name);
    return entry;
  }
}

/**
 * The bytes of a file, the same for the same tensors whatever their order and strides, and equal to the reference
 * implementation's for the same names and types. Names are sorted within each type.
 */
export function serialize(tensors: StateDict, metadata: Metadata = {}): Uint8Array<ArrayBuffer> {
  const sorted = Object.entries(tensors);
  for (const [name, x] of sorted) {
    if (!(x instanceof Tensor))
      throw new Error(`safetensors: every value must be a tensor, got ${x} for ${JSON.stringify(name)}`);
  }
  sorted.sort(([a, x], [b, y]) => order.indexOf(x.dtype) - order.indexOf(y.dtype) || byCodePoints(a, b));
  let end = 0;
  const entries = sorted.map(([name, { shape, size, dtype }]): [string, Entry] => {
    const begin = end;
    end += size * bytesPerElement(dtype);
    return [name, { dtype: written[dtype], shape, begin, end }];
  });
  const header = encodeHeader(entries, metadata);
  const bytes = new Uint8Array(header.length + end);
  bytes.set(header);
  sorted.forEach(([, x], i) => {
    bytes.set(bytesOf(x), header.length + entries[i][1].begin);
  });
  return bytes;
}

/** WebAssembly memory is little-endian, as files are. */
const decoders: Record<StoredDType, (x: Tensor, bytes: Uint8Array) => void> = {
  F32: copyBytes,
  I32: copyBytes,
  U8: copyBytes,
  F16(x, bytes) {
    kernels.widenFloat16(x.ptr, copyToSecondHalf(x, bytes), x.size);
  },
  BF16(x, bytes) {
    kernels.widenBFloat16(x.ptr, copyToSecondHalf(x, bytes), x.size);
  },
  I64(x, bytes) {
    const values = int32View(x.ptr, x.size);
    const view = dataView(bytes);
    for (let i = 0; i < values.length; i++) values[i] = view.getInt32(8 * i, true);
  },
  I8(x, bytes) {
    int32View(x.ptr, x.size).set(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  },
  BOOL(x, bytes) {
    const values = uint8View(x.ptr, x.size);
    for (let i = 0; i < values.length; i++) values[i] = bytes[i] === 0 ? 0 : 1;
  },
};

function copyBytes(x: Tensor, bytes: Uint8Array): void {
  uint8View(x.ptr, bytes.length).set(bytes);
}

/** Puts 2-byte elements where `x` of 4-byte elements ends, to be widened in place. */
function copyToSecondHalf(x: Tensor, bytes: Uint8Array): Tensor["ptr"] {
  const half = offsetBy(x.ptr, bytes.length);
  uint8View(half, bytes.length).set(bytes);
  return half;
}

function checkInt64(bytes: Uint8Array, file: string, tensor: string): void {
  const view = dataView(bytes);
  for (let at = 0; at < bytes.length; at += 8) {
    if (view.getInt32(at + 4, true) === view.getInt32(at, true) >> 31) continue;
    throw fault("I64 values must fit int32", `${view.getBigInt64(at, true)} at ${at / 8}`, file, tensor);
  }
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The values in row-major order: the tensor's own memory, or a copy of a strided one. */
function bytesOf(x: Tensor): Uint8Array {
  if (x.isDense) return uint8View(x.ptr, x.size * bytesPerElement(x.dtype));
  const { buffer, byteOffset, byteLength } = x.data();
  return new Uint8Array(buffer, byteOffset, byteLength);
}
