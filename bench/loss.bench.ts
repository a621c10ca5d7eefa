/** Cross-entropy of class targets, both passes, beside a copy of as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, int32View } from "../src/wasm/memory.js";
import { integers } from "./data.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

const IGNORE = -100;

function cases(rows: number, classes: number): KernelCase[] {
  const n = rows * classes;
  const [x, dx] = [floats(n, 3, 1), floats(n)];
  const [loss, shift, dloss, targets] = [floats(rows), allocate(8 * rows), floats(1), allocate(4 * rows)];
  int32View(targets, rows).set(integers(2, rows, classes));
  const expected = (row: number) => {
    const logits = float32View(x, n).slice(row * classes, (row + 1) * classes);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    return Math.log(sum) - logits[int32View(targets, rows)[row]];
  };
  const gradient = () => kernels.crossEntropyGrad(dx, dloss, x, targets, shift, rows, classes, 0, IGNORE, 1 / rows);
  const shape = `${rows} × ${classes}`;
  return [
    {
      name: `crossEntropy, ${shape}`,
      run: () => kernels.crossEntropy(loss, shift, x, targets, rows, classes, IGNORE),
      check: () => expectFloats(loss, rows, expected, 1e-4),
      bytes: 4 * n,
      reads: true,
    },
    { name: `crossEntropyGrad, ${shape}`, run: gradient, bytes: 8 * n },
  ];
}

await benchKernels("loss", () => [...cases(512, 96), ...cases(1024, 512), ...cases(256, 32000)]);
