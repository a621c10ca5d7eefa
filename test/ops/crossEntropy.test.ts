import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd } from "../support/reference.js";

const int32 = { dtype: "int32" } as const;

/** A target for each row; every third is ignored where `ignore` is given. */
const targetsOf = (rows: number, classes: number, ignore?: number) =>
  Int32Array.from({ length: rows }, (_, i) => (ignore !== undefined && i % 3 === 1 ? ignore : (7 * i + 3) % classes));

function rowLosses(x: Nd, targets: Int32Array, ignore: number): number[] {
  const [rows, classes] = x.shape;
  return Array.from({ length: rows }, (_, i) => {
    const row = Array.from({ length: classes }, (_, j) => at(x, [i, j]));
    return targets[i] === ignore ? 0 : Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0)) - row[targets[i]];
  });
}

const sum = (values: readonly number[]) => values.reduce((total, v) => total + v, 0);

describe("crossEntropy", () => {
  for (const ignore of [-100, 2]) {
    test(`mean, sum and none, ignoring ${ignore}`, () => {
      for (const [rows, classes] of [
        [1, 3],
        [4, 4],
        [5, 7],
        [3, 16],
        [6, 17],
        [2, 70],
      ]) {
        const targets = targetsOf(rows, classes, ignore);
        const counted = targets.filter((t) => t !== ignore).length;
        const op = (reduction: "mean" | "sum" | "none") => (x: Tensor) =>
          F.crossEntropy(x, tensor(targets), { reduction, ignoreIndex: ignore });
        const shapes = [[[rows, classes]]];
        checkOp({
          op: op("mean"),
          reference: (x) => build([], () => sum(rowLosses(x, targets, ignore)) / counted),
          shapes,
        });
        checkOp({ op: op("sum"), reference: (x) => build([], () => sum(rowLosses(x, targets, ignore))), shapes });
        checkOp({ op: op("none"), reference: (x) => build([rows], ([i]) => rowLosses(x, targets, ignore)[i]), shapes });
      }
    });
  }

  test("more dimensions: classes are the second", () => {
    const targets = Int32Array.from([0, 2, 1, 1, 0, 2, 2, 1]);
    checkOp({
      op: (x) => F.crossEntropy(x, tensor(targets, { shape: [2, 2, 2] }), { reduction: "none" }),
      reference: (x) =>
        build([2, 2, 2], ([n, i, j]) => {
          const row = [0, 1, 2].map((c) => at(x, [n, c, i, j]));
          return Math.log(sum(row.map(Math.exp))) - row[targets[n * 4 + i * 2 + j]];
        }),
      shapes: [[[2, 3, 2, 2]]],
    });
  });

  test("extremes: far logits, infinities, all targets ignored", () =>
    scope(() => {
      const loss = (x: number[], t: number, options = {}) =>
        F.crossEntropy(tensor([x]), tensor([t], int32), options).item();
      expect(loss([1e4, -1e4], 0)).toBe(0);
      expect(loss([1e4, -1e4], 1)).toBe(2e4);
      expect(loss([0, Number.NEGATIVE_INFINITY], 1)).toBe(Number.POSITIVE_INFINITY);
      expect(loss([Number.NaN, 0], 1)).toBeNaN();
      expect(loss([1, 2], -100)).toBeNaN();
      expect(loss([1, 2], -100, { reduction: "sum" })).toBe(0);
    }));

  test("an ignored row gets no gradient", () =>
    scope(() => {
      const x = tensor(
        [
          [1, 2],
          [3, 4],
        ],
        { requiresGrad: true },
      );
      F.crossEntropy(x, tensor([-100, -100], int32)).backward();
      expect(x.grad?.toArray()).toEqual([
        [0, 0],
        [0, 0],
      ]);
    }));

  test("wrong targets and options are errors", () =>
    scope(() => {
      const x = zeros([2, 3]);
      expect(() => F.crossEntropy(x, tensor([0, 3], int32))).toThrow(
        "crossEntropy: targets must be from 0 to 2 or ignoreIndex -100, got 3 at [1]",
      );
      expect(() => F.crossEntropy(x, tensor([0, -1], int32))).toThrow(/got -1 at \[1\]/);
      expect(() => F.crossEntropy(x, tensor([0, 1]))).toThrow(/dtype: "int32", got float32/);
      expect(() => F.crossEntropy(x, tensor([0], int32))).toThrow(/shape \[2\] for an input \[2, 3\], got \[1\]/);
      expect(() => F.crossEntropy(x, tensor([0, 1], int32), { ignore_index: 1 } as object)).toThrow(
        /options must be .*got ignore_index/,
      );
      expect(() => F.crossEntropy(x, tensor([0, 1], int32), { reduction: "avg" } as object)).toThrow(/reduction/);
    }));
});

/** logits − log Σ e^logits of a row */
const logSoftmaxOf = (row: readonly number[]) => {
  const log = Math.log(sum(row.map(Math.exp)));
  return row.map((v) => v - log);
};
const rowOf = (x: Nd, i: number) => Array.from({ length: x.shape[1] }, (_, j) => at(x, [i, j]));

describe("crossEntropy with weights, smoothing and probabilities", () => {
  for (const labelSmoothing of [0, 0.2, 1]) {
    test(`classes weighted, smoothing ${labelSmoothing}`, () => {
      for (const [rows, classes] of [
        [1, 3],
        [5, 4],
        [4, 17],
      ]) {
        const targets = targetsOf(rows, classes, -100);
        const weights = Array.from({ length: classes }, (_, j) => 0.25 + (j % 4));
        const losses = (x: Nd) =>
          Array.from({ length: rows }, (_, i) => {
            if (targets[i] === -100) return 0;
            const own = logSoftmaxOf(rowOf(x, i)).map((v, j) => -v * weights[j]);
            return (1 - labelSmoothing) * own[targets[i]] + (labelSmoothing / classes) * sum(own);
          });
        const counted = sum([...targets].filter((t) => t !== -100).map((t) => weights[t]));
        const op = (reduction: F.Reduction) => (x: Tensor) =>
          F.crossEntropy(x, tensor(targets), { reduction, labelSmoothing, weight: tensor(weights) });
        const shapes = [[[rows, classes]]];
        checkOp({ op: op("mean"), reference: (x) => build([], () => sum(losses(x)) / counted), shapes });
        checkOp({ op: op("none"), reference: (x) => build([rows], ([i]) => losses(x)[i]), shapes });
      }
    });
  }

  test("targets that are probabilities get gradients too", () => {
    const loss = (x: Nd, t: Nd, i: number) =>
      -sum(logSoftmaxOf(rowOf(x, i)).map((v, j) => v * (0.9 * at(t, [i, j]) + 0.1 / x.shape[1])));
    const shapes = [
      [
        [3, 5],
        [3, 5],
      ],
    ];
    checkOp({
      op: (x, t) => F.crossEntropy(x, t, { reduction: "none", labelSmoothing: 0.1 }),
      reference: (x, t) => build([3], ([i]) => loss(x, t, i)),
      shapes,
    });
    checkOp({
      op: (x, t) => F.crossEntropy(x, t, { labelSmoothing: 0.1 }),
      reference: (x, t) => build([], () => sum([0, 1, 2].map((i) => loss(x, t, i))) / 3),
      shapes,
    });
  });

  test("weights of 0 for all targets: the mean is NaN, the sum 0", () =>
    scope(() => {
      const loss = (reduction: F.Reduction) =>
        F.crossEntropy(tensor([[1, 2]]), tensor([1], int32), { weight: tensor([1, 0]), reduction }).item();
      expect(loss("mean")).toBeNaN();
      expect(loss("sum")).toBe(0);
    }));

  test("all targets ignored: NaN with weights and smoothing too", () =>
    scope(() => {
      const x = tensor([[1, 2]]);
      const ignored = tensor([-100], int32);
      expect(F.crossEntropy(x, ignored, { labelSmoothing: 0.1 }).item()).toBeNaN();
      expect(F.nllLoss(x, ignored).item()).toBeNaN();
      expect(F.nllLoss(x, ignored, { reduction: "sum" }).item()).toBe(0);
    }));

  test("wrong options are errors", () =>
    scope(() => {
      const [x, t] = [zeros([2, 3]), tensor([0, 1], int32)];
      expect(() => F.crossEntropy(x, t, { labelSmoothing: 2 })).toThrow(
        "crossEntropy: labelSmoothing must be from 0 to 1, got 2",
      );
      expect(() => F.crossEntropy(x, t, { weight: zeros([2]) })).toThrow(
        "crossEntropy: the weight must have shape [3], got [2]",
      );
      expect(() => F.nllLoss(x, tensor([[0]], int32))).toThrow(/^nllLoss: targets must have shape \[2\]/);
      expect(() => F.nllLoss(zeros([1, 3, 2]), tensor([[0, 3]], int32))).toThrow(/^nllLoss: .* got 3 at \[0, 1\]$/);
      expect(() => F.nllLoss(x, zeros([2]))).toThrow(/dtype: "int32", got float32/);
    }));
});

describe("nllLoss", () => {
  test("mean, sum and none, weighted or not", () => {
    for (const weighted of [false, true]) {
      const [rows, classes] = [5, 7];
      const targets = targetsOf(rows, classes, 2);
      const weights = Array.from({ length: classes }, (_, j) => (weighted ? 0.5 + (j % 3) : 1));
      const losses = (x: Nd) =>
        Array.from({ length: rows }, (_, i) => (targets[i] === 2 ? 0 : -weights[targets[i]] * at(x, [i, targets[i]])));
      const counted = sum([...targets].filter((t) => t !== 2).map((t) => weights[t]));
      const op = (reduction: F.Reduction) => (x: Tensor) =>
        F.nllLoss(x, tensor(targets), {
          reduction,
          ignoreIndex: 2,
          ...(weighted ? { weight: tensor(weights) } : {}),
        });
      const shapes = [[[rows, classes]]];
      checkOp({ op: op("mean"), reference: (x) => build([], () => sum(losses(x)) / counted), shapes });
      checkOp({ op: op("sum"), reference: (x) => build([], () => sum(losses(x))), shapes });
      checkOp({ op: op("none"), reference: (x) => build([rows], ([i]) => losses(x)[i]), shapes });
    }
  });
});
