/** Starting, describing and ending the one instance of the library. */
import { checkOptions } from "./errors.js";
import { loadKernels, type SimdOption, unloadKernels, type Variant, type WasmSource } from "./wasm/kernels.js";

export const version = "0.1.0";

export interface InitOptions {
  /**
   * Threads for the kernels, the calling one included; "auto" is one for each core, 8 at the most. Results do not depend on
   * it. Where memory cannot be shared or workers cannot start it is one, and `runtimeInfo().reason` says why.
   */
  threads?: number | "auto";
  /** "auto" takes relaxed SIMD (FMA) where there is some; "baseline" gives the same bits on every engine. */
  simd?: SimdOption;
  /** The most the library may use, 4096 at the most. */
  maximumMemoryMiB?: number;
  /** The kernels' module, where code may not be inlined or compiled from bytes (Cloudflare Workers). */
  wasm?: WasmSource;
}

export interface RuntimeInfo {
  variant: Variant;
  threads: number;
  sharedMemory: boolean;
  /** Why it runs with less than was asked for. */
  reason?: string;
  version: string;
}

let started: { key: string; wasm: unknown; info: Promise<RuntimeInfo> } | null = null;
let info: RuntimeInfo | null = null;
/** When what was ended last has ended: the next instance starts then. */
let ended: Promise<void> = Promise.resolve();

/**
 * Loads the kernels. Idempotent; a second call with other options rejects.
 * Errors: no WebAssembly SIMD; options out of range; no memory; kernels that compute wrong numbers on this engine.
 */
export async function init(options: InitOptions = {}): Promise<RuntimeInfo> {
  checkInitOptions(options);
  const { threads = "auto", simd = "auto", maximumMemoryMiB = 4096, wasm } = options;
  const key = JSON.stringify({ threads, simd, maximumMemoryMiB });
  if (started) {
    if (Object.keys(options).length > 0 && (started.key !== key || started.wasm !== wasm)) {
      throw new Error(`init: a second call must have the options of the first, got ${key} after ${started.key}`);
    }
    const first = await started.info;
    return info ?? first;
  }
  const mine = { key, wasm, info: ended.then(() => start({ threads, simd, maximumMemoryMiB }, wasm)) };
  started = mine;
  try {
    return await mine.info;
  } catch (error) {
    if (started === mine) await shutdown();
    throw error;
  }
}

/** Ends the instance, once it has started: every tensor is gone, and `init` may be called again. */
export async function shutdown(): Promise<void> {
  const starting = info ? undefined : started?.info;
  started = null;
  const ending = starting ? starting.then(end, end) : end();
  ended = Promise.allSettled([ended, ending]).then(() => {});
  await ended;
  await ending;
}

async function end(): Promise<void> {
  info = null;
  await unloadKernels();
}

export function runtimeInfo(): RuntimeInfo {
  if (!info) throw new Error("runtimeInfo: the library must be initialized first; call `await init()`");
  return info;
}

async function start(options: Required<Omit<InitOptions, "wasm">>, wasm?: WasmSource): Promise<RuntimeInfo> {
  const { reasons, ...loaded } = await loadKernels({ ...options, wasm, threadsLost });
  info = { ...loaded, ...(reasons.length > 0 && { reason: reasons.join("; ") }), version };
  return info;
}

function threadsLost(reason: string): void {
  if (!info) return;
  const reasons = [...(info.reason ? [info.reason] : []), `one thread: ${reason}`];
  info = { ...info, threads: 1, reason: reasons.join("; ") };
}

function checkInitOptions(options: InitOptions): void {
  checkOptions("init", options, ["threads", "simd", "maximumMemoryMiB", "wasm"]);
  const { threads = "auto", simd = "auto", maximumMemoryMiB = 4096 } = options;
  if (threads !== "auto" && !(Number.isInteger(threads) && threads >= 1)) {
    throw new Error(`init: threads must be "auto" or a whole number from 1, got ${String(threads)}`);
  }
  if (simd !== "auto" && simd !== "baseline" && simd !== "relaxed") {
    throw new Error(`init: simd must be "auto", "baseline" or "relaxed", got ${String(simd)}`);
  }
  if (typeof maximumMemoryMiB !== "number" || !(maximumMemoryMiB >= 1 && maximumMemoryMiB <= 4096)) {
    throw new Error(`init: maximumMemoryMiB must be from 1 to 4096, got ${String(maximumMemoryMiB)}`);
  }
}
