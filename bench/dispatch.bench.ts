/** What an operation on one element costs: checks, a tensor, its memory, a graph node, its release. */
import { F, init, noGrad, runtimeInfo, scope, type Tensor, tensor } from "../src/index.js";
import { interleave, median, table } from "./harness.js";
import { type Result, runtime, writeSuite } from "./results.js";

const OPERATIONS = 100;

await init({ threads: 1 });
const { variant } = runtimeInfo();
const a = tensor([1.5], { requiresGrad: true });
const b = tensor([2.5], { requiresGrad: true });
const matrix = tensor([[1.5]], { requiresGrad: true });

const operations: [string, () => Tensor][] = [
  ["a + b", () => F.add(a, b)],
  ["a · b", () => F.mul(a, b)],
  ["a + 1", () => F.add(a, 1)],
  ["relu a", () => F.relu(a)],
  ["sum a", () => F.sum(a)],
  ["matmul", () => F.matmul(matrix, matrix)],
  ["linear", () => F.linear(matrix, matrix, a)],
  ["a + b, without recording", () => noGrad(() => F.add(a, b))],
];
if (F.add(a, b).item() !== 4) throw new Error("bench: a + b must be 4");

/** A scope of operations, as a step is. */
const cases = operations.map(
  ([, operation]) =>
    () =>
      scope(() => {
        for (let i = 0; i < OPERATIONS; i++) operation();
      }),
);
const backward = () => scope(() => F.add(a, b).backward());
const timed = interleave([...cases, backward], cases[0]);
const results = [...operations.map(([name]) => name), "a + b with its backward"].map((row, i): Result => {
  const seconds = median(timed[i].seconds) / (i < operations.length ? OPERATIONS : 1);
  return { row: `one element: ${row}`, library: "wasmgrad", runtime, variant, threads: 1, seconds };
});
console.log(table([["dispatch", "µs"], ...results.map(({ row, seconds = 0 }) => [row, (1e6 * seconds).toFixed(3)])]));
writeSuite("dispatch", results);
