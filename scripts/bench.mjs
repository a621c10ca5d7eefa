/**
 * Runs benchmarks one after the other: all of `bench/*.bench.ts`, or those whose stems are given; then puts what they
 * left in bench/results together. `--check` runs the kernels' and compares their shares with bench/baseline.json.
 * Two options act on the results that are there: `--readme` writes their summary into README.md, `--accept` makes their
 * shares the baseline.
 *
 * Programs are bundled as the published package is: helpers that keep names, as tsx's, would slow every closure.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { build } from "esbuild";
import { relaxedSimd } from "wasm-feature-detect";

const suffix = ".bench.ts";
const stems = readdirSync("bench")
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();
const help = `npm run bench [-- suite …]   runs them, or all of ${stems.join(", ")}
npm run bench:check          compares the kernels' shares of the ceiling with bench/baseline.json
npm run bench:readme         writes the summary of bench/results into README.md
npm run bench -- --accept    makes the shares in bench/results the baseline
npm run bench:peers, npm run bench:runtimes   install what those two suites compare with`;
const options = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
if (options.includes("--help")) {
  console.log(help);
  process.exit();
}
const unknown = options.filter((option) => !["--check", "--readme", "--accept"].includes(option));
if (unknown.length > 0) throw new Error(`bench: options must be --check, --readme, --accept or --help, got ${unknown}`);
/** Suites of shares: they compare with the machine itself, so a baseline of them means something elsewhere. */
const kernelStems = stems.filter((stem) => readFileSync(`bench/${stem}${suffix}`, "utf8").includes("benchKernels("));
const everything = options.includes("--check") ? kernelStems : options.length > 0 ? [] : stems;
const wanted = named.length > 0 ? named : everything;
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
const sources = [...wanted.map((stem) => `${stem}${suffix}`), "wasmgrad.ts", "page.ts", "report.ts", "check.ts"];
const entryPoints = Object.fromEntries(sources.map((file) => [file.slice(0, -3), `bench/${file}`]));
await build({ ...shared, entryPoints, outdir: "build/bench", external: ["esbuild", "playwright", "vite"] });

const peers = "bench/peers";
if (wanted.includes("peers")) {
  const inPages = {
    wasmgrad: "bench/wasmgrad.ts",
    ...(existsSync(`${peers}/node_modules`) && { tfjs: `${peers}/tfjs.mjs` }),
  };
  const page = { platform: "browser", external: ["node:*"], outdir: "build/bench/pages" };
  await build({ ...shared, ...page, entryPoints: inPages });
}
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

/** Whether the program ended well. */
function run(program, ...args) {
  const command = [...flags, `build/bench/${program}.mjs`, ...args];
  return spawnSync(process.execPath, command, { stdio: "inherit" }).status === 0;
}

for (const stem of wanted) if (!run(`${stem}.bench`)) process.exitCode = 1;

if (options.includes("--check")) {
  const failing = () => (run("check") ? [] : JSON.parse(readFileSync("build/bench/fallen.json", "utf8")));
  // What falls is measured again: a busy moment does not last, a regression does.
  const again = failing();
  for (const suite of again) run(`${suite}.bench`);
  if (again.length > 0 && failing().length > 0) process.exitCode = 1;
} else if (options.includes("--accept")) {
  run("check", "--accept");
} else if (named.length === 0 && !run("report", ...options)) {
  process.exitCode = 1;
}
