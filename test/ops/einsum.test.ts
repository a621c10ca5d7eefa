import { describe, expect, test } from "vitest";
import { F, scope, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, matmul, transpose } from "../support/reference.js";

describe("einsum", () => {
  for (const n of [0, 1, 3, 4, 5, 7, 16, 17]) {
    test(`a matrix product over ${n}`, () => {
      checkOp({
        op: (a, b) => F.einsum("ij,kj->ki", a, b),
        reference: (a, b) => matmul(b, transpose(a)),
        shapes: [
          [
            [2, n],
            [3, n],
          ],
        ],
      });
    });
  }

  test("diagonals", () => {
    checkOp({
      op: (x) => F.einsum("iji->ji", x),
      reference: (x) => build([2, 3], ([j, i]) => at(x, [i, j, i])),
      shapes: [[[3, 2, 3]]],
    });
  });

  test("what PyTorch's golden cases leave: empty results, the same operand twice", () => {
    scope(() => {
      expect(F.einsum("ij,jk->ik", zeros([2, 0]), zeros([0, 3])).toArray()).toEqual([
        [0, 0, 0],
        [0, 0, 0],
      ]);
      expect(F.einsum("ij->i", zeros([0, 3])).shape).toEqual([0]);
      const x = tensor([1, 2, 3], { requiresGrad: true });
      F.einsum("i,i->", x, x).backward();
      expect(x.grad?.toArray()).toEqual([2, 4, 6]);
      const y = F.einsum("i->i", x);
      y.dispose();
      expect(x.toArray()).toEqual([1, 2, 3]);
    });
  });

  test("errors", () => {
    scope(() => {
      const x = zeros([2, 3]);
      expect(() => F.einsum("ij->->i", x)).toThrow('einsum: the spec must be letters like "ij,jk->ik", got "ij->->i"');
      expect(() => F.einsum("i1", x)).toThrow('einsum: the spec must be letters like "ij,jk->ik", got "i1"');
      expect(() => F.einsum("ij,jk", x)).toThrow('einsum: "ij,jk" must be given 2 operands, got 1');
      expect(() => F.einsum("ijk", x)).toThrow('einsum: operand 0 of "ijk" must have 3 dimensions, got [2, 3]');
      expect(() => F.einsum("ijk...", x)).toThrow(
        'einsum: operand 0 of "ijk..." must have 3 dimensions or more, got [2, 3]',
      );
      expect(() => F.einsum("ij,jk->ik", x, x)).toThrow(
        'einsum: extents of one index must agree, got 3 and 2 for "j" in "ij,jk->ik" with [2, 3], [2, 3]',
      );
      expect(() => F.einsum("ii", zeros([1, 3]))).toThrow(
        'einsum: extents of one index must agree, got 1 and 3 for "i"',
      );
      expect(() => F.einsum("ij->ik", x)).toThrow(
        `einsum: the result's indices must differ and occur in an operand, got "k" in "ij->ik"`,
      );
      expect(() => F.einsum("ij->ii", x)).toThrow('got "i" in "ij->ii"');
      expect(() => F.einsum("i", tensor(Int32Array.of(1)))).toThrow('einsum: operands must be "float32", got "int32"');
    });
  });
});

describe("outer", () => {
  test("all products of two vectors", () => {
    for (const n of [1, 3, 4, 5, 7, 16, 17]) {
      checkOp({
        op: F.outer,
        reference: (a, b) => build([3, n], ([i, j]) => a.data[i] * b.data[j]),
        shapes: [[[3], [n]]],
      });
    }
    scope(() =>
      expect(() => F.outer(zeros([2, 3]), zeros([2]))).toThrow(
        "outer: operands must have one dimension, got [2, 3] and [2]",
      ),
    );
  });
});
