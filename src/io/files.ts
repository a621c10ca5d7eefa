/**
 * The seam to the file system. `#files` (package.json) is `files.node.ts` where there is one, else `files.browser.ts`,
 * where names are addresses and nothing can be written.
 */

export interface Files {
  readFile(pathOrUrl: string): Promise<Uint8Array<ArrayBuffer>>;
  /** UTF-8. */
  readText(pathOrUrl: string): Promise<string>;
  openFile(pathOrUrl: string, signal?: AbortSignal): Promise<RandomAccess>;
  /** The file is the old one or the whole new one, whatever fails. Makes the folders that are missing. */
  writeFileAtomic(path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<void>;
  /** The same for callers that cannot wait. */
  writeFileAtomicSync(path: string, content: Uint8Array | string): void;
  remove(path: string): Promise<void>;
  /** The names in a folder, sorted. */
  listDirectory(path: string): Promise<string[]>;
  exists(pathOrUrl: string): Promise<boolean>;
  /** Whether there is such a folder; where folders can't be asked for, whether it has `file`. */
  directoryExists(path: string, file: string): Promise<boolean>;
  join(base: string, ...names: string[]): string;
  /** Where what can be fetched again is kept; "" where nothing can be. */
  cacheDirectory(): string;
  /** A variable of the process. */
  environment(name: string): string | undefined;
}

/** Bytes that are read by position. */
export interface RandomAccess {
  /** What error messages call it. */
  readonly name: string;
  readonly size: number;
  /** Exactly the bytes from `begin` to before `end`. They may be the source's own: not to be written to. */
  read(begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
  /** Lets go of a connection until the next read, where there is one. */
  rest?(): void;
}

export function bytesAccess(bytes: Uint8Array, name: string): RandomAccess {
  return {
    name,
    size: bytes.length,
    read: async (begin, end) => bytes.subarray(begin, end),
    close: async () => {},
  };
}

export function blobAccess(blob: Blob, name: string): RandomAccess {
  return {
    name,
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
    close: async () => {},
  };
}

export async function responseBytes(response: Response, name: string = response.url): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.ok) throw new Error(`fetch: ${name} must be readable, got ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  return responseBytes(await fetch(url), url);
}

export async function urlExists(url: string): Promise<boolean> {
  return (await fetch(url, { method: "HEAD" })).ok;
}

export function joinUrl(base: string, ...names: string[]): string {
  return names.reduce((path, name) => (path === "" || path.endsWith("/") ? path + name : `${path}/${name}`), base);
}
