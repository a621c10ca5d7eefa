/** Loads the variant of the kernels that the engine can run and holds the one instance. */
import { relaxedSimd, simd } from "wasm-feature-detect";
import { inflate, responseOf } from "#bytes";
import { OutOfMemoryError, UnsupportedError } from "../errors.js";
import type { Kernels } from "./kernels.gen.js";
import { attachMemory, createMemory, detachMemory, scratchMemory, toAddress } from "./memory.js";
import { SELF_TEST_BYTES, selfTest } from "./selfTest.js";

export type Variant = "simd" | "relaxed-simd";
export type SimdOption = "auto" | "baseline" | "relaxed";
/** What `init({ wasm })` takes: a module of `wasmgrad/simd.wasm` or `wasmgrad/relaxed-simd.wasm`. */
export type WasmSource = URL | Response | BufferSource | WebAssembly.Module;

const uninitialized: Kernels = new Proxy({} as Kernels, {
  get(_, name) {
    throw new Error(
      `${String(name)}: the library must be initialized before any operation; call \`await init()\` first`,
    );
  },
});

/** The kernels of the running instance: addresses and sizes in, numbers written. */
export let kernels: Kernels = uninitialized;

/** What runs, and why it is less than was asked for. */
export interface Loaded {
  variant: Variant;
  threads: number;
  sharedMemory: boolean;
  reasons: string[];
}

export interface LoadOptions {
  simd: SimdOption;
  threads: number | "auto";
  maximumMemoryMiB: number;
  wasm: WasmSource | undefined;
  /** Called when the threads have ended by themselves: the kernels go on with one. */
  threadsLost: (reason: string) => void;
}

let endThreads: (() => Promise<void>) | undefined;

/**
 * Compiles and instantiates one variant over a new memory and starts its threads. Errors: no SIMD, no memory, kernels that
 * compute wrong numbers in the baseline variant too.
 */
export async function loadKernels(options: LoadOptions): Promise<Loaded> {
  if (typeof WebAssembly === "undefined") {
    throw new UnsupportedError("init: the engine must have WebAssembly, got one without it, or with it switched off");
  }
  if (!(await simd())) throw new UnsupportedError("init: the engine must support WebAssembly SIMD, got one without it");
  const { wasm } = options;
  if (wasm instanceof WebAssembly.Module) return start(wasm, options, []);
  if (wasm) return start(await bytesOf(wasm), options, []);
  const variant = await chooseVariant(options.simd);
  try {
    return await start(await load(variant), options, []);
  } catch (error) {
    if (!isOfVariant(error) || variant === "simd" || options.simd === "relaxed") throw error;
    return start(await load("simd"), options, [`relaxed SIMD is not used: ${error.message}`]);
  }
}

/** Whether another variant may do better: this one gives wrong numbers, traps, or is refused. */
function isOfVariant(error: unknown): error is Error {
  const { CompileError, LinkError, RuntimeError } = WebAssembly;
  return [WrongKernels, CompileError, LinkError, RuntimeError].some((kind) => error instanceof kind);
}

export async function unloadKernels(): Promise<void> {
  kernels = uninitialized;
  detachMemory();
  const end = endThreads;
  endThreads = undefined;
  await end?.();
}

/** The engine runs the kernels and gets wrong results. */
class WrongKernels extends Error {}

async function start(
  code: Uint8Array<ArrayBuffer> | WebAssembly.Module,
  { threads, maximumMemoryMiB, threadsLost }: LoadOptions,
  reasons: string[],
): Promise<Loaded> {
  let shared = threads === 1 ? undefined : shareable(code, reasons);
  let created = createMemory(maximumMemoryMiB, shared !== undefined);
  if (created instanceof Error && shared) {
    reasons.push(`one thread: the engine refuses shared memory: ${created.message}`);
    shared = undefined;
    created = createMemory(maximumMemoryMiB, false);
  }
  if (created instanceof Error) {
    throw new OutOfMemoryError(
      `init: the engine must allow a memory of 64 MiB, got ${created.message}; init({ maximumMemoryMiB }) can ask for less`,
    );
  }
  const { memory, maximumMiB } = created;
  const loading = shared && import("./threads.js").catch((error: Error) => error); // while the engine compiles
  const module = code instanceof WebAssembly.Module ? code : await WebAssembly.compile(shared ?? code);
  if (maximumMiB < Math.floor(maximumMemoryMiB)) {
    reasons.push(`the engine refuses ${maximumMemoryMiB} MiB of memory, the most is ${maximumMiB} MiB`);
  }
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const exports = { ...instance.exports } as Kernels; // of its own, so that a bench can put timers around the kernels
  attachMemory(memory, exports.heapBase() as unknown as number, maximumMiB);
  const scratch = scratchMemory.allocate(SELF_TEST_BYTES);
  const wrong = selfTest(exports, memory, toAddress(scratch));
  scratchMemory.release(scratch, SELF_TEST_BYTES);
  const variant = exports.isRelaxed() ? "relaxed-simd" : "simd";
  if (wrong) throw new WrongKernels(`init: the ${variant} kernels must compute right numbers on this engine: ${wrong}`);
  kernels = exports;
  const alone = { variant, threads: 1, sharedMemory: shared !== undefined, reasons } as const;
  if (!loading) return alone;
  const pool = await loading;
  if (pool instanceof Error) {
    reasons.push(`one thread: the code of the pool must load, got ${pool.message}`);
    return alone;
  }
  const started = await pool.startThreads({ threads, module, memory, kernels: exports, reasons }, (reason) => {
    kernels = exports;
    threadsLost(reason);
  });
  if (!started) return alone;
  kernels = started.kernels;
  endThreads = started.end;
  return { ...alone, threads: started.threads };
}

/** The module's bytes for a shared memory, or nothing where there can be none. */
function shareable(code: Uint8Array | WebAssembly.Module, reasons: string[]): Uint8Array<ArrayBuffer> | undefined {
  if (typeof SharedArrayBuffer === "undefined") {
    reasons.push(
      globalThis.crossOriginIsolated === false
        ? "one thread: memory cannot be shared, as the page is not cross-origin isolated (COOP and COEP headers)"
        : "one thread: memory cannot be shared, as the engine has no SharedArrayBuffer",
    );
    return undefined;
  }
  if (code instanceof WebAssembly.Module) {
    reasons.push(
      "one thread: a compiled module cannot be given shared memory; init({ wasm }) with its bytes or URL can",
    );
    return undefined;
  }
  const shared = withSharedMemory(code);
  if (!shared) reasons.push("one thread: the given module does not import its memory as this version's kernels do");
  return shared;
}

/** "env" "memory", a memory with a maximum: as in the module's list of imports. */
const memoryImport = [3, ...bytesOfText("env"), 6, ...bytesOfText("memory"), 2, 1];

/** The same code over a shared memory: it differs in one flag of the import (1 → 3). */
function withSharedMemory(code: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const at = code.findIndex((_, i) => memoryImport.every((byte, j) => code[i + j] === byte));
  if (at < 0) return undefined;
  const shared = new Uint8Array(code);
  shared[at + memoryImport.length - 1] = 3;
  return shared;
}

function bytesOfText(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

async function chooseVariant(option: SimdOption): Promise<Variant> {
  if (option === "baseline") return "simd";
  if (await relaxedSimd()) return "relaxed-simd";
  if (option === "auto") return "simd";
  throw new UnsupportedError(
    'init: simd: "relaxed" needs an engine with relaxed SIMD, got one without it; use "auto" or "baseline"',
  );
}

/** Each variant is a module of its own, so that only the one that runs is downloaded. */
async function load(variant: Variant): Promise<Uint8Array<ArrayBuffer>> {
  const { inlined } = variant === "simd" ? await import("./simd.gen.js") : await import("./relaxed-simd.gen.js");
  return inflate(inlined);
}

async function bytesOf(source: URL | Response | BufferSource): Promise<Uint8Array<ArrayBuffer>> {
  if (source instanceof URL) return bytesOf(await responseOf(source));
  if (source instanceof Response) {
    if (!source.ok)
      throw new Error(`init: wasm must be readable, got ${source.status} ${source.statusText} for ${source.url}`);
    return new Uint8Array(await source.arrayBuffer());
  }
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
    : new Uint8Array(source.slice(0));
}
