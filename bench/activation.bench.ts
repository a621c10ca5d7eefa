/**
 * Elementwise kernels at 512 × 1024: nanoseconds per element and multiples of what copying takes at the same moment,
 * forward and backward.
 */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, type Ptr } from "../src/wasm/memory.js";
import { interleave, median, start, table } from "./harness.js";

const n = 512 * 1024;

/** Values from −3 to 3. */
function ramp(): Ptr {
  const ptr = allocate(4 * n);
  const values = float32View(ptr, n);
  for (let i = 0; i < n; i++) values[i] = ((i * 7919) % 6001) / 1000 - 3;
  return ptr;
}

await start();
const [y, x, dy, from, to] = Array.from({ length: 5 }, ramp);

/** Kernels of one operand, whose gradients bear their names. */
const names = [
  "relu",
  "sigmoid",
  "tanh",
  "silu",
  "gelu",
  "geluTanh",
  "geluQuick",
  "mish",
  "hardswish",
  "hardsigmoid",
  "relu6",
  "logSigmoid",
  "exp",
  "log",
  "log1p",
  "expm1",
  "erf",
  "sin",
  "cos",
] as const;
const cases: [string, () => void][] = names.flatMap((name) => [
  [name, () => kernels[name](y, x, n)],
  [`${name}Grad`, () => kernels[`${name}Grad`](y, dy, x, n)],
]);
cases.push(
  ["softplus", () => kernels.softplus(y, x, n, 1, 20)],
  ["elu", () => kernels.elu(y, x, n, 1, 1)],
  ["clamp", () => kernels.clamp(y, x, n, -1, 1)],
  ["prelu", () => kernels.prelu(y, x, from, 512, 1024, 1024, 1, 1, 0)],
  ["pow", () => kernels.pow(y, x, from, 1, n, 0, 1, 0, 1)],
  ["compare", () => kernels.compare(y, x, dy, 1, n, 0, 1, 0, 1, 1)],
  ["where", () => kernels.where(y, dy, x, from, 1, n, 0, 1, 0, 1)],
);

const copy = () => kernels.copyStrided(to, from, 1, n, n, 1, n, 1);
const timed = interleave(
  cases.map(([, run]) => run),
  copy,
);
const rows = cases.map(([name], i) => {
  const seconds = median(timed[i].seconds);
  return [name, ((1e9 * seconds) / n).toFixed(2), (seconds / median(timed[i].yardstick)).toFixed(1)];
});
console.log(table([["kernel", "ns/element", "× copy"], ...rows]));
