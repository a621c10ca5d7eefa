/** Sums and maxima over rows and over columns, in the cache and beyond it, beside reading as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View } from "../src/wasm/memory.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

function cases(side: number): KernelCase[] {
  const n = side * side;
  const [x, y, work] = [floats(n, 1, 1), allocate(4 * side), allocate(8192)];
  const total = (at: (j: number) => number) => {
    let sum = 0;
    for (let j = 0; j < side; j++) sum += float32View(x, n)[at(j)];
    return sum;
  };
  const checkSums = (index: (i: number, j: number) => number) => () =>
    expectFloats(y, side, (i) => total((j) => index(i, j)), 1e-4);
  const of = (name: string, run: () => void, check?: () => void): KernelCase => {
    return { name: `${name}, ${side}²`, run, check, bytes: 4 * n, reads: true };
  };
  return [
    of(
      "sum of rows",
      () => kernels.sum(y, work, x, side, side, 1, side, 1, 1),
      checkSums((i, j) => i * side + j),
    ),
    of(
      "sum of columns",
      () => kernels.sum(y, work, x, 1, side, side, 0, side, 1),
      checkSums((i, j) => j * side + i),
    ),
    of("amax of rows", () => kernels.amax(y, x, side, side, 1, side, 1)),
    of("amax of columns", () => kernels.amax(y, x, 1, side, side, 0, side)),
    of("variance of rows", () => kernels.variance(y, x, side, side, side - 1)),
  ];
}

await benchKernels("reduce", () => [64, 512, 4096].flatMap(cases));
