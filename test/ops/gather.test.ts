import { describe, expect, test } from "vitest";
import { F, scope, tensor } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { build, type Nd } from "../support/reference.js";

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
