/** Runs benchmarks one after the other: all of `bench/*.bench.ts`, or those whose stems are given. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { relaxedSimd } from "wasm-feature-detect";

const suffix = ".bench.ts";
const files = readdirSync("bench").filter((file) => file.endsWith(suffix));
const stems = files.map((file) => file.slice(0, -suffix.length)).sort();
const wanted = process.argv.length > 2 ? process.argv.slice(2) : stems;

// Node 20 has relaxed SIMD behind a flag of V8.
const flags = (await relaxedSimd()) ? [] : ["--experimental-wasm-relaxed-simd"];

for (const stem of wanted) {
  if (!stems.includes(stem)) throw new Error(`bench: must be one of ${stems.join(", ")}, got ${stem}`);
  const { status } = spawnSync(process.execPath, [...flags, "--import", "tsx", `bench/${stem}${suffix}`], {
    stdio: "inherit",
  });
  if (status !== 0) process.exitCode = 1;
}
