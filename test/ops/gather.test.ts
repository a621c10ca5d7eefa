import { describe, expect, test } from "vitest";
import { F, scope, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd } from "../support/reference.js";

const ids = (values: number[], shape: number[]) => tensor(Int32Array.from(values), { shape });

describe("embedding", () => {
  for (const dim of [1, 3, 4, 5, 7, 16, 17]) {
    test(`rows of ${dim}, with repeated indices`, () => {
      const picks = [4, 0, 2, 2, 4, 2];
      checkOp({
        op: (weight) => F.embedding(ids(picks, [2, 3]), weight),
        reference: (weight: Nd) => build([2, 3, dim], ([b, t, c]) => weight.data[picks[3 * b + t] * dim + c]),
        shapes: [[[5, dim]]],
      });
    });
  }

  test("indices of any shape and any strides", () => {
    scope(() => {
      const weight = tensor([[1], [2], [3]]);
      expect(F.embedding(ids([2], []), weight).toArray()).toEqual([3]);
      expect(F.embedding(ids([], [0, 2]), weight).shape).toEqual([0, 2, 1]);
      expect(
        F.transpose(ids([0, 1, 2, 0], [2, 2]), 0, 1)
          .embedding(weight)
          .toArray(),
      ).toEqual([
        [[1], [3]],
        [[2], [1]],
      ]);
    });
  });

  test("the padding row gets no gradient", () => {
    for (const paddingIdx of [1, -2]) {
      scope(() => {
        const weight = tensor(
          [
            [1, 2],
            [3, 4],
            [5, 6],
          ],
          { requiresGrad: true },
        );
        F.sum(F.embedding(ids([1, 0, 1, 0], [4]), weight, { paddingIdx })).backward();
        expect(weight.grad?.toArray()).toEqual([
          [2, 2],
          [0, 0],
          [0, 0],
        ]);
      });
    }
  });

  test("errors name position and value", () => {
    scope(() => {
      const weight = tensor([[1], [2], [3]]);
      expect(() => F.embedding(ids([0, 1, 2, 0, 3, 1], [2, 3]), weight)).toThrow(
        "embedding: ids must be from 0 to 2, got 3 at [1, 1]",
      );
      expect(() => F.embedding(ids([-1], [1]), weight)).toThrow("embedding: ids must be from 0 to 2, got -1 at [0]");
      expect(() => F.embedding(tensor([0]), weight)).toThrow(
        /^embedding: ids must be "int32", got "float32"; give it dtype: "int32"/,
      );
      expect(() => F.embedding(ids([0], [1]), tensor([1]))).toThrow(
        "embedding: the weight must have two dimensions, got [1]",
      );
      expect(() => F.embedding(ids([0], [1]), weight, { paddingIdx: 3 })).toThrow(
        "embedding: paddingIdx must be from -3 to 2, got 3",
      );
    });
  });
});

describe("indexSelect", () => {
  for (const n of [1, 3, 4, 5, 7, 16, 17]) {
    test(`along the first and the last of extents ${n}`, () => {
      const picks = [0, n - 1, 0, n >> 1];
      checkOp({
        op: (x) => F.indexSelect(x, 0, ids(picks, [4])),
        reference: (x: Nd) => build([4, 3], ([r, c]) => at(x, [picks[r], c])),
        shapes: [[[n, 3]]],
      });
      checkOp({
        op: (x) => F.indexSelect(x, -1, ids(picks, [4])),
        reference: (x: Nd) => build([2, 3, 4], ([i, r, c]) => at(x, [i, r, picks[c]])),
        shapes: [[[2, 3, n]]],
      });
    });
  }

  test("nothing, int32, and errors", () => {
    scope(() => {
      const x = zeros([2, 3]);
      expect(F.indexSelect(x, 1, ids([], [0])).shape).toEqual([2, 0]);
      expect(F.indexSelect(ids([5, 6], [2]), 0, ids([1], [1])).toArray()).toEqual([6]);
      expect(() => F.indexSelect(x, 1, ids([0, 3], [2]))).toThrow(
        "indexSelect: the index must be from 0 to 2, got 3 at [1]",
      );
      expect(() => F.indexSelect(x, 1, ids([0], [1, 1]))).toThrow(
        "indexSelect: the index must have one dimension and x at least one, got [1, 1] and [2, 3]",
      );
      expect(() => F.indexSelect(x, 1, tensor([0]))).toThrow('indexSelect: the index must be "int32", got "float32"');
    });
  });
});

describe("gather and scatterAdd", () => {
  const index = [2, 0, 1, 2, 2, 0];

  test("gather along any dimension, with an index smaller than x elsewhere", () => {
    checkOp({
      op: (x) => F.gather(x, 1, ids(index, [2, 3])),
      reference: (x: Nd) => build([2, 3], ([r, c]) => at(x, [r, index[3 * r + c]])),
      shapes: [[[2, 3]], [[4, 3]], [[2, 5]]],
    });
    checkOp({
      op: (x) => F.gather(x, 0, ids(index, [2, 3])),
      reference: (x: Nd) => build([2, 3], ([r, c]) => at(x, [index[3 * r + c], c])),
      shapes: [[[3, 3]], [[3, 7]]],
    });
    scope(() => expect(F.gather(zeros([3, 0]), 0, ids([], [2, 0])).shape).toEqual([2, 0]));
  });

  test("scatterAdd: repeated indices add up, an index smaller than src and x", () => {
    checkOp({
      op: (x, src) => F.scatterAdd(x, 1, ids(index, [2, 3]), src),
      reference: (x: Nd, src: Nd) =>
        build(x.shape, ([r, c]) =>
          [0, 1, 2].reduce((sum, j) => sum + (index[3 * r + j] === c ? at(src, [r, j]) : 0), at(x, [r, c])),
        ),
      shapes: [
        [
          [2, 3],
          [2, 3],
        ],
        [
          [3, 4],
          [2, 5],
        ],
      ],
    });
  });

  test("errors name position and value", () => {
    scope(() => {
      const x = zeros([2, 3]);
      expect(() => F.gather(x, 1, ids([0, 1, -1, 0], [2, 2]))).toThrow(
        "gather: the index must be from 0 to 2, got -1 at [1, 0]",
      );
      expect(() => F.gather(x, 1, ids([0], [1]))).toThrow(
        "gather: the index must have x's dimensions (at least one) and lie within x outside dim 1, got [1] and [2, 3]",
      );
      expect(() => F.scatterAdd(x, 0, ids([2, 0, 0], [1, 3]), zeros([1, 3]))).toThrow(
        "scatterAdd: the index must be from 0 to 1, got 2 at [0, 0]",
      );
      expect(() => F.scatterAdd(x, 0, ids([1, 0, 0], [1, 3]), zeros([1, 2]))).toThrow(
        "scatterAdd: the index must lie within src, got [1, 3] and [1, 2]",
      );
    });
  });
});

describe("oneHot", () => {
  test("int32, a last dimension of classes", () => {
    scope(() => {
      const y = F.oneHot(ids([2, 0], [2]), 3);
      expect([y.dtype, y.toArray()]).toEqual([
        "int32",
        [
          [0, 0, 1],
          [1, 0, 0],
        ],
      ]);
      expect(F.oneHot(ids([1], []), 2).toArray()).toEqual([0, 1]);
      expect(() => F.oneHot(ids([0, 3], [2]), 3)).toThrow("oneHot: the classes must be from 0 to 2, got 3 at [1]");
      expect(() => F.oneHot(ids([0], [1]), 0)).toThrow(
        "oneHot: the number of classes must be a whole number from 1, got 0",
      );
    });
  });
});
