import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, map, type Nd } from "../support/reference.js";

const signs = [1, -1, -1, 1, -1];
const rowOf = (x: Nd, i: number) => Array.from({ length: x.shape[1] }, (_, j) => at(x, [i, j]));
const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);
const five = [5, 4];

describe("losses with a margin", () => {
  test("cosineEmbeddingLoss", () => {
    for (const margin of [0, -0.5]) {
      const loss = (a: number[], b: number[], sign: number) => {
        const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
        return sign === 1 ? 1 - cosine : Math.max(0, cosine - margin);
      };
      checkOp({
        op: (a, b) => F.cosineEmbeddingLoss(a, b, tensor(signs), { margin, reduction: "none" }),
        reference: (a, b) => build([5], ([i]) => loss(rowOf(a, i), rowOf(b, i), signs[i])),
        shapes: [[five, five]],
      });
    }
  });

  for (const p of [1, 2, 3, Number.POSITIVE_INFINITY]) {
    test(`tripletMarginLoss, p = ${p}`, () => {
      const distance = (a: number[], b: number[]) => {
        const sizes = a.map((v, i) => Math.abs(v - b[i] + 1e-6));
        return p === Number.POSITIVE_INFINITY ? Math.max(...sizes) : sizes.reduce((s, v) => s + v ** p, 0) ** (1 / p);
      };
      for (const swap of [false, true]) {
        checkOp({
          op: (a, b, c) => F.tripletMarginLoss(a, b, c, { p, swap, margin: 2, reduction: "none" }),
          reference: (a, b, c) =>
            build([5], ([i]) => {
              const [anchor, positive, negative] = [a, b, c].map((x) => rowOf(x, i));
              const far = distance(anchor, negative);
              const farthest = swap ? Math.min(far, distance(positive, negative)) : far;
              return Math.max(0, distance(anchor, positive) - farthest + 2);
            }),
          shapes: [[five, five, five]],
        });
      }
    });
  }

  test("tripletMarginLoss: equal vectors get no gradient from their distance", () =>
    scope(() => {
      const x = tensor([[1, 2]], { requiresGrad: true });
      F.tripletMarginLoss(x, tensor([[1, 2]]), tensor([[1, 2]]), { eps: 0 }).backward();
      expect(x.grad?.toArray()).toEqual([[0, 0]]);
    }));

  test("hingeEmbeddingLoss", () => {
    checkOp({
      op: (x) => F.hingeEmbeddingLoss(x, tensor(signs), { margin: 0.7, reduction: "none" }),
      reference: (x) => build([5], ([i]) => (signs[i] === 1 ? at(x, [i]) : Math.max(0, 0.7 - at(x, [i])))),
      shapes: [[[5]]],
    });
    checkOp({
      op: (x) => F.hingeEmbeddingLoss(x, F.expand(tensor([1]), [3, 4])),
      reference: (x) => build([], () => map(x, (v) => v / 12).data.reduce((s, v) => s + v)),
      shapes: [[[3, 4]]],
    });
  });

  test("vectors without a batch", () =>
    scope(() => {
      const [a, b] = [tensor([1, 0]), tensor([0, 2])];
      expect(F.cosineEmbeddingLoss(a, b, tensor(1)).item()).toBe(1);
      expect(F.tripletMarginLoss(a, a, b, { p: 1, eps: 0 }).shape).toEqual([]);
    }));

  test("wrong operands and options are errors", () =>
    scope(() => {
      const x = zeros(five);
      const fails = (run: () => Tensor) => expect(run);
      fails(() => F.cosineEmbeddingLoss(x, x, zeros([4]))).toThrow(
        "cosineEmbeddingLoss: inputs must be [N, D] (or [D]) and the target [N] (or []), got [5, 4], [5, 4] and [4]",
      );
      fails(() => F.cosineEmbeddingLoss(x, x, zeros([5]), { margin: 2 })).toThrow(/margin must be from -1 to 1, got 2/);
      fails(() => F.tripletMarginLoss(x, x, x, { p: 0 })).toThrow("tripletMarginLoss: p must be above 0, got 0");
      fails(() => F.tripletMarginLoss(x, x, x, { margin: 0 })).toThrow(/margin must be above 0, got 0/);
      fails(() => F.hingeEmbeddingLoss(x, zeros([5]))).toThrow(/the input's shape \[5, 4\], got \[5\]/);
      fails(() => F.hingeEmbeddingLoss(x, x, { marign: 1 } as object)).toThrow(/options must be .*got marign/);
    }));
});
