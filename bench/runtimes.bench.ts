/**
 * The same suite in every runtime there is: Node (this one and a newer one), Bun, Deno, Chromium and Firefox. With
 * baseline SIMD, 50 steps of training must end in the same bits everywhere, with 1, 2 and 4 threads: the exit code says so.
 * WASMGRAD_BENCH_RUNTIMES, a regular expression, chooses runtimes.
 */
import { build } from "esbuild";
import { table } from "./harness.js";
import { type Result, writeSuite } from "./results.js";
import { runtimes } from "./runtimes/runtimes.js";
import type { Report } from "./runtimes/suite.js";

const shared = {
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  outdir: "build/bench/runtimes",
  outExtension: { ".js": ".mjs" },
  logLevel: "error",
} as const;
await build({ ...shared, platform: "node", entryPoints: ["bench/runtimes/main.ts"] });
await build({ ...shared, platform: "browser", entryPoints: ["bench/runtimes/page.ts"] });

const chosen = new RegExp(process.env.WASMGRAD_BENCH_RUNTIMES ?? "", "i");
const reports = new Map<string, Report>();
const absent: Result[] = [];
for (const { name, find, run } of runtimes.filter(({ name }) => chosen.test(name))) {
  const version = await find();
  const runtime = version === undefined ? name : `${name} ${version}`;
  const fail = (why: string) => {
    console.log(`${runtime}: ${why}`);
    absent.push({ row: "every", library: runtime, runtime, threads: 1, why });
  };
  if (version === undefined) {
    fail("absent; npm run bench:runtimes installs what npm has");
    continue;
  }
  console.log(`${runtime} …`);
  try {
    const report = await run();
    reports.set(runtime, report);
    for (const note of new Set(report.notes)) console.log(`  ${note}`);
  } catch (error) {
    fail((error as Error).message);
    process.exitCode = 1;
  }
}

const all = [...reports];
const timed = all.flatMap(([runtime, { timings }]) => timings.map((timing) => ({ runtime, ...timing })));
const keys = [...new Set(timed.map(({ row, threads }) => `${row}, ${threads} thread${threads > 1 ? "s" : ""}`))];
const cell = (runtime: string, key: string): string => {
  const found = timed.find((t) => t.runtime === runtime && key.startsWith(`${t.row}, ${t.threads} thread`));
  if (!found) return "–";
  return found.flops
    ? `${(found.flops / found.seconds / 1e9).toFixed(1)} GFLOP/s`
    : `${(found.seconds * 1000).toFixed(1)} ms`;
};
console.log(
  `\n${table([["runtime", "kernels", ...keys], ...all.map(([runtime, { timings }]) => [runtime, timings[0]?.variant ?? "–", ...keys.map((key) => cell(runtime, key))])])}\n`,
);

const trained = all.flatMap(([runtime, report]) => report.trained.map((each) => ({ runtime, ...each })));
const hashes = [...new Set(trained.map(({ hash }) => hash))];
for (const hash of hashes) {
  const where = trained.filter((each) => each.hash === hash);
  console.log(`${hash.slice(0, 16)}…  ${where.map(({ runtime, threads }) => `${runtime} (${threads})`).join(", ")}`);
}
const same = hashes.length === 1;
console.log(
  `50 training steps, baseline SIMD: ${same ? "the same bits everywhere" : `${hashes.length} DIFFERENT results`}`,
);
if (!same) process.exitCode = 1;

writeSuite("runtimes", [
  ...timed.map(({ row, runtime, variant, threads, seconds, flops }): Result => {
    const rate = flops && { value: flops / seconds / 1e9, unit: "GFLOP/s" as const };
    return { row, library: runtime, runtime, variant, threads, seconds, ...(rate && { rate }) };
  }),
  ...trained.map(({ runtime, threads, hash }): Result => {
    const row = "parameters after 50 steps, SHA-256";
    return { row, library: runtime, runtime, variant: "simd", threads, text: `${hash.slice(0, 16)}…` };
  }),
  ...absent,
]);
