/** What every bench shares: kernels started, a ceiling to compare with, interleaved timing and a table. */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { init } from "../src/runtime.js";
import type { SimdOption, Variant } from "../src/wasm/kernels.js";

export interface Timed {
  /** Seconds per call, one per round. */
  seconds: number[];
  /** Seconds per call of the yardstick in the same rounds. */
  yardstick: number[];
}

/** A function and how often to call it so that a slice of time is worth measuring. */
interface Slice {
  run: () => void;
  calls: number;
}

const sliceSeconds = 0.01;

function slice(run: () => void): Slice {
  let calls = 1;
  for (let took = time({ run, calls }); took * calls < sliceSeconds; took = time({ run, calls })) {
    calls = Math.max(calls * 2, Math.min(calls * 100, Math.ceil(sliceSeconds / Math.max(took, 1e-7))));
  }
  return { run, calls };
}

/** Seconds of processor time per call: what other programs take meanwhile does not count. */
function time({ run, calls }: Slice): number {
  const start = process.cpuUsage();
  for (let i = 0; i < calls; ++i) run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6 / calls;
}

/**
 * Times every case in turn, round after round, with a slice of its yardstick before each: a slow moment of the machine
 * slows both. Functions warm up while their slices are sized.
 *
 * @param yardsticks one for all cases, or one for each
 */
export function interleave(
  cases: readonly (() => void)[],
  yardsticks: (() => void) | readonly (() => void)[],
  rounds = 15,
): Timed[] {
  const sliceOf = new Map<() => void, Slice>();
  const warm = (run: () => void): Slice => {
    slice(run);
    const sized = sliceOf.get(run) ?? slice(run);
    sliceOf.set(run, sized);
    return sized;
  };
  const slices = cases.map(warm);
  const references = cases.map((_, i) => warm(typeof yardsticks === "function" ? yardsticks : yardsticks[i]));
  const timed: Timed[] = cases.map(() => ({ seconds: [], yardstick: [] }));
  for (let round = 0; round < rounds; ++round) {
    slices.forEach((each, i) => {
      timed[i].yardstick.push(time(references[i]));
      timed[i].seconds.push(time(each));
    });
  }
  return timed;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Multiply-adds in registers, compiled like the kernels: `run` does `flops` operations. */
export async function ceiling(variant: Variant): Promise<{ run: () => void; flops: number }> {
  const out = `build/ceiling-${variant}`;
  const files = ["--outFile", `${out}.wasm`, "--textFile", `${out}.wat`];
  const asc = ["node_modules/assemblyscript/bin/asc.js", "bench/assembly/ceiling.ts", "--target", variant, ...files];
  const { status } = spawnSync(process.execPath, asc, { stdio: "inherit" });
  if (status !== 0) throw new Error("asc: the ceiling must compile");
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const { instance } = await WebAssembly.instantiate(await readFile(`${out}.wasm`), { env: { memory } });
  const exports = instance.exports as { ceiling(a: number, rounds: number): number; flops: WebAssembly.Global };
  const address = 65536 - 16;
  new Float32Array(memory.buffer, address, 4).fill(1);
  const rounds = 20000;
  return { run: () => void exports.ceiling(address, rounds), flops: rounds * exports.flops.value };
}

/** Starts the kernels, of the variant asked for, on one thread, and says on what they run. */
export async function start(simd: SimdOption = "auto"): Promise<Variant> {
  const { variant } = await init({ simd, threads: 1 });
  console.log(
    `${cpus()[0].model}, Node ${process.versions.node}, V8 ${process.versions.v8}, variant ${variant}, 1 thread`,
  );
  return variant;
}

/** Columns as wide as their widest cell; the first is aligned left. */
export function table(rows: string[][]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows
    .map((row) => row.map((cell, c) => (c ? cell.padStart(widths[c]) : cell.padEnd(widths[c]))).join("  "))
    .join("\n");
}
