/**
 * Runs benchmarks one after the other: all of `bench/*.bench.ts`, or those whose stems are given; then puts what they
 * left in bench/results together. Options act on the results that are there: `--readme` writes their summary into
 * README.md, `--check` compares ratios with bench/baseline.json, `--accept` makes them the baseline.
 *
 * Programs are bundled as the published package is: helpers that keep names, as tsx's, would slow every closure.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { build } from "esbuild";
import { relaxedSimd } from "wasm-feature-detect";

const suffix = ".bench.ts";
const stems = readdirSync("bench")
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();
const options = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const wanted = named.length + options.length > 0 ? named : stems;
for (const stem of wanted) {
  if (!stems.includes(stem)) throw new Error(`bench: must be one of ${stems.join(", ")}, got ${stem}`);
}

const shared = {
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "es2022",
  outExtension: { ".js": ".mjs" },
  logLevel: "error",
};
const sources = [...wanted.map((stem) => `${stem}${suffix}`), "wasmgrad.ts", "report.ts"];
const entryPoints = Object.fromEntries(sources.map((file) => [file.slice(0, -3), `bench/${file}`]));
await build({ ...shared, entryPoints, outdir: "build/bench", external: ["esbuild"] });

const peers = "bench/peers";
if (wanted.includes("peers") && existsSync(`${peers}/node_modules`)) {
  await build({
    ...shared,
    entryPoints: ["tfjs", "jax", "ort", "js-pytorch"].map((name) => `${peers}/${name}.mjs`),
    outdir: `${peers}/build`,
    mainFields: ["module", "main"],
    external: ["onnxruntime-*", "js-pytorch"],
    // CommonJS inside TensorFlow.js.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url), __dirname = "";',
    },
  });
}

// Node 20 has relaxed SIMD behind a flag of V8.
const flags = (await relaxedSimd()) ? [] : ["--experimental-wasm-relaxed-simd"];

function run(program, ...args) {
  const command = [...flags, `build/bench/${program}.mjs`, ...args];
  const { status } = spawnSync(process.execPath, command, { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}

for (const stem of wanted) run(`${stem}.bench`);
if (named.length === 0) run("report", ...options);
