/**
 * One suite, every build variant, with one thread and with more: in Node (baseline and relaxed SIMD) and in Chromium (what
 * it picks itself, and baseline).
 */
import { playwright } from "@vitest/browser-playwright";
import type { TestProjectInlineConfiguration, ViteUserConfig } from "vitest/config";
import { relaxedSimd } from "wasm-feature-detect";
import { browserFlags } from "./scripts/find-browser.mjs";

const suite = {
  include: ["test/**/*.test.ts"],
  setupFiles: ["test/support/setup.ts"],
  // One module graph, and one WebAssembly instance, for all the files that a worker runs.
  isolate: false,
  // A busy machine is no failure.
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

// Node 20 has relaxed SIMD behind a flag of V8.
const relaxedFlags = (await relaxedSimd()) ? [] : ["--experimental-wasm-relaxed-simd"];

function nodeProject(
  name: string,
  simd: "baseline" | "relaxed",
  threads: number,
  execArgv: string[],
): TestProjectInlineConfiguration {
  // Examples choose their variant themselves: once is enough.
  const exclude = ["**/*.browser.test.ts", ...(simd === "relaxed" ? ["test/examples/**"] : [])];
  return {
    test: { ...suite, name, exclude, provide: { simd, threads }, pool: "forks", execArgv },
  };
}

const browserProject: TestProjectInlineConfiguration = {
  // Cross-origin isolation, without which a page has no SharedArrayBuffer.
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
  test: {
    ...suite,
    exclude: ["**/*.node.test.ts"],
    browser: {
      enabled: true,
      headless: true,
      ui: false,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: { executablePath: process.env.WASMGRAD_BROWSER, args: [...browserFlags] },
      }),
      instances: [
        { browser: "chromium", name: "chromium", provide: { simd: "auto", threads: 2 } },
        { browser: "chromium", name: "chromium-baseline", provide: { simd: "baseline", threads: 1 } },
      ],
    },
  },
};

const config: ViteUserConfig = {
  test: {
    projects: [
      nodeProject("node", "baseline", 1, []),
      nodeProject("node-relaxed", "relaxed", 2, relaxedFlags),
      browserProject,
    ],
  },
};

export default config;
