/** Models and adapters from the Hugging Face hub, or from what serves files under the same addresses. */
import { files } from "#files";
import { checkOptions } from "../errors.js";

export interface HubOptions {
  /** A branch, tag or commit. */
  revision?: string;
  /** For private and gated repositories; by default the variable HF_TOKEN of the environment, where there is one. */
  token?: string;
  /** By default the variable HF_ENDPOINT of the environment, else https://huggingface.co. */
  endpoint?: string;
  /** Where a file system keeps what was fetched: by default in the user's cache. "" keeps it in memory, as browsers do. */
  cacheDir?: string;
  /** Bytes of the present file that have come, those of all of it (NaN where the server does not say), and its name. */
  onProgress?: (loaded: number, total: number, file: string) => void;
  signal?: AbortSignal;
}

/** Files by name, as `fromPretrained` and `loadAdapter` take them. */
export type HubFiles = Record<string, Blob>;

interface Request extends HubOptions {
  repo: string;
  /** What the names of files are put behind. */
  base: string;
  keep: (name: string, bytes: AsyncIterable<Uint8Array<ArrayBuffer>>) => Promise<void>;
}

const model = "config.json";
const adapter = "adapter_config.json";
const beside = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"];
const weights = { [model]: "model.safetensors", [adapter]: "adapter_model.safetensors" };
const index = "model.safetensors.index.json";

/**
 * The files of the model or adapter `repo` ("org/name"): config, tokenizer, safetensors. With a file system they are
 * kept, each whole or not at all, and the directory is returned; it is used again without asking the hub.
 * Errors: a repository or file that is not there or not to be read with this token, a hub that cannot be reached.
 */
export async function fromHub(repo: string, options: HubOptions = {}): Promise<string | HubFiles> {
  checkOptions("fromHub", options, ["revision", "token", "endpoint", "cacheDir", "onProgress", "signal"]);
  const endpoint = options.endpoint ?? files.environment("HF_ENDPOINT") ?? "https://huggingface.co";
  const { revision = "main", cacheDir = files.cacheDirectory() } = options;
  checkNames(repo, revision);
  const dir = cacheDir && files.join(cacheDir, ...repo.split("/"), ...revision.split("/"));
  if (dir && (await isWhole(dir))) return dir;
  const inMemory: HubFiles = {};
  await fetchAll({
    ...options,
    token: options.token ?? files.environment("HF_TOKEN"),
    repo,
    base: files.join(endpoint, repo, "resolve", revision),
    async keep(name, bytes) {
      if (dir) await files.writeFileAtomic(files.join(dir, name), bytes);
      else inMemory[name] = await blobOf(bytes);
    },
  });
  return dir || inMemory;
}

/**
 * What to read a model or adapter from: `source` as it is, or the hub's files where it is the name "org/name" of no
 * folder here (of no address that has `file`, in a browser).
 */
export async function locate<Files extends object>(
  source: string | Files,
  file: string,
  options: Pick<HubOptions, "signal" | "onProgress"> = {},
): Promise<string | Files | HubFiles> {
  if (typeof source !== "string" || !/^\w[\w.-]*\/\w[\w.-]*$/.test(source)) return source;
  return (await files.directoryExists(source, file)) ? source : fromHub(source, options);
}

/** The config is written last: a directory that has one has all. */
async function isWhole(dir: string): Promise<boolean> {
  const found = await Promise.all([model, adapter].map((name) => files.exists(files.join(dir, name))));
  return found.includes(true);
}

async function fetchAll(request: Request): Promise<void> {
  const [name, config] = await firstOf(request, [model, adapter]);
  const configText = await config.text();
  for (const name of beside) {
    const response = await get(request, name);
    if (response) await keep(request, name, response);
  }
  await fetchWeights(request, weights[name]);
  await request.keep(name, chunks(configText));
}

async function fetchWeights(request: Request, whole: string): Promise<void> {
  const [name, response] = await firstOf(request, whole === weights[model] ? [whole, index] : [whole]);
  if (name === whole) return keep(request, name, response);
  const text = await response.text();
  for (const shard of shardsOf(text)) await keep(request, shard, (await firstOf(request, [shard]))[1]);
  await request.keep(index, chunks(text));
}

/** A shard is a file beside the index: a name that leads elsewhere is refused. */
function shardsOf(text: string): string[] {
  const { weight_map: map } = JSON.parse(text) as { weight_map?: Record<string, string> };
  const shards = [...new Set(Object.values(map ?? {}))];
  const wrong = shards.find((shard) => !/^\w[\w.-]*\.safetensors$/.test(shard));
  if (shards.length === 0 || wrong !== undefined) {
    throw new Error(`fromHub: ${index} must name safetensors files, got ${JSON.stringify(wrong)}`);
  }
  return shards;
}

/** The first of `names` that the repository has. */
async function firstOf<Name extends string>(request: Request, names: Name[]): Promise<[Name, Response]> {
  for (const name of names) {
    const response = await get(request, name);
    if (response) return [name, response];
  }
  throw new Error(`fromHub: ${request.repo} must have ${names.join(" or ")}, got 404 from ${request.base}`);
}

/** Null for a file that is not there. */
async function get({ base, repo, token, signal }: Request, name: string): Promise<Response | null> {
  const headers = token ? { authorization: `Bearer ${token}` } : undefined;
  const response = await fetch(files.join(base, name), { headers, signal }).catch((error: Error) => {
    signal?.throwIfAborted();
    const rule = `${new URL(base).origin} must be reachable for ${repo}, which is no directory here`;
    throw new Error(`fromHub: ${rule}, got ${reasonOf(error)}`, { cause: error });
  });
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 404) return null;
  const got = `got ${response.status} ${response.statusText} for ${name}`;
  if (response.status === 401 || response.status === 403) {
    const remedy = token ? "the token does not open it" : "no token was given";
    throw new Error(`fromHub: ${repo} must exist and be open to you, ${got}; ${remedy}`);
  }
  throw new Error(`fromHub: ${new URL(base).origin} must answer, ${got}`);
}

function reasonOf({ message, cause }: Error): string {
  const detail = cause instanceof Error ? cause.message || (cause as { code?: string }).code : undefined;
  return detail ? `${message} (${detail})` : message;
}

async function keep(request: Request, name: string, response: Response): Promise<void> {
  await request.keep(name, counted(request, name, response));
}

/** The bytes as they come. Fewer than were announced are an error. */
async function* counted(
  { onProgress, signal }: Request,
  name: string,
  response: Response,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  // the length of a compressed answer is another
  const isPlain = !response.headers.get("content-encoding");
  const total = isPlain ? Number(response.headers.get("content-length") ?? Number.NaN) : Number.NaN;
  const reader = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  const stop = () => void reader.cancel().catch(() => {});
  // in Node 20 an abort alone may leave a read without an answer
  signal?.addEventListener("abort", stop);
  let loaded = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read().catch((error: Error) => {
        signal?.throwIfAborted();
        throw new Error(`fromHub: ${name} must come whole, got ${reasonOf(error)} after ${loaded} bytes`);
      });
      if (done) break;
      loaded += value.length;
      onProgress?.(loaded, total, name);
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
  signal?.throwIfAborted();
  if (loaded < total) throw new Error(`fromHub: ${name} must have ${total} bytes, got ${loaded}`);
}

async function* chunks(text: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield new TextEncoder().encode(text);
}

async function blobOf(bytes: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const part of bytes) parts.push(part);
  return new Blob(parts);
}

function checkNames(repo: string, revision: string): void {
  if (!/^\w[\w.-]*(\/\w[\w.-]*)?$/.test(repo)) {
    throw new Error(`fromHub: a repository must be named "org/name", got ${JSON.stringify(repo)}`);
  }
  if (!/^\w[\w.-]*(\/\w[\w.-]*)*$/.test(revision)) {
    throw new Error(`fromHub: the revision must be a branch, tag or commit, got ${JSON.stringify(revision)}`);
  }
}
