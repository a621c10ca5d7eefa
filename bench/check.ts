/**
 * The regression guard: the shares in bench/results against those of bench/baseline.json, by suite, row and variant.
 * `--accept` makes the present ones the baseline. Exits with 1 where a share has fallen, and names the suites.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { table } from "./harness.js";
import { type Result, readSuites } from "./results.js";

const path = "bench/baseline.json";

/** A share may fall by this part: shares move by 5–8 % between runs on a busy machine. */
const MARGIN = 0.15;
/** Calls below 50 µs move more. */
const SHORT_MARGIN = 0.25;
const SHORT_SECONDS = 5e-5;

type Baseline = Record<string, number>;

interface Share {
  key: string;
  suite: string;
  value: number;
  margin: number;
}

function sharesOf(suite: string, results: readonly Result[]): Share[] {
  return results.flatMap(({ row, variant, share, seconds = 0 }) => {
    const margin = seconds < SHORT_SECONDS ? SHORT_MARGIN : MARGIN;
    return share ? [{ key: `${suite}: ${row} (${variant})`, suite, value: share.value, margin }] : [];
  });
}

const shares = readSuites().flatMap(({ suite, results }) => sharesOf(suite, results));
if (shares.length === 0) throw new Error("bench: bench/results must hold shares, run `npm run bench` first");

if (process.argv.includes("--accept")) {
  const rounded = shares.map(({ key, value }) => [key, Number(value.toFixed(3))] as const);
  writeFileSync(path, `${JSON.stringify(Object.fromEntries(rounded), null, 2)}\n`);
  console.log(`${path}: ${shares.length} shares`);
} else {
  if (!existsSync(path)) throw new Error(`bench: ${path} must exist, \`npm run bench -- --accept\` writes it`);
  const baseline: Baseline = JSON.parse(readFileSync(path, "utf8"));
  const fallen = shares.filter(({ key, value, margin }) => value < (1 - margin) * (baseline[key] ?? 0));
  const unknown = shares.filter(({ key }) => baseline[key] === undefined);
  const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
  if (fallen.length > 0) {
    const lines = fallen.map(({ key, value }) => [key, percent(baseline[key]), percent(value)]);
    console.log(table([["fallen", "baseline", "now"], ...lines]));
  }
  console.log(`${shares.length - fallen.length} shares hold, ${fallen.length} have fallen, ${unknown.length} are new`);
  writeFileSync("build/bench/fallen.json", JSON.stringify([...new Set(fallen.map(({ suite }) => suite))]));
  if (fallen.length > 0) process.exitCode = 1;
}
