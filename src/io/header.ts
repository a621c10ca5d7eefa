/**
 * The header of a safetensors file: 8 bytes with the length n of the header, n bytes of JSON, the tensors' bytes.
 *
 * @see https://github.com/huggingface/safetensors#format
 */
import type { Shape } from "../shape.js";

/** The types as the format names them, with their sizes in bytes. */
export const storedBytes = { F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I8: 1, U8: 1, BOOL: 1 } as const;
export type StoredDType = keyof typeof storedBytes;

export type Metadata = Record<string, string>;

export interface Entry {
  dtype: StoredDType;
  shape: Shape;
  /** In bytes from the start of the data. */
  begin: number;
  end: number;
}

export interface Header {
  /** In the order of the data. */
  entries: Map<string, Entry>;
  metadata: Metadata;
}

const MAX_BYTES = 100_000_000;
const METADATA = "__metadata__";

export function fault(rule: string, got: string, file: string, tensor?: string): Error {
  const where = tensor === undefined ? file : `${JSON.stringify(tensor)} of ${file}`;
  return new Error(`safetensors: ${rule}, got ${got} (${where})`);
}

/** The length of the header, from the first 8 bytes of a file of `fileBytes`. */
export function headerLength(bytes: Uint8Array, fileBytes: number, file: string): number {
  if (bytes.length < 8) throw fault("a file must have at least 8 bytes", `${bytes.length}`, file);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > MAX_BYTES) throw fault(`the header must have at most ${MAX_BYTES} bytes`, `${length}`, file);
  if (length > fileBytes - 8) {
    throw fault(`the header must fit the ${fileBytes} bytes of the file (is it whole?)`, `${length} bytes`, file);
  }
  return Number(length);
}

/** Reads a header that describes `dataBytes` of data. */
export function decodeHeader(bytes: Uint8Array, dataBytes: number, file: string): Header {
  const { [METADATA]: metadata = {}, ...listed } = decodeJson(bytes, file);
  const entries = Object.entries(listed).map(([name, entry]): [string, Entry] => [
    name,
    decodeEntry(entry, name, file),
  ]);
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, dataBytes, file);
  return { entries: new Map(entries), metadata: decodeMetadata(metadata, file) };
}

/** Keys and bytes as the reference implementation writes them; metadata, which it leaves in any order, by key. */
export function encodeHeader(entries: Iterable<[string, Entry]>, metadata: Metadata): Uint8Array<ArrayBuffer> {
  const keys = Object.keys(metadata).sort(byCodePoints);
  for (const key of keys) checkText(key, metadata[key]);
  const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
  const members = pairs.length > 0 ? [`"${METADATA}":{${pairs}}`] : [];
  for (const [name, { dtype, shape, begin, end }] of entries) {
    checkName(name);
    members.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  const json = new TextEncoder().encode(`{${members}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

/** The order of the names' UTF-8 bytes, which is not that of their UTF-16 units. */
export function byCodePoints(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

function decodeJson(bytes: Uint8Array, file: string): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw fault("the header must be a JSON object", `first byte ${bytes[0]}`, file);
  try {
    const json = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const value = JSON.parse(json);
    const repeated = repeatedKey(json);
    if (repeated === undefined) return value;
    throw new Error(`${JSON.stringify(repeated)} twice`);
  } catch (error) {
    throw fault("the header must be a JSON object with different keys", (error as Error).message, file);
  }
}

/** The first key that an object of valid JSON has twice; `JSON.parse` would keep the last. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  const colon = /\s*:/y;
  for (let i = 0; i < json.length; i++) {
    if (json[i] === "{") open.push(new Set());
    else if (json[i] === "}") open.pop();
    else if (json[i] === '"') {
      const start = i++;
      for (; json[i] !== '"'; i++) if (json[i] === "\\") i++;
      colon.lastIndex = i + 1;
      if (!colon.test(json)) continue;
      const keys = open[open.length - 1];
      const key: string = JSON.parse(json.slice(start, i + 1));
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function decodeMetadata(value: unknown, file: string): Metadata {
  if (!isObject(value)) throw fault(`${METADATA} must be an object`, JSON.stringify(value), file);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw fault(`${METADATA} must hold strings`, `${JSON.stringify(text)} for ${JSON.stringify(key)}`, file);
    }
  }
  return value as Metadata;
}

function decodeEntry(value: unknown, name: string, file: string): Entry {
  if (!isObject(value)) throw fault("a tensor must be described by an object", JSON.stringify(value), file, name);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isStoredDType(dtype)) {
    throw fault(`the dtype must be one of ${Object.keys(storedBytes).join(", ")}`, JSON.stringify(dtype), file, name);
  }
  if (!isListOfNaturals(shape)) throw fault("extents must be whole numbers from 0", JSON.stringify(shape), file, name);
  if (!isListOfNaturals(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw fault("data_offsets must be two ascending whole numbers from 0", JSON.stringify(offsets), file, name);
  }
  const [begin, end] = offsets;
  const bytes = byteLength(shape, dtype);
  if (bytes === null) throw fault("the size must not overflow", `shape ${JSON.stringify(shape)}`, file, name);
  if (bytes !== end - begin) {
    throw fault(`${dtype} ${JSON.stringify(shape)} must take ${bytes} bytes`, `${end - begin}`, file, name);
  }
  return { dtype, shape, begin, end };
}

/** Null for more than 2⁵³ bytes, also before an extent of 0. */
function byteLength(shape: Shape, dtype: StoredDType): number | null {
  let bytes: number = storedBytes[dtype];
  for (const extent of shape) {
    bytes *= extent;
    if (!Number.isSafeInteger(bytes)) return null;
  }
  return bytes;
}

/** Tensors, in the order of their offsets, lie side by side and fill the data. */
function checkCoverage(entries: readonly [string, Entry][], dataBytes: number, file: string): void {
  let covered = 0;
  for (const [name, { begin, end }] of entries) {
    if (end > dataBytes) {
      throw fault(
        `data_offsets must lie within the ${dataBytes} bytes of data (is the file whole?)`,
        `[${begin}, ${end}]`,
        file,
        name,
      );
    }
    if (begin !== covered) {
      const kind = begin < covered ? "an overlap" : "a hole";
      throw fault("tensors must lie side by side", `${kind}: [${begin}, ${end}] after ${covered}`, file, name);
    }
    covered = end;
  }
  if (covered !== dataBytes)
    throw fault(`the data must end with the last tensor at ${covered}`, `${dataBytes} bytes`, file);
}

function checkName(name: string): void {
  if (name === METADATA || isMalformed(name)) {
    throw new Error(
      `safetensors: a tensor's name must be well-formed text other than ${METADATA}, got ${JSON.stringify(name)}`,
    );
  }
}

function checkText(key: string, text: unknown): void {
  if (typeof text !== "string" || isMalformed(key + text)) {
    throw new Error(
      `safetensors: metadata must be well-formed text, got ${JSON.stringify(text)} for ${JSON.stringify(key)}`,
    );
  }
}

/** Half a surrogate pair has no UTF-8. */
function isMalformed(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStoredDType(value: unknown): value is StoredDType {
  return typeof value === "string" && Object.hasOwn(storedBytes, value);
}

function isListOfNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
