/** Runs before every test file: the library, in the variant that this project of vitest.config.ts names. */
import { inject } from "vitest";
import { init } from "../../src/index.js";
import { grain } from "../../src/wasm/parallel.js";

declare module "vitest" {
  export interface ProvidedContext {
    simd: "auto" | "baseline" | "relaxed";
    threads: number;
  }
}

// With threads, every call that can be cut is, however small: what operations are checked for holds for their chunks.
Object.assign(grain, { least: 0, chunk: 0 });
await init({ simd: inject("simd"), threads: inject("threads") });
