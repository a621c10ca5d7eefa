/**
 * What two threads (or the number given) gain over one, kernel by kernel: wall time of the same call, cut and whole, in
 * alternating rounds of which the best counts, since a busy machine delays two threads more than one. First what a cut
 * call costs that does nothing, with workers that spin and with workers that sleep.
 */
import { cpus } from "node:os";
import { setTimeout } from "node:timers/promises";
import { init } from "../src/runtime.js";
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, int32View, nullPtr, type Ptr } from "../src/wasm/memory.js";
import { grain } from "../src/wasm/parallel.js";
import { table } from "./harness.js";

const ROUNDS = 40;
const SLICE_MILLISECONDS = 2;

type Case = readonly [name: string, run: () => void];

function block(n: number, value = 1): Ptr {
  const ptr = allocate(4 * n);
  float32View(ptr, n).fill(value);
  return ptr;
}

function matmul(batch: number, m: number, k: number, n: number): Case {
  const [c, a, b] = [block(batch * m * n), block(batch * m * k), block(batch * k * n)];
  const work = allocate(kernels.matmulWorkspace(m, k, n));
  const run = () => kernels.matmul(c, a, b, nullPtr, work, batch, m, k, n, m * n, n, m * k, k, 1, k * n, n, 1, 1, 0);
  return [`matmul ${batch > 1 ? `${batch} × ` : ""}${m}×${k}×${n}`, run];
}

function attention(B: number, H: number, T: number, D: number): Case[] {
  const [y, q, k, v, dy, dq, dk, dv] = Array.from({ length: 8 }, () => block(B * H * T * D, 0.1));
  const lse = block(B * H * T);
  const heads = [H * T * D, T * D, D] as const;
  const sizes = [0, B * H, H, H, T, T, D, D] as const;
  const mask = [0, 0, 0, 0, 0, 0.2] as const;
  const work = allocate(kernels.attentionWorkspace(T, D, D));
  const gradWork = allocate(kernels.attentionGradWorkspace(1, T, D, D));
  const forward = () =>
    kernels.attention(y, lse, q, k, v, nullPtr, work, ...sizes, ...heads, ...heads, ...heads, ...heads, ...mask);
  const backward = () => {
    const outputs = [...heads, ...heads, ...heads] as const;
    const inputs = [...heads, ...heads, ...heads, ...heads, ...heads] as const;
    kernels.attentionGrad(dq, dk, dv, dy, y, lse, q, k, v, nullPtr, gradWork, ...sizes, ...outputs, ...inputs, ...mask);
  };
  return [
    [`attention ${B}×${H}×${T}×${D}`, forward],
    ["  its gradient", backward],
  ];
}

function elementwise(rows: number, cols: number): Case[] {
  const n = rows * cols;
  const [a, b, c, d] = Array.from({ length: 4 }, () => block(n));
  const stats = block(3 * rows);
  const targets = allocate(4 * rows);
  int32View(targets, rows).fill(0);
  const work = allocate(8192);
  const of = (name: string) => `${name} ${rows}×${cols}`;
  return [
    [of("relu"), () => kernels.relu(a, b, n)],
    [of("add"), () => kernels.add(a, b, c, 1, n, 0, 1, 0, 1)],
    [of("gelu"), () => kernels.gelu(a, b, n)],
    [of("geluTanh"), () => kernels.geluTanh(a, b, n)],
    [of("dropout"), () => kernels.dropout(a, b, n, 1, 2, 3, 0, 0x40000000, 1.25)],
    [of("transpose"), () => kernels.copyStrided(a, b, rows, cols, cols, 1, 1, rows)],
    [of("softmax"), () => kernels.softmax(a, b, rows, cols)],
    [of("layerNorm"), () => kernels.layerNorm(a, stats, b, nullPtr, nullPtr, rows, cols, 1e-5)],
    [of("crossEntropy"), () => kernels.crossEntropy(stats, d, b, targets, rows, cols, -100)],
    [of("sum of rows"), () => kernels.sum(a, work, b, rows, cols, 1, cols, 1, 1)],
    [of("sum of columns"), () => kernels.sum(a, work, b, 1, rows, cols, 0, cols, 1)],
    [of("adamW"), () => kernels.adam(a, b, c, nullPtr, d, n, 1e-3, 1, 0.1, 0.999, 0.001, 1, 1e-8)],
  ];
}

function convolution(images: number, channels: number, side: number): Case {
  const planes = images * channels;
  const [x, patches] = [block(planes * side * side), block(planes * 9 * side * side)];
  const run = () => kernels.im2col(patches, x, planes, side, side, 3, 3, side, side, 1, 1, 1, 1, 1, 1);
  return [`im2col ${images}×${channels}×${side}×${side}`, run];
}

function milliseconds(run: () => void, calls: number): number {
  const start = performance.now();
  for (let i = 0; i < calls; i++) run();
  return (performance.now() - start) / calls;
}

/** The best of alternating rounds, whole and cut. */
function compare(run: () => void): { whole: number; cut: number } {
  const calls = Math.max(1, Math.round(SLICE_MILLISECONDS / milliseconds(run, 3)));
  const best = { whole: Number.POSITIVE_INFINITY, cut: Number.POSITIVE_INFINITY };
  for (let round = 0; round < ROUNDS; round++) {
    grain.least = Number.POSITIVE_INFINITY;
    best.whole = Math.min(best.whole, milliseconds(run, calls));
    grain.least = 0;
    best.cut = Math.min(best.cut, milliseconds(run, calls));
  }
  return best;
}

const { threads, variant } = await init({ threads: Number(process.env.WASMGRAD_BENCH_THREADS ?? 2) });
console.log(`${cpus()[0].model}, Node ${process.versions.node}, variant ${variant}, ${threads} threads`);
const { chunk } = grain;

const small = block(64);
const idle = () => kernels.relu(small, small, 64);
grain.chunk = 0;
const spinning = compare(idle);
console.log(
  `a call on 64 elements: whole ${(1e3 * spinning.whole).toFixed(2)} µs, cut ${(1e3 * spinning.cut).toFixed(2)}`,
);
let waking = Number.POSITIVE_INFINITY;
for (let i = 0; i < 50; i++) {
  await setTimeout(2);
  waking = Math.min(waking, milliseconds(idle, 1));
}
console.log(`  cut, with workers asleep: ${(1e3 * waking).toFixed(2)} µs until it is done`);
grain.chunk = chunk;

const wanted = process.env.WASMGRAD_BENCH_CASES ?? "";
const cases = [
  ...[1024, 512, 256, 128, 64, 32].map((n) => matmul(1, n, n, n)),
  matmul(1, 512, 128, 512),
  matmul(1, 512, 768, 3072),
  matmul(1, 1, 1024, 4096),
  matmul(32, 64, 32, 64),
  ...attention(8, 4, 256, 32),
  ...attention(8, 4, 64, 32),
  ...[32, 64, 128, 256, 512, 2048].flatMap((side) => elementwise(side, side)),
  convolution(8, 32, 32),
].filter(([name]) => name.includes(wanted));
const rows = cases.map(([name, run]) => {
  const { whole, cut } = compare(run);
  return [name, (1e3 * whole).toFixed(1), (1e3 * cut).toFixed(1), `${(whole / cut).toFixed(2)} ×`];
});
console.log(table([["kernel", "one thread, µs", `${threads}, µs`, "gain"], ...rows]));
process.exit(0);
