/**
 * GB/s, bytes read and written, of the kernels that memory bounds, in the cache and beyond it, and their share of what
 * copying reaches at the same moment; nanoseconds per element for random numbers.
 */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, nullPtr, type Ptr } from "../src/wasm/memory.js";
import { interleave, median, start, table } from "./harness.js";

/** A call on `n` elements and how many floats it moves for each. */
type Case = readonly [name: string, floatsMoved: number, run: () => void];

function ones(n: number): Ptr {
  const ptr = allocate(4 * n);
  float32View(ptr, n).fill(1);
  return ptr;
}

function cases(n: number): Case[] {
  const [a, b, c, d, e] = Array.from({ length: 5 }, () => ones(n));
  const side = Math.floor(Math.sqrt(n));
  const work = allocate(8192);
  const random = [1, 2, 3, 0] as const;
  return [
    ["add", 3, () => kernels.add(a, b, c, 1, n, 0, 1, 0, 1)],
    ["add a row", 2, () => kernels.add(a, b, c, n / 256, 256, 256, 1, 0, 1)],
    ["add a column", 2, () => kernels.add(a, b, c, n / 256, 256, 256, 1, 1, 0)],
    ["maximum", 3, () => kernels.maximum(a, b, c, 1, n, 0, 1, 0, 1)],
    ["addScaled", 3, () => kernels.addScaled(a, b, n, 1e-3)],
    ["transpose", 2, () => kernels.copyStrided(a, b, side, side, side, 1, 1, side)],
    ["copy rows of 32", 1, () => kernels.copyStrided(a, b, n / 64, 32, 32, 1, 64, 1)],
    ["sum of rows", 1, () => kernels.sum(a, work, b, n / 256, 256, 1, 256, 1, 1)],
    ["sum of columns", 1, () => kernels.sum(a, work, b, 1, n / 256, 256, 0, 256, 1)],
    ["amax of rows", 1, () => kernels.amax(a, b, n / 256, 256, 1, 256, 1)],
    ["sgd, momentum", 5, () => kernels.sgd(a, b, c, n, 1e-3, 0.9, 1, 0)],
    ["adamW", 7, () => kernels.adam(a, b, c, nullPtr, d, n, 1e-3, 1, 0.1, 0.999, 0.001, 1, 1e-8)],
    ["adamW, amsgrad", 9, () => kernels.adam(a, b, c, e, d, n, 1e-3, 1, 0.1, 0.999, 0.001, 1, 1e-8)],
    ["uniform", 1, () => kernels.uniform(a, n, ...random, 0, 1)],
    ["normal", 1, () => kernels.normal(a, n, ...random, 0, 1)],
    ["dropout", 2, () => kernels.dropout(a, b, n, ...random, 0x40000000, 1.25)],
  ];
}

await start();
for (const n of [4096, 65536, 4194304]) {
  const all = cases(n);
  const [to, from] = [ones(n), ones(n)];
  const copy = () => kernels.copyStrided(to, from, 1, n, n, 1, n, 1);
  const timed = interleave(
    all.map(([, , run]) => run),
    copy,
  );
  const rows = all.map(([name, floatsMoved], i) => {
    const seconds = median(timed[i].seconds);
    const rate = (4 * n * floatsMoved) / seconds / 1e9;
    const ceiling = (8 * n) / median(timed[i].yardstick) / 1e9;
    return [name, rate.toFixed(1), `${((100 * rate) / ceiling).toFixed(0)} %`, ((1e9 * seconds) / n).toFixed(2)];
  });
  console.log(`\n${n} elements\n${table([["kernel", "GB/s", "of copy", "ns/element"], ...rows])}`);
}
