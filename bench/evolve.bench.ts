/**
 * A generation of 100 beside the forward passes that it takes, and the population's own kernels: crossover, mutation and
 * the decoding of codes. Digits' shape, 64-32-10 with 500 rows, one by one and batched; and XOR's, 2-8-1.
 */
import * as evolve from "../src/evolve/index.js";
import { noGrad } from "../src/graph.js";
import * as nn from "../src/nn/index.js";
import { randn } from "../src/ops/create.js";
import { mean } from "../src/ops/reduce.js";
import { square } from "../src/ops/unary.js";
import { scope } from "../src/scope.js";
import type { Tensor } from "../src/tensor.js";
import { kernels } from "../src/wasm/kernels.js";
import { allocate, nullPtr, offsetBy, type Ptr } from "../src/wasm/memory.js";
import { interleave, median, start, table } from "./harness.js";

await start();
const SIZE = 100;
const CHILDREN = 98;

/** One generation, its forward passes alone, and the same of the batched product. */
function casesOf(name: string, sizes: readonly number[], rows: number, group: number): [string, () => void][] {
  const layers = sizes.slice(1).map((out, i) => new nn.Linear(sizes[i], out));
  const model = new nn.Sequential(...layers.flatMap((layer, i) => (i === 0 ? [layer] : [new nn.ReLU(), layer])));
  const x = randn([rows, sizes[0]]);
  const loss = () => mean(square(model.forward(x))).item();
  const population = new evolve.Population(model, { selfAdaptingRate: true });
  const batched = new evolve.Population(model, { selfAdaptingRate: true, batched: group });
  const together = (forward: (x: Tensor) => Tensor) => mean(square(forward(x)), { dim: [1, 2] });
  const passes = () => {
    for (let i = 0; i < CHILDREN; i++) noGrad(() => scope(loss));
  };
  population.step(loss);
  batched.step(together);
  return [
    [`${name}: ${CHILDREN} forward passes and losses`, passes],
    [`${name}: a generation`, () => void population.step(loss)],
    [`${name}: a generation, batched by ${group}`, () => void batched.step(together)],
  ];
}

/** Rows of codes. */
function rowsOf(bytes: number): Ptr {
  const ptr = allocate(SIZE * bytes);
  kernels.philox(ptr, (SIZE * bytes) / 4, 0, 0, 0, 0, 0, 0);
  return ptr;
}

const weights = 64 * 32 + 32 + 32 * 10 + 10;
const bytes = 16 * Math.ceil(weights / 32);
const [codes, children, scratch, values] = [rowsOf(bytes), rowsOf(bytes), allocate(64), allocate(4 * weights)];
const scale = allocate(4);
const each = (run: (row: number) => void) => () => {
  for (let i = 0; i < CHILDREN; i++) run(i * bytes);
};
const cases: [string, () => void][] = [
  ...casesOf("digits", [64, 32, 10], 500, 10),
  ...casesOf("xor", [2, 8, 1], 4, SIZE),
  [
    `${CHILDREN} × crossover of ${weights} codes`,
    each((at) => kernels.crossover(offsetBy(children, at), codes, offsetBy(codes, at), scratch, bytes, 1, 2, at, 0)),
  ],
  [
    `${CHILDREN} × mutation, 1 %`,
    each((at) => kernels.mutate(offsetBy(children, at), scratch, bytes, 1, 2, at, 0, 0.01)),
  ],
  [
    `${CHILDREN} × decoding`,
    each((at) => kernels.dequantize(values, offsetBy(codes, at), scale, nullPtr, 0, weights, weights, 1)),
  ],
];

const timed = interleave(
  cases.map(([, run]) => run),
  cases[0][1],
);
const rows = cases.map(([name], i) => {
  const seconds = median(timed[i].seconds);
  return [name, (1000 * seconds).toFixed(3), (seconds / median(timed[i].yardstick)).toFixed(3)];
});
console.log(table([["what", "ms", "× digits' forward passes"], ...rows]));
