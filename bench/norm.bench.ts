/** layerNorm and rmsNorm of rows, both passes, beside a copy of as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View } from "../src/wasm/memory.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

const EPS = 1e-5;

function cases(rows: number, cols: number): KernelCase[] {
  const n = rows * cols;
  const [y, x, dx, dy] = [1, 2, 3, 4].map((seed) => floats(n, 1, seed));
  const [weight, bias, dw] = [5, 6, 7].map((seed) => floats(cols, 1, seed));
  const stats = allocate(12 * rows);
  const mean = (values: Float32Array, of: (value: number) => number) =>
    values.reduce((sum, value) => sum + of(value), 0) / cols;
  const expected = (centered: boolean) => (i: number) => {
    const row = float32View(x, n).slice(i - (i % cols), i - (i % cols) + cols);
    const center = centered ? mean(row, (value) => value) : 0;
    const scale = 1 / Math.sqrt(mean(row, (value) => (value - center) ** 2) + EPS);
    const j = i % cols;
    return (row[j] - center) * scale * float32View(weight, cols)[j] + (centered ? float32View(bias, cols)[j] : 0);
  };
  const check = (centered: boolean) => () => expectFloats(y, n, expected(centered), 1e-4);
  const all: Record<string, Omit<KernelCase, "name">> = {
    layerNorm: {
      run: () => kernels.layerNorm(y, stats, x, weight, bias, rows, cols, EPS),
      check: check(true),
      bytes: 8 * n,
    },
    layerNormGrad: { run: () => kernels.layerNormGrad(dx, dy, x, weight, stats, rows, cols), bytes: 12 * n },
    layerNormWeightGrad: { run: () => kernels.layerNormWeightGrad(dw, dy, x, stats, rows, cols, cols), bytes: 8 * n },
    rmsNorm: { run: () => kernels.rmsNorm(y, stats, x, weight, rows, cols, EPS), check: check(false), bytes: 8 * n },
    rmsNormGrad: { run: () => kernels.rmsNormGrad(dx, dy, x, weight, stats, rows, cols), bytes: 12 * n },
    rmsNormWeightGrad: { run: () => kernels.rmsNormWeightGrad(dw, dy, x, stats, rows, cols, cols), bytes: 8 * n },
  };
  return Object.entries(all).map(([name, each]) => ({ name: `${name}, ${rows} × ${cols}`, ...each }));
}

await benchKernels("norm", () => [...cases(512, 768), ...cases(512, 128)]);
