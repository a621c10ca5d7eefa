/** Models in directories and at addresses. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { io, memoryStats, models } from "../../src/index.js";
import golden from "../golden/causal.json" with { type: "json" };
import { bytesOf } from "../support/golden.js";

const { config, weights } = golden.models.gpt2;
const files: models.ModelFiles = { "config.json": JSON.stringify(config), "model.safetensors": bytesOf(weights) };

async function values(model: models.GPT2): Promise<unknown> {
  const { "model.safetensors": bytes } = await model.savePretrained();
  model.dispose();
  return bytes;
}

async function fails(loading: () => Promise<unknown>, error: RegExp | string): Promise<void> {
  const before = memoryStats();
  await expect(loading()).rejects.toThrow(error);
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}

describe("a directory", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "wasmgrad-models-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  test("takes the place of the weights that were there, whole or in shards", async () => {
    const model = await models.GPT2.fromPretrained(files);
    const expected = (await model.savePretrained(dir))["model.safetensors"];
    expect(await readdir(dir)).toEqual(["config.json", "model.safetensors"]);
    expect(await values(await models.GPT2.fromPretrained(dir))).toEqual(expected);
    await writeFile(join(dir, "tokenizer.json"), "{}");

    const shards = Object.keys(await model.savePretrained(dir, { maxShardBytes: 3000 }));
    expect(shards).toContain("model.safetensors.index.json");
    expect(await readdir(dir)).toEqual([...shards, "tokenizer.json"].sort());
    expect(await values(await models.GPT2.fromPretrained(dir))).toEqual(expected);

    await model.savePretrained(dir);
    expect(await readdir(dir)).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    model.dispose();
  });

  test("without the file that an index names, or cut off, is an error", async () => {
    const model = await models.GPT2.fromPretrained(files);
    const shards = Object.keys(await model.savePretrained(dir, { maxShardBytes: 3000 }));
    model.dispose();
    const shard = join(dir, shards.filter((name) => name.endsWith(".safetensors"))[1]);
    const bytes = await readFile(shard);
    await writeFile(shard, bytes.subarray(0, bytes.length - 1));
    await fails(() => models.GPT2.fromPretrained(dir), /\(is the file whole\?\), got .*model-00002-of-/);
    await rm(shard);
    await fails(() => models.GPT2.fromPretrained(dir), /must include model-00002-of-.*, which .* names/);
    await rm(join(dir, "model.safetensors.index.json"));
    await fails(
      () => models.GPT2.fromPretrained(dir),
      `must include model.safetensors or model.safetensors.index.json, got ${dir}`,
    );
  });
});

describe("an address", () => {
  let server: Server;
  let base: string;
  /** The requests for weights, with the range that they asked for. */
  let requests: string[] = [];
  /** What the server does with weights. */
  let behaviour: "ranges" | "plain" | "no length" | "cut" | "stuck" = "plain";
  let served = files;

  async function answer({ url = "", headers, method }: IncomingMessage, response: ServerResponse): Promise<void> {
    const content = served[url.slice(1)] as string | Uint8Array | undefined;
    if (content === undefined) return void response.writeHead(404).end();
    if (method === "HEAD") return void response.writeHead(200).end();
    if (typeof content === "string") return void response.writeHead(200).end(content);
    requests.push(`${url} ${headers.range ?? "all"}`);
    const length = { "content-length": content.length };
    if (behaviour === "no length") return void response.writeHead(200).end(content);
    if (behaviour === "cut") {
      response.writeHead(200, length).write(content.subarray(0, content.length - 10), () => response.destroy());
    } else if (behaviour === "stuck") {
      response.writeHead(200, length).write(content.subarray(0, content.length - 10));
    } else if (behaviour === "ranges" && headers.range) {
      const begin = Number(headers.range.match(/^bytes=(\d+)-$/)?.[1]);
      response.writeHead(206, { "content-length": content.length - begin }).end(content.subarray(begin));
    } else response.writeHead(200, length).end(content);
  }

  beforeAll(async () => {
    server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    requests = [];
    behaviour = "plain";
    served = files;
  });

  test("is read in one request, whether the server says how long the file is or not", async () => {
    const expected = await values(await models.GPT2.fromPretrained(files));
    for (behaviour of ["plain", "no length"] as const) {
      requests = [];
      const progress: number[] = [];
      const model = await models.GPT2.fromPretrained(new URL(base), { onProgress: (loaded) => progress.push(loaded) });
      expect(progress.length).toBe(model.parameters().length);
      expect(await values(model)).toEqual(expected);
      expect(requests).toEqual(["/model.safetensors all"]);
    }
  });

  test("has shards that are read after all headers, each from where its header ends if the server can", async () => {
    const model = await models.GPT2.fromPretrained(files);
    served = (await model.savePretrained(undefined, { maxShardBytes: 6000 })) as models.ModelFiles;
    const expected = await values(model);
    const names = Object.keys(served).filter((name) => name.endsWith(".safetensors"));
    for (behaviour of ["ranges", "plain"] as const) {
      requests = [];
      expect(await values(await models.GPT2.fromPretrained(base))).toEqual(expected);
      expect(requests.slice(0, names.length)).toEqual(names.map((name) => `/${name} all`));
      expect(requests.slice(names.length)).toEqual(
        names.map((name) => expect.stringMatching(`^/${name} bytes=\\d+-$`)),
      );
    }
  });

  test("is read by name in any order", async () => {
    for (behaviour of ["ranges", "plain"] as const) {
      const reader = await io.safetensors.open(`${base}/model.safetensors`);
      const { tensors } = await io.safetensors.parse(files["model.safetensors"] as Uint8Array);
      for (const key of [...reader.keys].reverse()) {
        const tensor = await reader.read(key);
        expect(tensor.data()).toEqual(tensors[key].data());
        tensor.dispose();
      }
      await reader.close();
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  });

  test("that ends early, or is not there, is an error", async () => {
    behaviour = "cut";
    await fails(() => models.GPT2.fromPretrained(base), /model\.safetensors must have \d+ bytes, got \d+/);
    await fails(() => models.GPT2.fromPretrained(`${base}/none`), /none\/config\.json must be readable, got 404/);
  });

  test("that does not go on can be left", async () => {
    behaviour = "stuck";
    const controller = new AbortController();
    const onProgress = () => setTimeout(() => controller.abort(), 5);
    await fails(() => models.GPT2.fromPretrained(base, { signal: controller.signal, onProgress }), /abort/);
  });
});
