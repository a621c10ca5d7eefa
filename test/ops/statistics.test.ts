import { describe, expect, test } from "vitest";
import { F, scope, tensor, zeros } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { map, type Nd, random } from "../support/reference.js";

const tails = [1, 3, 4, 5, 7, 16, 17].map((n) => [[n]]);
const scalar = (value: number): Nd => ({ shape: [], data: Float64Array.of(value) });

describe("variance and std", () => {
  test("a mean of 1000 loses nothing of a unit variance", () => {
    scope(() => {
      const next = random(1, -1.7, 1.7);
      const data = Float32Array.from({ length: 10_000 }, () => 1000 + next());
      const mean = data.reduce((sum, v) => sum + v, 0) / data.length;
      const expected = data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (data.length - 1);
      const relative = { absolute: 0, relative: 1e-7 };
      expectClose([F.variance(tensor(data)).item()], [expected], relative);
      expectClose([F.std(tensor(data)).item()], [Math.sqrt(expected)], relative);
    });
  });

  test("too few elements give NaN", () => {
    scope(() => {
      expect(F.variance(zeros([2, 1]), { dim: 1 }).toArray()).toEqual([Number.NaN, Number.NaN]);
      expect(F.std(zeros([2, 0]), { dim: 1, correction: 0 }).toArray()).toEqual([Number.NaN, Number.NaN]);
      expect(F.variance(zeros([0, 2]), { dim: 1 }).shape).toEqual([0]);
      expect(() => F.variance(zeros([2]), { correction: Number.NaN })).toThrow(
        "variance: correction must be a finite number, got NaN",
      );
    });
  });
});

describe("norm", () => {
  for (const p of [1, 1.5, 2, 3, Infinity, -Infinity]) {
    test(`p = ${p}`, () => {
      checkOp({
        op: (x) => F.norm(x, { p }),
        reference: (x: Nd) => {
          const sizes = [...map(x, Math.abs).data];
          if (p === Infinity) return scalar(Math.max(...sizes));
          if (p === -Infinity) return scalar(Math.min(...sizes));
          return scalar(sizes.reduce((sum, v) => sum + v ** p, 0) ** (1 / p));
        },
        shapes: tails,
      });
    });
  }

  test("large numbers do not overflow on the way, empty ones are 0, NaN is an error", () => {
    scope(() => {
      expectClose([F.norm(tensor([3e30, 4e30])).item()], [5e30]);
      expect(F.norm(zeros([2, 0]), { dim: 1 }).toArray()).toEqual([0, 0]);
      expect(() => F.norm(zeros([2]), { p: Number.NaN })).toThrow("norm: p must be a number, got NaN");
    });
  });
});

describe("logsumexp", () => {
  test("does not overflow, -Infinity of nothing", () => {
    scope(() => {
      expectClose([F.logsumexp(tensor([1e4, 1e4])).item()], [1e4 + Math.log(2)]);
      expectClose([F.logsumexp(tensor([-1e4, -Infinity])).item()], [-1e4]);
      expect(F.logsumexp(zeros([2, 0]), { dim: 1 }).toArray()).toEqual([-Infinity, -Infinity]);
    });
  });
});
