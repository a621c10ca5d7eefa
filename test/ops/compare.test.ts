import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { map, type Nd, zip } from "../support/reference.js";

const comparisons: Record<string, [op: typeof F.eq, holds: (a: number, b: number) => boolean]> = {
  eq: [F.eq, (a, b) => a === b],
  ne: [F.ne, (a, b) => a !== b],
  gt: [F.gt, (a, b) => a > b],
  ge: [F.ge, (a, b) => a >= b],
  lt: [F.lt, (a, b) => a < b],
  le: [F.le, (a, b) => a <= b],
};
const same = [[], [1], [3], [4], [5], [7], [16], [17], [3, 5], [0, 3], [2, 3, 4]].map((shape) => [shape, shape]);
const broadcast = [
  [[5], []],
  [[], [7]],
  [[3, 5], [5]],
  [[2, 3, 1], [7]],
  [
    [3, 1],
    [1, 6],
  ],
];

describe("comparisons", () => {
  for (const [name, [compare, holds]] of Object.entries(comparisons)) {
    const f = (a: number, b: number) => Number(holds(a, b));

    test(`${name}, of floats rounded to halves`, () => {
      const op = (a: Tensor, b: Tensor) => compare(F.round(F.mul(a, 2)), F.round(F.mul(b, 2)));
      const half = (x: Nd) => map(x, (v) => Math.round(2 * v));
      const reference = (a: Nd, b: Nd) => zip(half(a), half(b), f);
      checkOp({ op, reference, shapes: [...same, ...broadcast], gradient: false });
    });

    test(`${name} of int32, of bool and of a number`, () => {
      scope(() => {
        const a = Int32Array.from([-2147483648, -1, 0, 1, 2147483647, 16777217]);
        const b = Int32Array.from([2147483647, -1, 1, 0, 2147483647, 16777216]);
        expect([...compare(tensor(a), tensor(b)).data()]).toEqual([...a].map((v, i) => f(v, b[i])));
        expect([...compare(tensor(a), 16777216).data()]).toEqual([...a].map((v) => f(v, 16777216)));
        expect([...compare(tensor(a), 0.5).data()]).toEqual([...a].map((v) => f(v, 0.5)));
        expect([...compare(tensor([true, false]), tensor([1, 1])).data()]).toEqual([f(1, 1), f(0, 1)]);
        expect(compare(tensor([1, 2, NaN]), 2).toArray()).toEqual([1, 2, NaN].map((v) => holds(v, 2)));
      });
    });
  }

  test("give bool, without history", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const y = x.gt(1);
      expect([y.dtype, y.requiresGrad]).toEqual(["bool", false]);
      expect(() => F.lt(x, tensor([1, 2, 3]))).toThrow("lt: shapes must broadcast together, got [2] and [3]");
    });
  });
});

describe("tests of elements", () => {
  test("isnan and isfinite", () => {
    scope(() => {
      const x = tensor([0, NaN, Infinity, -Infinity, 3e38]);
      expect(F.isnan(x).toArray()).toEqual([false, true, false, false, false]);
      expect(F.isfinite(x).toArray()).toEqual([true, false, false, false, true]);
      expect(F.isnan(tensor([1], { dtype: "int32" })).toArray()).toEqual([false]);
      expect(F.isfinite(tensor([true])).toArray()).toEqual([true]);
    });
  });

  test("any and all, of everything or along a dim; of nothing, any is false and all is true", () => {
    scope(() => {
      const x = tensor([
        [0, 1, NaN],
        [0, 0, 2],
      ]);
      expect([F.any(x).toArray(), F.all(x).toArray()]).toEqual([true, false]);
      expect(F.any(x, { dim: 0 }).toArray()).toEqual([false, true, true]);
      expect(F.all(x, { dim: 0 }).toArray()).toEqual([false, false, true]);
      expect(F.any(x.gt(1), { dim: 1, keepdim: true }).toArray()).toEqual([[false], [true]]);
      expect([F.any(zeros([0])).toArray(), F.all(zeros([0])).toArray()]).toEqual([false, true]);
      expect(F.all(tensor([1, 2], { dtype: "int32" })).toArray()).toBe(true);
      expect(() => F.any(x, { dims: 0 } as object)).toThrow("any: options must be dim, keepdim, got dims");
    });
  });

  test("allclose has PyTorch's tolerance, and its rule for infinities and NaN", () => {
    scope(() => {
      expect(F.allclose(tensor([1, 1e-9]), tensor([1.000005, 0]))).toBe(true);
      expect(F.allclose(tensor([1]), tensor([1.0001]))).toBe(false);
      expect(F.allclose(tensor([1]), tensor([1.0001]), { rtol: 1e-3 })).toBe(true);
      expect(F.allclose(tensor([1, 1.5]), tensor([1]), { atol: 0.5 })).toBe(true);
      expect(F.allclose(tensor([Infinity]), tensor([Infinity]))).toBe(true);
      expect(F.allclose(tensor([1]), tensor([Infinity]))).toBe(false);
      expect(F.allclose(tensor([NaN]), tensor([NaN]))).toBe(false);
      expect(F.allclose(tensor([3], { dtype: "int32" }), tensor([3]))).toBe(true);
      expect(() => F.allclose(tensor([1]), tensor([1]), { tol: 1 } as object)).toThrow("options must be atol, rtol");
    });
  });
});
