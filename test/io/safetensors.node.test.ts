import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { io, tensor } from "../../src/index.js";
import golden from "../golden/safetensors.json" with { type: "json" };

const { open, parse, serialize } = io.safetensors;
const model = "../shared/models/stories260k/model.safetensors";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("files on disk", () => {
  test("a path and a file address read what was written", async () => {
    const path = join(folder, "a b.safetensors");
    const x = tensor([1, 2, 3]);
    const bytes = serialize({ x }, { format: "pt" });
    x.dispose();
    await writeFile(path, bytes);
    for (const source of [path, pathToFileURL(path).href]) {
      const { tensors, metadata } = await parse(source);
      expect(serialize(tensors, metadata)).toEqual(bytes);
      tensors.x.dispose();
    }
  });

  test("an error names the file", async () => {
    const path = join(folder, "short.safetensors");
    await writeFile(path, "abc");
    await expect(open(path)).rejects.toThrow(`safetensors: a file must have at least 8 bytes, got 3 (${path})`);
    await expect(parse(join(folder, "missing.safetensors"))).rejects.toThrow("missing.safetensors");
  });

  test("a file that shrinks while it is open is an error", async () => {
    const path = join(folder, "shrinking.safetensors");
    const x = tensor([1, 2, 3]);
    const bytes = serialize({ x });
    x.dispose();
    await writeFile(path, bytes);
    const lazy = await open(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 4));
    await expect(lazy.read("x")).rejects.toThrow(
      `read: ${path} must have ${bytes.length} bytes, got ${bytes.length - 4}`,
    );
    await lazy.close();
  });
});

describe("stories260k", () => {
  test.skipIf(!existsSync(model))(
    `names, shapes and sums are the reference implementation's (needs ${model})`,
    async () => {
      const lazy = await open(model);
      const found: Record<string, { shape: readonly number[]; sum: number }> = {};
      for (const name of lazy.keys) {
        const x = await lazy.read(name);
        found[name] = {
          shape: lazy.info(name).shape,
          sum: expect.closeTo(
            [...x.data()].reduce((a, b) => a + b, 0),
            9,
          ),
        };
        x.dispose();
      }
      await lazy.close();
      expect(golden.stories260k).toEqual(found);
    },
  );
});
