import { describe, expect, test } from "vitest";
import { F, manualSeed, memoryStats, ones, scope, tensor } from "../../src/index.js";

describe("dropout", () => {
  test("keeps a share of 1 − p, scaled so that the mean stays", () => {
    for (const p of [0.1, 0.5, 0.9]) {
      scope(() => {
        manualSeed(1);
        const y = F.dropout(ones([100_000]), { p }).data();
        const kept = y.filter((v) => v !== 0);
        expect(new Set(kept)).toEqual(new Set([Math.fround(1 / (1 - p))]));
        // Four standard errors of a share: √(p(1 − p) / n).
        expect(Math.abs(kept.length / y.length - (1 - p))).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / y.length));
      });
    }
  });

  test("backward draws the same mask, also for views and odd sizes", () => {
    for (const n of [1, 3, 4, 5, 7, 16, 17]) {
      scope(() => {
        const leaf = tensor(new Float32Array(2 * n).fill(3), { shape: [n, 2], requiresGrad: true });
        const y = F.dropout(F.transpose(leaf, 0, 1), { p: 0.4 });
        y.backward(ones([2, n]));
        const expected = F.transpose(y, 0, 1).data();
        expect([...(leaf.grad?.data() ?? [])]).toEqual([...expected].map((v) => (v === 0 ? 0 : Math.fround(1 / 0.6))));
      });
    }
  });

  test("each call draws anew, a seed repeats it", () => {
    scope(() => {
      const x = ones([64]);
      manualSeed(5);
      const first = F.dropout(x).toArray();
      expect(F.dropout(x).toArray()).not.toEqual(first);
      manualSeed(5);
      expect(F.dropout(x).toArray()).toEqual(first);
    });
  });

  test("without training, or with p = 0, it returns its input and draws nothing", () => {
    scope(() => {
      const x = ones([4]);
      manualSeed(5);
      const first = F.dropout(x).toArray();
      manualSeed(5);
      expect(F.dropout(x, { training: false })).toBe(x);
      expect(F.dropout(x, { p: 0 })).toBe(x);
      expect(F.dropout(x).toArray()).toEqual(first);
    });
  });

  test("p = 1 gives zeros, and a zero gradient", () => {
    scope(() => {
      const x = tensor([1, -2, 3], { requiresGrad: true });
      const y = F.dropout(x, { p: 1 });
      y.backward(ones([3]));
      expect([...y.data()].map(Math.abs)).toEqual([0, 0, 0]);
      expect(x.grad?.toArray()).toEqual([0, 0, 0]);
    });
  });

  test("the mask is not kept", () => {
    scope(() => {
      const x = tensor(new Float32Array(1024), { requiresGrad: true });
      const before = memoryStats().liveBytes;
      F.dropout(x);
      expect(memoryStats().liveBytes - before).toBe(4096);
    });
  });

  test("p outside [0, 1] is an error", () => {
    for (const p of [-0.1, 1.5, Number.NaN])
      expect(() => scope(() => F.dropout(ones([1]), { p }))).toThrow(`dropout: p must be from 0 to 1, got ${p}`);
  });
});

describe("stochasticDepth", () => {
  test("drops whole rows, or the batch, and scales what stays", () =>
    scope(() => {
      manualSeed(1);
      const x = ones([1000, 2, 3]).requiresGrad_();
      const y = F.stochasticDepth(x, { p: 0.25 });
      const rows = y.reshape([1000, 6]).toArray() as number[][];
      expect(rows.every((row) => row.every((v) => v === row[0]))).toBe(true);
      expect(new Set(rows.map((row) => row[0]))).toEqual(new Set([0, Math.fround(4 / 3)]));
      // Four standard errors of a share: √(p(1 − p) / n).
      const dropped = rows.filter((row) => row[0] === 0).length / 1000;
      expect(Math.abs(dropped - 0.25)).toBeLessThan(4 * Math.sqrt((0.25 * 0.75) / 1000));
      y.backward(ones(y.shape));
      expect(x.grad?.data()).toEqual(y.data());
      for (let i = 0; i < 10; i++) {
        const batch = F.stochasticDepth(x, { p: 0.5, mode: "batch" }).data();
        expect([0, 2]).toContain(batch[0]);
        expect(batch.every((v) => v === batch[0])).toBe(true);
      }
    }));

  test("is the identity without training and at p = 0, zero at p = 1", () =>
    scope(() => {
      const x = tensor([[1, 2]]);
      expect(F.stochasticDepth(x, { p: 0.5, training: false })).toBe(x);
      expect(F.stochasticDepth(x, { p: 0 })).toBe(x);
      expect(F.stochasticDepth(x, { p: 1 }).toArray()).toEqual([[0, 0]]);
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = tensor([[1, 2]]);
      expect(() => F.stochasticDepth(x, { p: 1.5 })).toThrow("stochasticDepth: p must be from 0 to 1, got 1.5");
      expect(() => F.stochasticDepth(x, { p: 0.5, mode: "col" as "row" })).toThrow(
        'mode must be "row" or "batch", got "col"',
      );
      expect(() => F.stochasticDepth(x, { p: 0.5, mod: 1 } as { p: number })).toThrow("got mod");
    }));
});
