/** Softmax and its logarithm along rows, both passes, beside a copy of as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { float32View } from "../src/wasm/memory.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

function cases(rows: number, cols: number): KernelCase[] {
  const n = rows * cols;
  const [y, x, dx, dy] = [1, 2, 3, 4].map((seed) => floats(n, 3, seed));
  const expected = (i: number) => {
    const first = i - (i % cols);
    const exps = float32View(x, n)
      .slice(first, first + cols)
      .map((value) => Math.exp(value));
    return exps[i - first] / exps.reduce((sum, value) => sum + value, 0);
  };
  const check = () => expectFloats(y, n, expected);
  const shape = `${rows} × ${cols}`;
  return [
    { name: `softmax, ${shape}`, run: () => kernels.softmax(y, x, rows, cols), check, bytes: 8 * n },
    { name: `softmaxGrad, ${shape}`, run: () => kernels.softmaxGrad(dx, dy, y, rows, cols), bytes: 12 * n },
    { name: `logSoftmax, ${shape}`, run: () => kernels.logSoftmax(dx, x, rows, cols), bytes: 8 * n },
    { name: `logSoftmaxGrad, ${shape}`, run: () => kernels.logSoftmaxGrad(dx, dy, y, rows, cols), bytes: 12 * n },
  ];
}

await benchKernels("softmax", () => [...cases(512, 1024), ...cases(2048, 64)]);
