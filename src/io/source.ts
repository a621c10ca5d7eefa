/** What is read from, and how. */
import { files } from "#files";
import { blobAccess, bytesAccess, type RandomAccess, responseBytes } from "./files.js";

/** Bytes, or where they are: a string is a path or an `http(s):` or `file:` address in Node, an address in a browser. */
export type Source = Uint8Array | Blob | Response | string;

export async function accessTo(source: Source, signal?: AbortSignal): Promise<RandomAccess> {
  if (typeof source === "string") return files.openFile(source, signal);
  if (source instanceof Uint8Array) return bytesAccess(source, "the given bytes");
  if (source instanceof Blob) return blobAccess(source, (source as Partial<File>).name ?? "the given Blob");
  if (source instanceof Response) {
    const name = source.url || "the given Response";
    return bytesAccess(await responseBytes(source, name), name);
  }
  throw new Error(`safetensors: the source must be a Uint8Array, a Blob, a Response or a string, got ${source}`);
}
