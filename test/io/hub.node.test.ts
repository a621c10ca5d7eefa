import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { io, lora, models } from "../../src/index.js";
import golden from "../golden/llama.json" with { type: "json" };
import { bytesOf } from "../support/golden.js";

const { fromHub } = io;
const weights = bytesOf(golden.weights);
const config = JSON.stringify(golden.config);

/** What the hub has, by path below /org. */
const hub: Record<string, string | Uint8Array> = {
  "whole/resolve/main/config.json": config,
  "whole/resolve/main/tokenizer.json": "{}",
  "whole/resolve/main/model.safetensors": weights,
  "whole/resolve/v2/config.json": JSON.stringify({ ...golden.config, changed: true }),
  "whole/resolve/v2/model.safetensors": weights,
  "sharded/resolve/main/config.json": config,
  "sharded/resolve/main/model.safetensors.index.json": JSON.stringify({
    weight_map: {
      a: "model-00001-of-00002.safetensors",
      b: "model-00002-of-00002.safetensors",
      c: "model-00001-of-00002.safetensors",
    },
  }),
  "sharded/resolve/main/model-00001-of-00002.safetensors": "first",
  "sharded/resolve/main/model-00002-of-00002.safetensors": "second",
  "adapter/resolve/main/adapter_config.json": JSON.stringify(golden.lora.config),
  "adapter/resolve/main/adapter_model.safetensors": bytesOf(golden.lora.start),
  "gated/resolve/main/config.json": config,
  "gated/resolve/main/model.safetensors": weights,
  "unsafe/resolve/main/config.json": config,
  "unsafe/resolve/main/model.safetensors.index.json": '{"weight_map":{"a":"../../../stolen.safetensors"}}',
  "weightless/resolve/main/config.json": config,
  "cut/resolve/main/config.json": config,
  "cut/resolve/main/model.safetensors": weights,
};

let server: Server;
let endpoint: string;
let requests: string[] = [];
let folder: string;

function answer({ url = "", headers }: IncomingMessage, response: ServerResponse): void {
  const path = url.replace("/org/", "");
  requests.push(path);
  const content = hub[path];
  if (path.startsWith("gated/") && headers.authorization !== "Bearer secret") response.writeHead(401).end();
  else if (path.startsWith("busy/")) response.writeHead(503).end();
  else if (content === undefined) response.writeHead(404).end();
  else if (path === "cut/resolve/main/model.safetensors") {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.slice(0, 100), () => response.destroy());
  } else response.writeHead(200, { "content-length": content.length }).end(content);
}

beforeAll(async () => {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
beforeEach(async () => {
  requests = [];
  folder = await mkdtemp(join(tmpdir(), "wasmgrad-hub-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** The files that come, in memory. */
async function inMemory(repo: string, options: io.HubOptions = {}): Promise<io.HubFiles> {
  return (await fromHub(repo, { endpoint, cacheDir: "", ...options })) as io.HubFiles;
}

describe("fromHub", () => {
  test("gives a model's files, with progress by bytes", async () => {
    const progress: [number, number, string][] = [];
    const files = await inMemory("org/whole", { onProgress: (...event) => progress.push(event) });
    expect(Object.keys(files).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(new Uint8Array(await files["model.safetensors"].arrayBuffer())).toEqual(weights);
    expect(progress.at(-1)).toEqual([weights.length, weights.length, "model.safetensors"]);
    const model = await models.Llama.fromPretrained(files);
    expect(model.config.vocab_size).toBe(golden.config.vocab_size);
    model.dispose();
  });

  test("keeps them in a folder, and does not ask again; a revision is a folder of its own", async () => {
    const options = { endpoint, cacheDir: folder };
    const dir = (await fromHub("org/whole", options)) as string;
    expect(dir).toBe(join(folder, "org", "whole", "main"));
    expect(await readdir(dir)).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(new Uint8Array(await readFile(join(dir, "model.safetensors")))).toEqual(weights);
    const asked = requests.length;
    expect(await fromHub("org/whole", options)).toBe(dir);
    expect(requests.length).toBe(asked);
    const other = (await fromHub("org/whole", { ...options, revision: "v2" })) as string;
    expect(await readFile(join(other, "config.json"), "utf8")).toContain("changed");
  });

  test("takes every shard once, and an adapter's files", async () => {
    const shards = await inMemory("org/sharded");
    expect(Object.keys(shards).filter((name) => name.startsWith("model"))).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ]);
    expect(await shards["model-00002-of-00002.safetensors"].text()).toBe("second");
    expect(Object.keys(await inMemory("org/adapter"))).toEqual(["adapter_model.safetensors", "adapter_config.json"]);
  });

  test("a token opens what is gated, and is asked for", async () => {
    await expect(inMemory("org/gated")).rejects.toThrow(
      "fromHub: org/gated must exist and be open to you, got 401 Unauthorized for config.json; no token was given",
    );
    await expect(inMemory("org/gated", { token: "wrong" })).rejects.toThrow("the token does not open it");
    expect(Object.keys(await inMemory("org/gated", { token: "secret" }))).toContain("config.json");
  });

  test("what is not there, or does not answer, is named", async () => {
    await expect(inMemory("org/nothing")).rejects.toThrow(
      `fromHub: org/nothing must have config.json or adapter_config.json, got 404 from ${endpoint}/org/nothing/resolve/main`,
    );
    await expect(inMemory("org/whole", { revision: "v9" })).rejects.toThrow("resolve/v9");
    await expect(inMemory("org/weightless")).rejects.toThrow(
      "org/weightless must have model.safetensors or model.safetensors.index.json, got 404",
    );
    await expect(inMemory("org/busy")).rejects.toThrow(`fromHub: ${endpoint} must answer, got 503`);
    await expect(inMemory("org/whole", { endpoint: "http://127.0.0.1:1" })).rejects.toThrow(
      /^fromHub: http:\/\/127\.0\.0\.1:1 must be reachable for org\/whole, which is no directory here, got fetch failed \(/,
    );
  });

  test("names that lead elsewhere are refused", async () => {
    for (const repo of ["../org", "org/..", "/etc", "org/a/b", "", "org/.git", "a b/c"]) {
      await expect(inMemory(repo), repo).rejects.toThrow('fromHub: a repository must be named "org/name"');
    }
    await expect(inMemory("org/whole", { revision: "../../x" })).rejects.toThrow("fromHub: the revision must be");
    await expect(fromHub("org/unsafe", { endpoint, cacheDir: join(folder, "deep") })).rejects.toThrow(
      'fromHub: model.safetensors.index.json must name safetensors files, got "../../../stolen.safetensors"',
    );
    await expect(inMemory("org/whole", { brand: "x" } as io.HubOptions)).rejects.toThrow("got brand");
  });

  test("a file that breaks off, or an abort, leaves nothing that could pass for whole", async () => {
    const options = { endpoint, cacheDir: folder };
    await expect(fromHub("org/cut", options)).rejects.toThrow(
      /^fromHub: model\.safetensors must come whole, got .* \d+ bytes$/,
    );
    expect(await readdir(join(folder, "org", "cut", "main"))).toEqual([]);
    const controller = new AbortController();
    const stopped = fromHub("org/whole", {
      ...options,
      signal: controller.signal,
      onProgress: (_loaded, _total, file) => file === "model.safetensors" && controller.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    expect(await readdir(join(folder, "org", "whole", "main"))).toEqual(["tokenizer.json"]);
    expect(await fromHub("org/whole", options)).toBe(join(folder, "org", "whole", "main"));
  });
});

describe("fromPretrained", () => {
  beforeEach(() => {
    vi.stubEnv("HF_ENDPOINT", endpoint);
    vi.stubEnv("XDG_CACHE_HOME", folder);
  });
  afterEach(() => vi.unstubAllEnvs());

  test("takes the hub's name of a model, from the endpoint that the environment names", async () => {
    const model = await models.Llama.fromPretrained("org/whole");
    expect(model.config.vocab_size).toBe(golden.config.vocab_size);
    model.dispose();
    expect(await readdir(join(folder, "wasmgrad", "org", "whole"))).toEqual(["main"]);
    vi.stubEnv("HF_TOKEN", "secret");
    (await models.Llama.fromPretrained("org/gated", { onProgress() {}, config: {} })).dispose();
    await expect(models.Llama.fromPretrained("org/nothing")).rejects.toThrow("org/nothing must have config.json");
  });

  test("so does loadAdapter", async () => {
    const model = await models.Llama.fromPretrained("org/whole");
    const handle = await lora.loadAdapter(model, "org/adapter");
    expect(handle.config.r).toBe(golden.lora.config.r);
    handle.detach();
    model.dispose();
    expect(await readdir(join(folder, "wasmgrad", "org"))).toEqual(["adapter", "whole"]);
  });

  test("a path that exists wins, and other paths are none of the hub's", async () => {
    for (const path of ["test/golden", "no/such/directory", "./nothing", "/no/where"]) {
      await expect(models.Llama.fromPretrained(path), path).rejects.toThrow("ENOENT");
    }
    expect(requests).toEqual([]);
  });
});
