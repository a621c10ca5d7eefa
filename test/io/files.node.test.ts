import { mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { files } from "#files";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "files-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("writeFileAtomic", () => {
  test("writes text and bytes, makes folders, replaces what was there", async () => {
    const path = join(folder, "a", "b", "model.bin");
    await files.writeFileAtomic(path, "é");
    expect(await files.readText(path)).toBe("é");
    await files.writeFileAtomic(pathToFileURL(path).href, Uint8Array.of(1, 2, 3));
    expect(await files.readFile(path)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await readdir(join(folder, "a", "b"))).toEqual(["model.bin"]);
  });

  test("a write that fails halfway leaves the old file whole and nothing else", async () => {
    const path = join(folder, "model.bin");
    await files.writeFileAtomic(path, "old");
    async function* failing() {
      yield "new";
      throw new Error("disk full");
    }
    await expect(files.writeFileAtomic(path, failing() as unknown as string)).rejects.toThrow("disk full");
    expect(await files.readText(path)).toBe("old");
    expect(await readdir(folder)).toEqual(["model.bin"]);
  });

  test("the same without waiting", async () => {
    const path = join(folder, "a", "model.bin");
    files.writeFileAtomicSync(path, "é");
    files.writeFileAtomicSync(path, Uint8Array.of(1, 2, 3));
    expect(await files.readFile(path)).toEqual(Uint8Array.of(1, 2, 3));
    const unreadable = { toString: null } as unknown as string;
    expect(() => files.writeFileAtomicSync(path, unreadable)).toThrow();
    expect(await files.readFile(path)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await readdir(join(folder, "a"))).toEqual(["model.bin"]);
  });

  test("a name that cannot be taken leaves nothing behind", async () => {
    await files.writeFileAtomic(join(folder, "taken", "inner"), "x");
    await expect(files.writeFileAtomic(join(folder, "taken"), "y")).rejects.toThrow();
    expect(() => files.writeFileAtomicSync(join(folder, "taken"), "y")).toThrow();
    expect(await readdir(folder)).toEqual(["taken"]);
  });

  test("of writes at the same time one wins, whole", async () => {
    const path = join(folder, "model.bin");
    const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000));
    await Promise.all(contents.map((content) => files.writeFileAtomic(path, content)));
    expect(contents).toContain(await readFile(path, "utf8"));
    expect(await readdir(folder)).toEqual(["model.bin"]);
  });

  test("an address cannot be written", async () => {
    await expect(files.writeFileAtomic("https://example.org/a", "x")).rejects.toThrow(
      "writeFileAtomic: a path must be given, got the address https://example.org/a",
    );
  });
});

describe("reading", () => {
  test("by position, from paths and from addresses", async () => {
    const path = join(folder, "digits");
    await files.writeFileAtomic(path, "0123456789");
    for (const source of [path, pathToFileURL(path).href, "data:,0123456789"]) {
      const access = await files.openFile(source);
      expect([access.name, access.size]).toEqual([source, 10]);
      expect(new TextDecoder().decode(await access.read(3, 6))).toBe("345");
      expect(await access.read(10, 10)).toHaveLength(0);
      await access.close();
      expect(await files.readText(source)).toBe("0123456789");
    }
  });

  test("past the end of a file that was cut is an error", async () => {
    const path = join(folder, "digits");
    await files.writeFileAtomic(path, "0123456789");
    const access = await files.openFile(path);
    await truncate(path, 4);
    await expect(access.read(2, 10)).rejects.toThrow(`read: ${path} must have 10 bytes, got 4`);
    await access.close();
  });

  test("exists, and the names in a folder, sorted", async () => {
    for (const name of ["b", "a", "c/d"]) await files.writeFileAtomic(join(folder, name), "");
    expect(await files.listDirectory(folder)).toEqual(["a", "b", "c"]);
    expect(await files.exists(join(folder, "a"))).toBe(true);
    expect(await files.exists(folder)).toBe(true);
    expect(await files.exists(join(folder, "missing"))).toBe(false);
    expect(await files.exists(pathToFileURL(join(folder, "a")).href)).toBe(true);
  });
});

test("join makes paths of paths and addresses of addresses", () => {
  expect(files.join("models", "a", "config.json")).toBe(join("models", "a", "config.json"));
  expect(files.join("https://example.org/models/", "config.json")).toBe("https://example.org/models/config.json");
  expect(files.join("file:///models", "config.json")).toBe("file:///models/config.json");
});
