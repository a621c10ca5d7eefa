import { afterEach, expect, inject, test } from "vitest";
import { F, manualSeed, nn, randint, randn, runtimeInfo, scope, type Tensor } from "../src/index.js";
import { grain } from "../src/wasm/parallel.js";

const least = grain.least;

afterEach(() => {
  grain.least = least;
});

test("the project runs with the threads that it names", () => {
  const threads = inject("threads");
  expect(runtimeInfo()).toMatchObject({ threads, sharedMemory: threads > 1 });
});

/** The bits of a result and of the gradients of its inputs, which are drawn from a fixed seed. */
function bitsOf(shapes: number[][], compute: (...inputs: Tensor[]) => Tensor): number[][] {
  return scope(() => {
    manualSeed(3);
    const inputs = shapes.map((shape) => randn(shape, { requiresGrad: true }));
    const y = compute(...inputs);
    y.backward(randn(y.shape));
    return [y, ...inputs.map((x) => x.grad as Tensor)].map((x) => [...new Int32Array(x.data().buffer)]);
  });
}

const cases: [name: string, shapes: number[][], compute: (...inputs: Tensor[]) => Tensor][] = [
  [
    "matmul",
    [
      [131, 70],
      [70, 53],
    ],
    (a, b) => F.matmul(a, b),
  ],
  [
    "a wide matmul",
    [
      [3, 70],
      [70, 517],
    ],
    (a, b) => F.matmul(a, b),
  ],
  [
    "a batch",
    [
      [7, 19, 33],
      [7, 33, 50],
    ],
    (a, b) => F.matmul(a, b),
  ],
  ["linear", [[130, 65], [257, 65], [257]], (x, w, b) => F.linear(x, w, b)],
  ["attention", Array(3).fill([2, 3, 37, 20]), (q, k, v) => F.scaledDotProductAttention(q, k, v, { isCausal: true })],
  [
    "conv2d",
    [
      [3, 4, 13, 11],
      [5, 4, 3, 3],
    ],
    (x, w) => F.conv2d(x, w, undefined, { padding: 1 }),
  ],
  ["maxPool2d", [[3, 4, 13, 11]], (x) => F.maxPool2d(x, 2)],
  ["layerNorm", [[67, 45]], (x) => F.layerNorm(x, [45])],
  ["layerNorm, weighted", [[67, 45], [45], [45]], (x, weight, bias) => F.layerNorm(x, [45], { weight, bias })],
  ["rmsNorm, weighted", [[67, 45], [45]], (x, weight) => F.rmsNorm(x, [45], { weight })],
  ["batchNorm", [[5, 7, 9, 11], [7], [7]], (x, weight, bias) => F.batchNorm(x, { weight, bias, training: true })],
  ["batchNorm of rows", [[67, 45], [45], [45]], (x, weight, bias) => F.batchNorm(x, { weight, bias, training: true })],
  ["the sum of all", [[33_333]], (x) => F.sum(x)],
  ["softmax", [[67, 45]], (x) => F.softmax(x)],
  ["gelu", [[67, 45]], (x) => F.gelu(x)],
  ["dropout", [[67, 45]], (x) => F.dropout(x)],
  ["add, broadcast", [[67, 45], [45]], (a, b) => F.add(a, b)],
  ["sums of rows", [[67, 45]], (x) => F.sum(x, { dim: 1 })],
  ["sums of columns", [[67, 45]], (x) => F.sum(x, { dim: 0 })],
  ["transposed", [[67, 45]], (x) => F.reshape(F.transpose(x, 0, 1), [-1])],
  ["crossEntropy", [[67, 45]], (x) => F.crossEntropy(x, randint(0, 45, [67]))],
];

test.each(cases)("%s: the same bits whole and cut", (_, shapes, compute) => {
  grain.least = Number.POSITIVE_INFINITY;
  const whole = bitsOf(shapes, compute);
  grain.least = 0;
  expect(bitsOf(shapes, compute)).toEqual(whole);
});

test("the norm of gradients: the same bits whole and cut", () => {
  scope(() => {
    manualSeed(4);
    const parameter = randn([41, 83], { requiresGrad: true });
    F.square(parameter).sum().backward();
    grain.least = Number.POSITIVE_INFINITY;
    const whole = nn.utils.clipGradNorm_([parameter], 1e6);
    grain.least = 0;
    expect(nn.utils.clipGradNorm_([parameter], 1e6)).toBe(whole);
  });
});
