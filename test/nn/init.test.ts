import { describe, expect, test } from "vitest";
import { F, getRngState, manualSeed, nn, scope, setRngState, zeros } from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";

/** The tests of other files don't notice that a seed was set. */
function seeded(run: () => void): void {
  const state = getRngState();
  manualSeed(3);
  try {
    scope(run);
  } finally {
    setRngState(state);
  }
}

describe("nn.init", () => {
  test("truncNormal_ has the truncated distribution's mean, deviation and shares", () =>
    seeded(() => {
      const x = nn.init.truncNormal_(zeros([200_000]), 0, 1, -2, 2).data();
      const mean = x.reduce((s, v) => s + v, 0) / x.length;
      const deviation = Math.sqrt(x.reduce((s, v) => s + (v - mean) ** 2, 0) / x.length);
      // Five standard errors of the mean, and of the shares below.
      expectClose([mean, deviation], [0, 0.8796], { absolute: 0.01 });
      const share = (bound: number) => x.filter((v) => v < bound).length / x.length;
      // (Φ(v) − Φ(−2)) / (Φ(2) − Φ(−2))
      expectClose([-1.5, -1, 0, 0.5, 1.8].map(share), [0.04616, 0.14238, 0.5, 0.70061, 0.98619], { absolute: 0.006 });
      expect(Math.max(...x.slice(0, 50_000))).toBeLessThanOrEqual(2);
    }));

  test("truncNormal_ far from the mean, and with a scale", () =>
    seeded(() => {
      const far = nn.init.truncNormal_(zeros([1000]), 0, 1, -9, -3).data();
      expect(far.every((v) => v >= -9 && v <= -3)).toBe(true);
      expect(far.reduce((s, v) => s + v, 0) / far.length).toBeCloseTo(-3.283, 1);
      const scaled = nn.init.truncNormal_(zeros([10, 100]), 5, 0.1, 4.9, 5.3).data();
      expect(scaled.every((v) => v >= Math.fround(4.9) && v <= Math.fround(5.3))).toBe(true);
    }));

  test("orthogonal_: the fewer of rows and columns are orthonormal, times the gain", () =>
    seeded(() => {
      for (const shape of [
        [5, 5],
        [3, 8],
        [9, 4],
        [4, 3, 2, 2],
      ]) {
        const q = F.reshape(nn.init.orthogonal_(zeros(shape), 2), [shape[0], -1]);
        const [rows, cols] = q.shape;
        const product = rows <= cols ? F.matmul(q, F.transpose(q, 0, 1)) : F.matmul(F.transpose(q, 0, 1), q);
        const n = Math.min(rows, cols);
        const expected = Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 4 : 0));
        expectClose(product.data(), expected, { absolute: 1e-5 }, `${shape}`);
      }
      expect(nn.init.orthogonal_(zeros([0, 3])).shape).toEqual([0, 3]);
    }));

  test("parameters are initialized in place, and keep their gradient's wish", () =>
    seeded(() => {
      const layer = new nn.Linear(6, 4);
      const { weight } = layer;
      expect(nn.init.orthogonal_(weight)).toBe(weight);
      expect(nn.init.truncNormal_(weight, 0, 0.02)).toBe(weight);
      expect(weight.requiresGrad && weight.isLeaf).toBe(true);
      expect(Math.max(...weight.data().map(Math.abs))).toBeLessThan(0.2);
      layer.dispose();
    }));

  test("wrong arguments are errors", () =>
    scope(() => {
      expect(() => nn.init.truncNormal_(zeros([2]), 0, 0)).toThrow("truncNormal_: std must be above 0, got 0");
      expect(() => nn.init.truncNormal_(zeros([2]), 0, 1, 2, 1)).toThrow(
        "truncNormal_: a must be below b, got 2 and 1",
      );
      expect(() => nn.init.orthogonal_(zeros([2]))).toThrow(
        "orthogonal_: the tensor must have two dimensions or more, got [2]",
      );
    }));
});
