/** Loads the variant of the kernels that the engine can run and holds the one instance. */
import { instantiate } from "@assemblyscript/loader";
import { relaxedSimd, simd } from "wasm-feature-detect";
import { UnsupportedError } from "../errors.js";
import type { Kernels } from "./kernels.gen.js";
import { attachMemory, createMemory, detachMemory } from "./memory.js";

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

/** Compiles and instantiates one variant over a new memory of at most `maximumMiB`. */
export async function loadKernels(option: SimdOption, maximumMiB: number, wasm?: WasmSource): Promise<Variant> {
  if (!(await simd())) throw new UnsupportedError("init: the engine must support WebAssembly SIMD, got one without it");
  const module = wasm ? await compile(wasm) : await WebAssembly.compile(await inlined(await chooseVariant(option)));
  const memory = createMemory(maximumMiB);
  const { exports } = await instantiate<Kernels>(module, { env: { memory } });
  attachMemory(memory, exports.heapBase() as unknown as number, maximumMiB);
  kernels = exports;
  return exports.isRelaxed() ? "relaxed-simd" : "simd";
}

export function unloadKernels(): void {
  kernels = uninitialized;
  detachMemory();
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
async function inlined(variant: Variant): Promise<Uint8Array<ArrayBuffer>> {
  const { gzipped } = variant === "simd" ? await import("./simd.gen.js") : await import("./relaxed-simd.gen.js");
  const bytes = Uint8Array.from(atob(gzipped), (c) => c.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof URL) return compile(await fetch(source));
  if (source instanceof Response) {
    if (!source.ok)
      throw new Error(`init: wasm must be readable, got ${source.status} ${source.statusText} for ${source.url}`);
    return WebAssembly.compile(await source.arrayBuffer());
  }
  return WebAssembly.compile(source);
}
