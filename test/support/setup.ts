/** Runs before every test file: the library, in the variant that this project of vitest.config.ts names. */
import { inject } from "vitest";
import { init } from "../../src/index.js";

declare module "vitest" {
  export interface ProvidedContext {
    simd: "auto" | "baseline" | "relaxed";
  }
}

await init({ simd: inject("simd") });
