import { describe, expect, test } from "vitest";
import { F, ones, scope, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd, replaced } from "../support/reference.js";

describe("cumsum", () => {
  for (const n of [0, 1, 3, 4, 5, 7, 16, 17]) {
    test(`${n} elements along the first and the last dimension`, () => {
      const summed = (x: Nd, d: number) =>
        build(x.shape, (index) => {
          let total = 0;
          for (let j = 0; j <= index[d]; j++) total += at(x, replaced(index, d, j));
          return total;
        });
      checkOp({ op: (x) => F.cumsum(x, { dim: 0 }), reference: (x) => summed(x, 0), shapes: [[[n]], [[n, 3]]] });
      checkOp({ op: (x) => F.cumsum(x, { dim: -1 }), reference: (x) => summed(x, 1), shapes: [[[3, n]]] });
    });
  }

  test("a long sum stays exact, and errors", () => {
    scope(() => {
      expect(F.cumsum(ones([300, 300]).reshape([-1]), { dim: 0 }).data()[89_999]).toBe(90_000);
      expect(F.cumsum(tensor([16777216, 1, 1]), { dim: 0 }).toArray()).toEqual([16777216, 16777216, 16777218]);
      expect(() => F.cumsum(zeros([2]), { dim: 1 })).toThrow("cumsum: dim must be from -1 to 0, got 1");
      expect(() => F.cumsum(zeros([2]), {} as { dim: number })).toThrow(
        "cumsum: dim must be from -1 to 0, got undefined",
      );
    });
  });
});
