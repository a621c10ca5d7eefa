import { describe, expect, test } from "vitest";
import { F, ones, scope, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { build, type Nd } from "../support/reference.js";

const tails = [1, 3, 4, 5, 7, 16, 17];

describe("maskedFill", () => {
  for (const n of tails) {
    test(`rows of ${n}, under masks of their shape and broadcast`, () => {
      const flags = Uint8Array.from({ length: 3 * n }, (_, i) => Number(i % 3 === 0));
      checkOp({
        op: (x) => F.maskedFill(x, tensor(flags, { shape: [3, n], dtype: "bool" }), 2.5),
        reference: (x: Nd) => build(x.shape, ([r, c]) => (flags[r * n + c] ? 2.5 : x.data[r * n + c])),
        shapes: [[[3, n]]],
      });
      checkOp({
        op: (x) => F.maskedFill(x, tensor([[true], [false], [true]]), -1),
        reference: (x: Nd) => build(x.shape, ([r, c]) => (r === 1 ? x.data[r * n + c] : -1)),
        shapes: [[[3, n]]],
      });
    });
  }

  test("replaces NaN, takes infinities and int32", () => {
    scope(() => {
      const x = tensor([Number.NaN, 1], { requiresGrad: true });
      const y = F.maskedFill(x, tensor([true, false]), -Infinity);
      expect(y.toArray()).toEqual([-Infinity, 1]);
      y.backward(tensor([Number.NaN, 2]));
      expect(x.grad?.toArray()).toEqual([0, 2]);
      const labels = F.maskedFill(tensor(Int32Array.of(3, 4)), tensor([false, true]), -100);
      expect([labels.dtype, labels.toArray()]).toEqual(["int32", [3, -100]]);
      expect(F.maskedFill(zeros([0, 2]), tensor([true, false]), 1).shape).toEqual([0, 2]);
    });
  });

  test("errors", () => {
    scope(() => {
      expect(() => F.maskedFill(zeros([2]), zeros([2]), 1)).toThrow(
        'maskedFill: the mask must be "bool", got "float32"',
      );
      expect(() => F.maskedFill(zeros([2]), ones([3, 2], { dtype: "bool" }), 1)).toThrow(
        "maskedFill: the mask must broadcast to the shape of x, got [3, 2] to [2]",
      );
      expect(() => F.maskedFill(tensor([true]), tensor([true]), 1)).toThrow(
        'maskedFill: the operand must be "float32" or "int32", got "bool"',
      );
    });
  });
});

describe("tril and triu", () => {
  for (const diagonal of [0, -1, 2, -20, 20]) {
    test(`diagonal ${diagonal}`, () => {
      const shapes = [...tails.map((n) => [[3, n]]), [[2, 4, 3]], [[0, 3]]];
      const value = (x: Nd, index: number[], keep: (d: number) => boolean) => {
        const [r, c] = index.slice(-2);
        const flat = index.reduce((sum, i, d) => sum * x.shape[d] + i, 0);
        return keep(c - r) ? x.data[flat] : 0;
      };
      checkOp({
        op: (x) => F.tril(x, { diagonal }),
        reference: (x: Nd) => build(x.shape, (index) => value(x, index, (d) => d <= diagonal)),
        shapes,
      });
      checkOp({
        op: (x) => F.triu(x, { diagonal }),
        reference: (x: Nd) => build(x.shape, (index) => value(x, index, (d) => d >= diagonal)),
        shapes,
      });
    });
  }

  test("drops NaN and infinities, keeps the dtype", () => {
    scope(() => {
      expect(F.tril(F.expand(tensor([1, Number.NaN]), [2, 2])).toArray()).toEqual([
        [1, 0],
        [1, Number.NaN],
      ]);
      expect(F.tril(ones([2, 2], { dtype: "bool" })).toArray()).toEqual([
        [true, false],
        [true, true],
      ]);
      expect(F.triu(ones([2, 2], { dtype: "int32" })).dtype).toBe("int32");
      expect(() => F.tril(zeros([3]))).toThrow("tril: the operand must have two dimensions or more, got [3]");
      expect(() => F.triu(zeros([3, 3]), { diagnoal: 1 } as object)).toThrow(
        "triu: options must be diagonal, got diagnoal",
      );
    });
  });
});
