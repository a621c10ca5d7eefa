import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd, zip } from "../support/reference.js";

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
        /crossEntropy: targets must be from 0 to 2 .*got 3 at 1/,
      );
      expect(() => F.crossEntropy(x, tensor([0, -1], int32))).toThrow(/got -1 at 1/);
      expect(() => F.crossEntropy(x, tensor([0, 1]))).toThrow(/dtype: "int32", got float32/);
      expect(() => F.crossEntropy(x, tensor([0], int32))).toThrow(/shape \[2\] for logits \[2, 3\], got \[1\]/);
      expect(() => F.crossEntropy(x, tensor([0, 1], int32), { ignore_index: 1 } as object)).toThrow(
        /options must be .*got ignore_index/,
      );
      expect(() => F.crossEntropy(x, tensor([0, 1], int32), { reduction: "avg" } as object)).toThrow(/reduction/);
    }));
});

describe("mseLoss", () => {
  test("mean, sum and none", () => {
    const shapes = [
      [
        [3, 5],
        [3, 5],
      ],
      [[4], [4]],
    ];
    const squares = (x: Nd, t: Nd) => zip(x, t, (a, b) => (a - b) * (a - b));
    const total = (x: Nd) => x.data.reduce((s, v) => s + v, 0);
    checkOp({
      op: (x, t) => F.mseLoss(x, t),
      reference: (x, t) => build([], () => total(squares(x, t)) / x.data.length),
      shapes,
    });
    checkOp({
      op: (x, t) => F.mseLoss(x, t, { reduction: "sum" }),
      reference: (x, t) => build([], () => total(squares(x, t))),
      shapes,
    });
    checkOp({ op: (x, t) => F.mseLoss(x, t, { reduction: "none" }), reference: squares, shapes });
  });
});
