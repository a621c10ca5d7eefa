import { describe, expect, test } from "vitest";
import {
  arange,
  eye,
  linspace,
  manualSeed,
  onesLike,
  rand,
  randint,
  randn,
  randnLike,
  scope,
  type Tensor,
  tensor,
  zerosLike,
} from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";

/** Mean of the k-th powers. */
function moment(x: Tensor, k: number): number {
  return [...x.data()].reduce((sum, v) => sum + v ** k, 0) / x.size;
}

describe("creation", () => {
  test("zerosLike and onesLike keep shape and dtype", () => {
    scope(() => {
      const x = tensor(new Int32Array([1, 2]), { shape: [1, 2] });
      expect([zerosLike(x).toArray(), zerosLike(x).dtype]).toEqual([[[0, 0]], "int32"]);
      expect([onesLike(x).toArray(), onesLike(x).dtype]).toEqual([[[1, 1]], "int32"]);
    });
  });

  test("eye, arange, linspace", () => {
    scope(() => {
      expect(eye(3).toArray()).toEqual([
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ]);
      expect(arange(2, 8, 3).toArray()).toEqual([2, 5]);
      expect(arange(3, 0, -1).toArray()).toEqual([3, 2, 1]);
      expect([arange(0, 2).dtype, arange(0, 1, 0.5).dtype]).toEqual(["int32", "float32"]);
      expect(arange(0, 1, 0.25).toArray()).toEqual([0, 0.25, 0.5, 0.75]);
      expect(arange(4, 4).shape).toEqual([0]);
      expect(() => arange(0, 1, -1)).toThrow("arange: step must lead from start to end, got 0 to 1 by -1");
      expect(linspace(-1, 1, 5).toArray()).toEqual([-1, -0.5, 0, 0.5, 1]);
      expect(linspace(3, 9, 1).toArray()).toEqual([3]);
      expect(linspace(0, 1, 0).shape).toEqual([0]);
    });
  });

  test("rand is uniform in [0, 1)", () => {
    scope(() => {
      manualSeed(1);
      const x = rand([100_000]);
      expect(x.data().every((v) => v >= 0 && v < 1)).toBe(true);
      // Three standard errors of the mean of xᵏ, k = 1, 2, are below 0.003.
      expectClose([moment(x, 1), moment(x, 2)], [1 / 2, 1 / 3], { absolute: 0.003 });
    });
  });

  test("randn has the moments of N(0, 1)", () => {
    scope(() => {
      manualSeed(2);
      const x = randn([200_001]);
      // Four standard errors: √(k-th central variance / n).
      expectClose([moment(x, 1)], [0], { absolute: 4 * Math.sqrt(1 / x.size) });
      expectClose([moment(x, 2)], [1], { absolute: 4 * Math.sqrt(2 / x.size) });
      expectClose([moment(x, 3)], [0], { absolute: 4 * Math.sqrt(15 / x.size) });
      expectClose([moment(x, 4)], [3], { absolute: 4 * Math.sqrt(96 / x.size) });
    });
  });

  test("randn is what Box and Muller's formula makes of rand's words", () => {
    scope(() => {
      manualSeed(5);
      const words = randint(0, 2 ** 31 - 1, [64]).data();
      manualSeed(5);
      const x = randn([64]).data();
      for (let i = 0; i < 64; i += 2) {
        // randint keeps 31 of a word's 32 bits, so the angle is known to 3e-9.
        const radius = Math.hypot(x[i], x[i + 1]);
        expectClose([radius], [Math.sqrt(-2 * Math.log((words[i] + 0.5) / 2 ** 31))], { absolute: 1e-5 });
        const angle = (2 * Math.PI * words[i + 1]) / 2 ** 31;
        expectClose([x[i] / radius, x[i + 1] / radius], [Math.cos(angle), Math.sin(angle)], { absolute: 1e-6 });
      }
    });
  });

  test("randint covers its range, both ends", () => {
    scope(() => {
      const x = randint(-2, 3, [1000]);
      expect(x.dtype).toBe("int32");
      expect([...new Set(x.data())].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
      expect(() => randint(3, 3, [1])).toThrow("randint: low must be below high, got 3 and 3");
    });
  });

  test("random tensors may require gradients, and randnLike takes a shape", () => {
    scope(() => {
      expect(randn([2], { requiresGrad: true }).requiresGrad).toBe(true);
      expect(rand([2], { requiresGrad: true }).requiresGrad).toBe(true);
      expect(randnLike(rand([2, 3])).shape).toEqual([2, 3]);
    });
  });
});
