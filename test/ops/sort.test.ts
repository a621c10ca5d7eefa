import { describe, expect, test } from "vitest";
import { F, scope, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd, random, replaced } from "../support/reference.js";

/** Rows of x in order. */
const ordered = (x: Nd, k: number, sign: number) =>
  build([...x.shape.slice(0, -1), k], (index) => {
    const row = Array.from({ length: x.shape[x.shape.length - 1] }, (_, j) => at(x, replaced(index, -1, j)));
    return row.sort((a, b) => sign * (a - b))[index[index.length - 1]];
  });

describe("sort and topk", () => {
  for (const n of [1, 3, 4, 5, 7, 16, 17]) {
    test(`rows of ${n}`, () => {
      checkOp({ op: (x) => F.sort(x).values, reference: (x) => ordered(x, n, 1), shapes: [[[2, n]]] });
      checkOp({ op: (x) => F.topk(x, n >> 1).values, reference: (x) => ordered(x, n >> 1, -1), shapes: [[[2, n]]] });
    });
  }

  test("along another dimension, values and indices agree", () => {
    scope(() => {
      const next = random(4);
      const x = tensor(Float32Array.from({ length: 60 }, next), { shape: [3, 5, 4] });
      const { values, indices } = F.sort(x, { dim: 1, descending: true });
      expect(F.gather(x, 1, indices).data()).toEqual(values.data());
      expect([indices.dtype, indices.shape]).toEqual(["int32", [3, 5, 4]]);
      const least = F.topk(F.transpose(x, 0, 2), 2, { dim: 1, largest: false });
      expect(least.values.shape).toEqual([4, 2, 3]);
      expect(F.gather(F.transpose(x, 0, 2), 1, least.indices).data()).toEqual(least.values.data());
    });
  });

  test("stable, with 0 and -0 equal and NaN above all", () => {
    scope(() => {
      const x = tensor([0, Number.NaN, -0, Infinity, 0, -Infinity, Number.NaN]);
      expect(F.sort(x).indices.toArray()).toEqual([5, 0, 2, 4, 3, 1, 6]);
      expect(F.sort(x, { descending: true }).indices.toArray()).toEqual([1, 6, 3, 0, 2, 4, 5]);
      expect(F.topk(x, 1).values.toArray()).toEqual([Number.NaN]);
      const negative = tensor([-1e-40, 1e-40, -3, 3]);
      expect(F.sort(negative).indices.toArray()).toEqual([2, 0, 1, 3]);
    });
  });

  test("thousands of elements", () => {
    scope(() => {
      const next = random(9);
      const data = Float32Array.from({ length: 5000 }, next);
      expect(F.sort(tensor(data)).values.data()).toEqual(data.slice().sort());
    });
  });

  test("scalars, empty dimensions, errors", () => {
    scope(() => {
      expect(F.sort(tensor(3)).values.toArray()).toBe(3);
      expect(F.topk(tensor(3), 1).indices.toArray()).toBe(0);
      expect(F.sort(zeros([2, 0])).values.shape).toEqual([2, 0]);
      expect(F.sort(zeros([0, 2])).indices.shape).toEqual([0, 2]);
      expect(F.topk(zeros([2, 3]), 0).values.shape).toEqual([2, 0]);
      expect(() => F.topk(zeros([2, 3]), 4)).toThrow("topk: k must be a whole number from 0 to 3, got 4");
      expect(() => F.sort(zeros([2]), { dim: 1 })).toThrow("sort: dim must be from -1 to 0, got 1");
      expect(() => F.sort(zeros([2]), { ascending: true } as object)).toThrow(
        "sort: options must be dim, descending, got ascending",
      );
      expect(() => F.topk(tensor(Int32Array.of(1)), 1)).toThrow('topk: the operand must be "float32", got "int32"');
    });
  });
});
