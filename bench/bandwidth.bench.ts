/** Kernels that memory bounds, in the cache and beyond it, beside a copy of as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { float32View } from "../src/wasm/memory.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

/** On n elements, a square of whole rows of 256. */
function cases(n: number): KernelCase[] {
  const [a, b, c] = [floats(n, 1, 1), floats(n, 1, 2), floats(n, 1, 3)];
  const side = Math.floor(Math.sqrt(n));
  const random = [1, 2, 3, 0] as const;
  const sum = (i: number) => float32View(b, n)[i] + float32View(c, n)[i];
  const all: Record<string, Omit<KernelCase, "name">> = {
    add: { run: () => kernels.add(a, b, c, 1, n, 0, 1, 0, 1), check: () => expectFloats(a, n, sum), bytes: 12 * n },
    relu: { run: () => kernels.relu(a, b, n), bytes: 8 * n },
    "add a row": { run: () => kernels.add(a, b, c, n / 256, 256, 256, 1, 0, 1), bytes: 8 * n },
    "add a column": { run: () => kernels.add(a, b, c, n / 256, 256, 256, 1, 1, 0), bytes: 8 * n },
    maximum: { run: () => kernels.maximum(a, b, c, 1, n, 0, 1, 0, 1), bytes: 12 * n },
    addScaled: { run: () => kernels.addScaled(a, b, n, 1e-9), bytes: 12 * n },
    transpose: { run: () => kernels.copyStrided(a, b, side, side, side, 1, 1, side), bytes: 8 * n },
    "copy rows of 32": { run: () => kernels.copyStrided(a, b, n / 64, 32, 32, 1, 64, 1), bytes: 4 * n },
    uniform: { run: () => kernels.uniform(a, n, ...random, 0, 1), bytes: 4 * n },
    normal: { run: () => kernels.normal(a, n, ...random, 0, 1), bytes: 4 * n },
    dropout: { run: () => kernels.dropout(a, b, n, ...random, 0x40000000, 1.25), bytes: 8 * n },
  };
  return Object.entries(all).map(([name, each]) => ({ name: `${name}, ${side}²`, ...each }));
}

await benchKernels("bandwidth", () => [64, 512, 4096].flatMap((side) => cases(side * side)));
