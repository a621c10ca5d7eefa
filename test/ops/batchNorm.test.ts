import { describe, expect, test } from "vitest";
import { F, ones, scope, tensor, zeros } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { build, type Nd, nd } from "../support/reference.js";

/** The values of channel c. */
function channel(x: Nd, c: number): number[] {
  const pixels = x.shape.slice(2).reduce((product, extent) => product * extent, 1);
  return [...x.data].filter((_, i) => Math.floor(i / pixels) % x.shape[1] === c);
}

function moments(values: number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return { mean, variance: values.reduce((sum, v) => sum + (v - mean) * (v - mean), 0) / values.length };
}

function normalize(x: Nd, mean: number[], variance: number[], weight?: Nd, bias?: Nd, eps = 1e-2): Nd {
  return build(x.shape, (index) => {
    const c = index[1];
    const flat = index.reduce((at, i, d) => at * x.shape[d] + i, 0);
    const normal = (x.data[flat] - mean[c]) / Math.sqrt(variance[c] + eps);
    return normal * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
  });
}

function batchNorm(x: Nd, weight?: Nd, bias?: Nd, eps?: number): Nd {
  const of = Array.from({ length: x.shape[1] }, (_, c) => moments(channel(x, c)));
  return normalize(
    x,
    of.map(({ mean }) => mean),
    of.map(({ variance }) => variance),
    weight,
    bias,
    eps,
  );
}

// Gradients divide by the channel's deviation, which is small for some of these: rounding grows with 1/σ.
const tolerance = { absolute: 2e-5, relative: 2e-5 };

describe("batchNorm", () => {
  test("in training, by the batch's moments, with gradients", () =>
    checkOp({
      op: (x, weight, bias) => F.batchNorm(x, { weight, bias, training: true, eps: 1e-2 }),
      reference: (x, weight, bias) => batchNorm(x, weight, bias),
      shapes: [
        ...[1, 3, 4, 5, 7, 16, 17].map((pixels) => [[4, 2, pixels], [2], [2]]),
        [[5, 3], [3], [3]],
        [[2, 3, 4, 5], [3], [3]],
        [[2, 0, 3], [0], [0]],
      ],
      tolerance,
    }));

  test("without weight and bias", () =>
    checkOp({
      op: (x) => F.batchNorm(x, { training: true, eps: 1e-2 }),
      reference: (x) => batchNorm(x),
      shapes: [[[3, 2, 2, 3]], [[17, 5]]],
      tolerance,
    }));

  test("otherwise by the running moments, with gradients", () =>
    checkOp({
      op: (x, weight, bias) =>
        F.batchNorm(x, { runningMean: tensor([0.5, -1]), runningVar: tensor([2, 0.25]), weight, bias, eps: 1e-2 }),
      reference: (x, weight, bias) => normalize(x, [0.5, -1], [2, 0.25], weight, bias),
      shapes: [
        [[3, 2, 2, 5], [2], [2]],
        [[1, 2], [2], [2]],
        [[0, 2, 3], [2], [2]],
      ],
      tolerance: { absolute: 1e-5 },
    }));

  test("running values move to the mean and to the unbiased variance", () =>
    scope(() => {
      const [runningMean, runningVar] = [zeros([2]), ones([2])];
      const x = tensor([1, 2, 3, 4, 10, 20, 30, 40], { shape: [2, 2, 2] });
      F.batchNorm(x, { runningMean, runningVar, training: true, momentum: 0.25 });
      const expected = [0, 1].map((c) => moments(channel(nd(x.shape, x.data()), c)));
      expectClose(
        runningMean.data(),
        expected.map(({ mean }) => 0.25 * mean),
      );
      expectClose(
        runningVar.data(),
        expected.map(({ variance }) => 0.75 + (0.25 * variance * 4) / 3),
      );
      F.batchNorm(x, { runningMean, runningVar });
      expectClose(
        runningMean.data(),
        expected.map(({ mean }) => 0.25 * mean),
      );
    }));

  test("a mean of 1000 keeps a unit variance", () =>
    scope(() => {
      const values = Float32Array.from({ length: 2 * 3 * 100 }, (_, i) => 1000 + Math.sin(i * 1.7) * Math.SQRT2);
      const expected = batchNorm(nd([2, 3, 100], values), undefined, undefined, 1e-5);
      expectClose(F.batchNorm(tensor(values, { shape: [2, 3, 100] }), { training: true }).data(), expected.data);
    }));

  test("NaN and infinity spread over their channel alone; a constant channel is 0", () =>
    scope(() => {
      const x = tensor([
        [1, Number.NaN, Number.POSITIVE_INFINITY, 7],
        [2, 1, 1, 7],
      ]);
      const [first, second] = F.batchNorm(x, { training: true, eps: 0 }).toArray() as number[][];
      expect(first.slice(0, 3)).toEqual([-1, Number.NaN, Number.NaN]);
      expect(second.slice(0, 3)).toEqual([1, Number.NaN, Number.NaN]);
      expect(F.batchNorm(x, { training: true }).toArray()).toMatchObject([{ 3: 0 }, { 3: 0 }]);
    }));

  test("changing the running values before backward does no harm", () =>
    scope(() => {
      const [runningMean, runningVar] = [zeros([2]), ones([2])];
      const x = tensor([1, 2, 3, 4], { shape: [2, 2], requiresGrad: true });
      const y = F.batchNorm(x, { runningMean, runningVar });
      F.batchNorm(x.detach(), { runningMean, runningVar, training: true });
      y.backward(ones([2, 2]));
      expectClose(x.grad?.data() ?? [], Array(4).fill(1 / Math.sqrt(1 + 1e-5)));
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = tensor([[1, 2]]);
      expect(() => F.batchNorm(x)).toThrow(
        "runningMean and runningVar must be given together, and without training, got neither",
      );
      expect(() => F.batchNorm(x, { training: true })).toThrow("must see more than one value per channel, got [1, 2]");
      expect(() => F.batchNorm(x, { weight: ones([3]), training: true })).toThrow(
        "weight must have shape [2], got [3]",
      );
      expect(() => F.batchNorm(tensor([1]), { training: true })).toThrow("the input must be [N, C, …], got [1]");
      expect(() => F.batchNorm(x, { train: true } as object)).toThrow("batchNorm: options must be");
      expect(() => F.batchNorm(ones([2, 2]), { training: true, momentum: 2 })).toThrow(
        "momentum must be from 0 to 1, got 2",
      );
    }));
});
