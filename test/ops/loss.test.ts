import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { build, type Nd, zip } from "../support/reference.js";

type Loss = (input: Tensor, target: Tensor, options: { reduction: F.Reduction }) => Tensor;

/** All reductions of an elementwise loss, over sizes with every tail. */
function checkLoss(loss: Loss, term: (x: number, t: number) => number, domain?: readonly [number, number]): void {
  const total = (x: Nd) => x.data.reduce((sum, v) => sum + v, 0);
  const shapes = [1, 3, 4, 5, 7, 16, 17].map((n) => [[n], [n]]);
  const two = [
    [
      [3, 5],
      [3, 5],
    ],
  ];
  const range = domain ? { domain } : {};
  const terms = (x: Nd, t: Nd) => zip(x, t, term);
  checkOp({ op: (x, t) => loss(x, t, { reduction: "none" }), reference: terms, shapes: [...shapes, ...two], ...range });
  checkOp({
    op: (x, t) => loss(x, t, { reduction: "sum" }),
    reference: (x, t) => build([], () => total(terms(x, t))),
    shapes: two,
    ...range,
  });
  checkOp({
    op: (x, t) => loss(x, t, { reduction: "mean" }),
    reference: (x, t) => build([], () => total(terms(x, t)) / x.data.length),
    shapes: two,
    ...range,
  });
}

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const huber = (d: number, delta: number) => (Math.abs(d) < delta ? (d * d) / 2 : delta * (Math.abs(d) - delta / 2));

describe("losses of elements", () => {
  test("mseLoss", () => checkLoss(F.mseLoss, (x, t) => (x - t) ** 2));

  test("l1Loss", () => checkLoss(F.l1Loss, (x, t) => Math.abs(x - t)));

  test("smoothL1Loss", () => {
    for (const beta of [1, 0.3]) {
      checkLoss(
        (x, t, o) => F.smoothL1Loss(x, t, { ...o, beta }),
        (x, t) => huber(x - t, beta) / beta,
      );
    }
    checkLoss(
      (x, t, o) => F.smoothL1Loss(x, t, { ...o, beta: 0 }),
      (x, t) => Math.abs(x - t),
    );
  });

  test("huberLoss", () => {
    for (const delta of [1, 2.5]) {
      checkLoss(
        (x, t, o) => F.huberLoss(x, t, { ...o, delta }),
        (x, t) => huber(x - t, delta),
      );
    }
  });

  test("binaryCrossEntropy", () => {
    checkLoss(F.binaryCrossEntropy, (x, t) => -t * Math.log(x) - (1 - t) * Math.log(1 - x), [0.05, 0.95]);
  });

  test("binaryCrossEntropyWithLogits", () => {
    checkLoss(F.binaryCrossEntropyWithLogits, (x, t) => (1 - t) * x + softplus(-x));
  });

  test("binaryCrossEntropyWithLogits: a weight of positives for each column", () => {
    checkOp({
      op: (x, t) => F.binaryCrossEntropyWithLogits(x, t, { reduction: "none", posWeight: tensor([3, 0.5, 1, 2, 0]) }),
      reference: (x, t) =>
        build(x.shape, ([i, j]) => {
          const [logit, label] = [x.data[5 * i + j], t.data[5 * i + j]];
          return [3, 0.5, 1, 2, 0][j] * label * softplus(-logit) + (1 - label) * softplus(logit);
        }),
      shapes: [
        [
          [3, 5],
          [3, 5],
        ],
      ],
    });
  });

  test("klDiv", () => {
    checkLoss(F.klDiv, (x, t) => t * (Math.log(t) - x), [0.05, 2]);
    checkLoss(
      (x, t, o) => F.klDiv(x, t, { ...o, logTarget: true }),
      (x, t) => Math.exp(t) * (t - x),
    );
    checkOp({
      op: (x, t) => F.klDiv(x, t, { reduction: "batchmean", logTarget: true }),
      reference: (x, t) =>
        build([], () => zip(x, t, (a, b) => Math.exp(b) * (b - a)).data.reduce((s, v) => s + v) / x.shape[0]),
      shapes: [
        [
          [3, 5],
          [3, 5],
        ],
      ],
    });
  });

  test("inputs and targets broadcast where only their difference counts", () =>
    scope(() => {
      const [x, t] = [tensor([[1], [3]]), tensor([0, 2])];
      const expected = { mseLoss: [1, 1, 9, 1], l1Loss: [1, 1, 3, 1], smoothL1Loss: [0.5, 0.5, 2.5, 0.5] };
      for (const [name, values] of Object.entries(expected)) {
        const loss = F[name as keyof typeof expected](x, t, { reduction: "none" });
        expect([loss.shape, [...loss.data()]], name).toEqual([[2, 2], values]);
      }
    }));

  test("extremes: confident mistakes, far logits, NaN and infinity", () =>
    scope(() => {
      const none = { reduction: "none" } as const;
      const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
      const sure = F.binaryCrossEntropy(tensor([0, 1, 0, 1]), tensor([0, 1, 1, 0]), none);
      expectClose(sure.data(), [0, 0, 100, 100]);
      const logits = F.binaryCrossEntropyWithLogits(tensor([1e4, -1e4, 1e4, nan, -20]), tensor([1, 0, 0, 1, 0]), none);
      expectClose(logits.data(), [0, 0, 1e4, nan, Math.log1p(Math.exp(-20))], { absolute: 1e-14 });
      expect([...F.smoothL1Loss(tensor([inf, nan, -inf]), tensor([0, 0, 0]), none).data()]).toEqual([inf, nan, inf]);
      expect([...F.klDiv(tensor([-1, -1, nan]), tensor([0, 1, 1]), none).data()]).toEqual([0, 1, nan]);
      expect(F.mseLoss(zeros([0]), zeros([0])).item()).toBeNaN();
    }));

  test("the gradient of an infinite difference is that of its sign", () =>
    scope(() => {
      const x = tensor([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0], { requiresGrad: true });
      F.smoothL1Loss(x, tensor([0, 0, 0]), { reduction: "sum" }).backward();
      expect(x.grad?.toArray()).toEqual([1, -1, 0]);
    }));

  test("wrong operands and options are errors", () =>
    scope(() => {
      const x = zeros([2, 3]);
      expect(() => F.binaryCrossEntropy(tensor([[0.5, 1.5]]), zeros([1, 2]))).toThrow(
        "binaryCrossEntropy: the input must be from 0 to 1, got 1.5 at [0, 1]",
      );
      expect(() => F.binaryCrossEntropy(tensor([Number.NaN]), zeros([1]))).toThrow(/got NaN at \[0\]/);
      expect(() => F.binaryCrossEntropyWithLogits(x, zeros([2]))).toThrow(
        "binaryCrossEntropyWithLogits: the target must have the input's shape [2, 3], got [2]",
      );
      expect(() => F.binaryCrossEntropyWithLogits(x, x, { posWeight: zeros([2]) })).toThrow(/\[2\] and \[2, 3\]/);
      expect(() => F.binaryCrossEntropyWithLogits(x, x, { posWeight: zeros([2, 2, 3]) })).toThrow(
        "binaryCrossEntropyWithLogits: posWeight must broadcast to [2, 3], got [2, 2, 3]",
      );
      expect(() => F.klDiv(x, tensor(new Int32Array(6), { shape: [2, 3] }))).toThrow(/the target must be "float32"/);
      expect(() => F.klDiv(x, x, { reduction: "batchMean" } as object)).toThrow(/"batchmean", got "batchMean"/);
      expect(() => F.mseLoss(x, x, { reduction: "batchmean" } as object)).toThrow(
        'mseLoss: reduction must be one of "mean", "sum", "none", got "batchmean"',
      );
      expect(() => F.smoothL1Loss(x, x, { beta: -1 })).toThrow("smoothL1Loss: beta must be 0 or more, got -1");
      expect(() => F.huberLoss(x, x, { delta: 0 })).toThrow("huberLoss: delta must be above 0, got 0");
      expect(() => F.huberLoss(x, x, { beta: 1 } as object)).toThrow(/^huberLoss: options must be .*got beta$/);
    }));
});
