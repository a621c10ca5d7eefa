/** Benches of kernels: cases with what they count, checked, timed beside a yardstick, shown and left as results. */
import { shutdown } from "../src/runtime.js";
import { kernels, type SimdOption, type Variant } from "../src/wasm/kernels.js";
import { allocate, float32View, type Ptr } from "../src/wasm/memory.js";
import { uniform } from "./data.js";
import { ceiling, interleave, median, start, table } from "./harness.js";
import { type Result, runtime, writeSuite } from "./results.js";

export interface KernelCase {
  name: string;
  run: () => void;
  /** Compares what `run` has just written with the formula; throws where they differ. */
  check?: () => void;
  /** Arithmetic operations of a call: compared with multiply-adds in registers. */
  flops?: number;
  /** Bytes that a call reads and writes: compared with copying, or with reading where `reads` says so. */
  bytes?: number;
  reads?: boolean;
}

/** A block of `n` floats from −bound to bound. */
export function floats(n: number, bound: number = 1, seed: number = n): Ptr {
  const ptr = allocate(4 * n);
  float32View(ptr, n).set(uniform(seed, n, bound));
  return ptr;
}

/** Throws unless the `n` floats at `ptr` are what `expected` says, at some of their indices. */
export function expectFloats(ptr: Ptr, n: number, expected: (i: number) => number, tolerance = 1e-5): void {
  const values = float32View(ptr, n);
  for (let i = 0; i < n; i += 1 + ((n / 50) | 0)) {
    const want = expected(i);
    if (!(Math.abs(values[i] - want) <= tolerance * (1 + Math.abs(want))))
      throw new Error(`bench: element ${i} must be ${want}, got ${values[i]}`);
  }
}

/** Copies of as many bytes, read and written, as the cases move; or sums of as many as they read. */
function streams(): (bytes: number, reads: boolean) => () => void {
  const made = new Map<string, () => void>();
  return (bytes, reads) => {
    const n = Math.ceil(bytes / (reads ? 4 : 8));
    const key = `${reads} ${n}`;
    const known = made.get(key);
    if (known) return known;
    const [from, to, work] = [floats(n), allocate(reads ? 4 : 4 * n), allocate(8192)];
    const run = reads
      ? () => kernels.sum(to, work, from, 1, n, 1, n, 1, 1)
      : () => kernels.copyStrided(to, from, 1, n, n, 1, n, 1);
    made.set(key, run);
    return run;
  };
}

async function runVariant(simd: SimdOption, cases: () => KernelCase[]): Promise<{ variant: Variant; rows: Result[] }> {
  const variant = await start(simd);
  const top = await ceiling(variant);
  const all = cases();
  for (const { run, check } of all) {
    run();
    check?.();
  }
  const streamOf = streams();
  const yardsticks = all.map(({ bytes, reads = false }) => (bytes === undefined ? top.run : streamOf(bytes, reads)));
  const timed = interleave(
    all.map(({ run }) => run),
    yardsticks,
  );
  const rows = all.map(({ name, flops, bytes, reads }, i): Result => {
    const { seconds, yardstick } = timed[i];
    const common = { row: name, library: "wasmgrad", runtime, variant, threads: 1, seconds: median(seconds) };
    if (bytes !== undefined) {
      const share = median(seconds.map((s, round) => yardstick[round] / s));
      const of = reads ? ("reading" as const) : ("copy" as const);
      return {
        ...common,
        rate: { value: bytes / common.seconds / 1e9, unit: "GB/s" },
        share: { value: share, of },
      };
    }
    if (flops === undefined) return common;
    const share = median(seconds.map((s, round) => flops / s / (top.flops / yardstick[round])));
    return {
      ...common,
      rate: { value: flops / common.seconds / 1e9, unit: "GFLOP/s" },
      share: { value: share, of: "ceiling" },
    };
  });
  const registers = timed.filter((_, i) => yardsticks[i] === top.run).flatMap(({ yardstick }) => yardstick);
  if (registers.length > 0)
    console.log(`multiply-adds in registers: ${(top.flops / median(registers) / 1e9).toFixed(1)} GFLOP/s`);
  await shutdown();
  return { variant, rows };
}

/** Runs `cases`, made anew for each variant of the kernels, prints a table and leaves the results as `suite`. */
export async function benchKernels(
  suite: string,
  cases: () => KernelCase[],
  variants: readonly SimdOption[] = ["auto"],
): Promise<void> {
  const results: Result[] = [];
  for (const simd of variants) {
    const { rows } = await runVariant(simd, cases);
    results.push(...rows);
    const lines = rows.map(({ row, seconds = 0, rate, share }) => [
      row,
      `${Number((seconds * 1e6).toPrecision(4))}`,
      rate ? `${rate.value.toFixed(1)} ${rate.unit}` : "",
      share ? `${(100 * share.value).toFixed(0)} % of ${share.of}` : "",
    ]);
    console.log(`${table([[suite, "µs", "rate", "share"], ...lines])}\n`);
  }
  writeSuite(suite, results);
}
