/** Starting, describing and ending the one instance of the library. */
import { kernels, loadKernels, type SimdOption, unloadKernels, type Variant, type WasmSource } from "./wasm/kernels.js";
import { allocate, float32View, release } from "./wasm/memory.js";

export const version = "0.1.0";

export interface InitOptions {
  /** Threads for the kernels; this version runs one, whatever is asked. */
  threads?: number | "auto";
  /** "auto" takes relaxed SIMD (FMA) where there is some; "baseline" gives the same bits on every engine. */
  simd?: SimdOption;
  /** The most the library may use, 4096 at the most. */
  maximumMemoryMiB?: number;
  /** The kernels' module, where code may not be inlined or compiled from bytes (strict CSP, Cloudflare Workers). */
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

/**
 * Loads the kernels. Idempotent; a second call with other options rejects.
 * Errors: no WebAssembly SIMD; options out of range; kernels that compute wrong numbers on this engine.
 */
export async function init(options: InitOptions = {}): Promise<RuntimeInfo> {
  const { threads = "auto", simd = "auto", maximumMemoryMiB = 4096, wasm } = options;
  const key = JSON.stringify({ threads, simd, maximumMemoryMiB });
  if (started) {
    if (Object.keys(options).length > 0 && (started.key !== key || started.wasm !== wasm)) {
      throw new Error(`init: a second call must have the options of the first, got ${key} after ${started.key}`);
    }
    return started.info;
  }
  checkOptions(threads, simd, maximumMemoryMiB);
  started = { key, wasm, info: start(threads, simd, maximumMemoryMiB, wasm) };
  try {
    return await started.info;
  } catch (error) {
    await shutdown();
    throw error;
  }
}

/** Ends the instance: every tensor is gone, and `init` may be called again. */
export async function shutdown(): Promise<void> {
  started = null;
  info = null;
  unloadKernels();
}

export function runtimeInfo(): RuntimeInfo {
  if (!info) throw new Error("runtimeInfo: the library must be initialized first; call `await init()`");
  return info;
}

async function start(
  threads: number | "auto",
  simd: SimdOption,
  maximumMiB: number,
  wasm?: WasmSource,
): Promise<RuntimeInfo> {
  const variant = await loadKernels(simd, maximumMiB, wasm);
  selfTest(variant);
  const reason = threads === "auto" || threads === 1 ? undefined : `${threads} threads asked, this version runs one`;
  info = { variant, threads: 1, sharedMemory: false, ...(reason && { reason }), version };
  return info;
}

function checkOptions(threads: unknown, simd: unknown, maximumMemoryMiB: number): void {
  if (threads !== "auto" && !(Number.isInteger(threads) && (threads as number) >= 1)) {
    throw new Error(`init: threads must be "auto" or a whole number from 1, got ${threads}`);
  }
  if (simd !== "auto" && simd !== "baseline" && simd !== "relaxed") {
    throw new Error(`init: simd must be "auto", "baseline" or "relaxed", got ${simd}`);
  }
  if (!(maximumMemoryMiB >= 1 && maximumMemoryMiB <= 4096)) {
    throw new Error(`init: maximumMemoryMiB must be from 1 to 4096, got ${maximumMemoryMiB}`);
  }
}

/** Some engines shipped wrong SIMD code generation: a few vectors with known results catch it before any training. */
function selfTest(variant: Variant): void {
  const bytes = 4 * 7;
  const x = allocate(bytes);
  const y = allocate(bytes);
  float32View(x, 7).set([-1, 2, -3, 4, 5, -6, 7]);
  kernels.relu(y, x, 7);
  const got = [...float32View(y, 7)].join();
  release(x, bytes);
  release(y, bytes);
  if (got !== "0,2,0,4,5,0,7")
    throw new Error(`init: the ${variant} kernels must compute relu, got ${got} on this engine`);
}
