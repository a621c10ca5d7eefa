import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { access, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Files, fetchBytes, joinUrl, type RandomAccess, urlExists } from "./files.js";
import { openUrl } from "./remote.js";

// The system reads at most 2 GiB at once.
const READ_BYTES = 1 << 30;

export const files: Files = {
  async readFile(pathOrUrl) {
    if (isRemote(pathOrUrl)) return fetchBytes(pathOrUrl);
    const { buffer, byteOffset, length } = await readFile(toPath(pathOrUrl));
    return new Uint8Array(buffer, byteOffset, length);
  },

  async readText(pathOrUrl) {
    return new TextDecoder().decode(await files.readFile(pathOrUrl));
  },

  async openFile(pathOrUrl, signal) {
    if (isRemote(pathOrUrl)) return openUrl(pathOrUrl, signal);
    const handle = await open(toPath(pathOrUrl));
    try {
      const { size } = await handle.stat();
      return handleAccess(handle, size, pathOrUrl);
    } catch (error) {
      await handle.close();
      throw error;
    }
  },

  async writeFileAtomic(target, content) {
    const path = toLocalPath("writeFileAtomic", target);
    await mkdir(dirname(path), { recursive: true });
    const temporary = temporaryBeside(path);
    try {
      await writeThrough(temporary, content);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      finished(temporary);
    }
  },

  writeFileAtomicSync(target, content) {
    const path = toLocalPath("writeFileAtomicSync", target);
    mkdirSync(dirname(path), { recursive: true });
    const temporary = temporaryBeside(path);
    try {
      writeThroughSync(temporary, content);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      finished(temporary);
    }
  },

  async remove(path) {
    await rm(toLocalPath("remove", path));
  },

  async listDirectory(path) {
    return (await readdir(toLocalPath("listDirectory", path))).sort();
  },

  async exists(pathOrUrl) {
    if (isRemote(pathOrUrl)) return urlExists(pathOrUrl);
    return access(toPath(pathOrUrl)).then(
      () => true,
      () => false,
    );
  },

  async directoryExists(path) {
    return stat(toLocalPath("directoryExists", path)).then(
      (found) => found.isDirectory(),
      () => false,
    );
  },

  join(base, ...names) {
    return isRemote(base) || base.startsWith("file:") ? joinUrl(base, ...names) : join(base, ...names);
  },

  cacheDirectory() {
    return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "wasmgrad");
  },

  environment: (name) => process.env[name] || undefined,
};

function handleAccess(handle: FileHandle, size: number, name: string): RandomAccess {
  return {
    name,
    size,
    async read(begin, end) {
      const bytes = new Uint8Array(end - begin);
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, at, Math.min(READ_BYTES, bytes.length - at), begin + at);
        if (bytesRead === 0) throw new Error(`read: ${name} must have ${end} bytes, got ${begin + at}`);
        at += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** Files that are being written. A process that exits meanwhile takes them with it. */
const unfinished = new Set<string>();

function temporaryBeside(path: string): string {
  const temporary = join(dirname(path), `.${crypto.randomUUID()}.tmp`);
  // made at once: an open still under way would make it after the process has removed it
  closeSync(openSync(temporary, "wx"));
  if (unfinished.size === 0) process.once("exit", removeUnfinished);
  unfinished.add(temporary);
  return temporary;
}

function finished(temporary: string): void {
  unfinished.delete(temporary);
  if (unfinished.size === 0) process.off("exit", removeUnfinished);
}

function removeUnfinished(): void {
  for (const temporary of unfinished) rmSync(temporary, { force: true });
}

/** The data must be on the disk before a rename: a crash could leave the new name on nothing. */
async function writeThrough(path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await writeFile(handle, content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeThroughSync(path: string, content: Uint8Array | string): void {
  const descriptor = openSync(path, "r+");
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A drive letter is no scheme: `C:\model` is a path. */
function isRemote(pathOrUrl: string): boolean {
  return /^(https?|data|blob):/i.test(pathOrUrl);
}

function toPath(pathOrFileUrl: string): string {
  return pathOrFileUrl.startsWith("file:") ? fileURLToPath(pathOrFileUrl) : pathOrFileUrl;
}

function toLocalPath(op: string, path: string): string {
  if (isRemote(path)) throw new Error(`${op}: a path must be given, got the address ${path}`);
  return toPath(path);
}
