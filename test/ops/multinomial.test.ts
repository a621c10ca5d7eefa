import { describe, expect, test } from "vitest";
import { F, getRngState, manualSeed, scope, setRngState, tensor, zeros } from "../../src/index.js";

/** Leaves the generator as it was. */
function seeded(seed: number, fn: () => void): void {
  const state = getRngState();
  manualSeed(seed);
  try {
    scope(fn);
  } finally {
    setRngState(state);
  }
}

describe("multinomial", () => {
  test("draws in proportion to the weights, the same for the same seed", () => {
    seeded(1, () => {
      const p = tensor([1, 0, 3, 4]);
      const y = F.multinomial(p, 20_000, { replacement: true });
      expect([y.dtype, y.shape]).toEqual(["int32", [20_000]]);
      const counts = [0, 0, 0, 0];
      for (const c of y.data()) counts[c]++;
      // Four standard errors: 4·√(20,000 · ¼) = 283 at most.
      [1 / 8, 0, 3 / 8, 4 / 8].forEach((share, c) => {
        expect(Math.abs(counts[c] - share * 20_000)).toBeLessThan(283);
      });
      expect(counts[1]).toBe(0);
      manualSeed(1);
      expect(F.multinomial(p, 20_000, { replacement: true }).data()).toEqual(y.data());
    });
  });

  test("without replacement no index comes twice, and rows are apart", () => {
    seeded(2, () => {
      const y = F.multinomial(
        tensor([
          [1, 2, 3, 0],
          [0, 5, 1, 1e-3],
        ]),
        3,
      );
      const [first, second] = y.toArray() as number[][];
      expect(first.sort()).toEqual([0, 1, 2]);
      expect(second.sort()).toEqual([1, 2, 3]);
      expect(F.multinomial(zeros([0, 3]), 2).shape).toEqual([0, 2]);
    });
  });

  test("the first of several draws is in proportion too", () => {
    seeded(3, () => {
      const rows = 8000;
      const y = F.multinomial(F.expand(tensor([1, 3]), [rows, 2]), 2);
      const ones = F.narrow(y, 1, 0, 1)
        .data()
        .reduce((sum, c) => sum + c, 0);
      expect(Math.abs(ones - (3 / 4) * rows)).toBeLessThan(4 * Math.sqrt(rows * 0.75 * 0.25));
    });
  });

  test("errors", () => {
    scope(() => {
      expect(() => F.multinomial(tensor([1, -1]), 1)).toThrow(
        "multinomial: p must be finite and 0 or more, got -1 at 1 of row 0",
      );
      expect(() => F.multinomial(tensor([[1], [Number.NaN]]), 1)).toThrow("got NaN at 0 of row 1");
      expect(() => F.multinomial(tensor([1, 0]), 2)).toThrow(
        "multinomial: a row must have 2 weights above 0 (or replacement: true), got 1 in row 0",
      );
      expect(() => F.multinomial(tensor([0, 0]), 1)).toThrow("multinomial: a row must have 1 weights above 0, got 0");
      expect(() => F.multinomial(tensor([1]), 0)).toThrow("multinomial: n must be a whole number from 1, got 0");
      expect(() => F.multinomial(zeros([]), 1)).toThrow("multinomial: p must have one or two dimensions, got []");
      expect(() => F.multinomial(tensor([1]), 1, { replace: true } as object)).toThrow(
        "multinomial: options must be replacement, got replace",
      );
    });
  });
});
