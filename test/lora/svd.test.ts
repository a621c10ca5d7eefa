import { describe, expect, test } from "vitest";
import { productSvd, type Svd, svd } from "../../src/lora/svd.js";
import { random } from "../support/reference.js";

function matrix(rows: number, cols: number, seed: number): Float64Array {
  return Float64Array.from({ length: rows * cols }, random(seed));
}

function product(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  return Float64Array.from({ length: m * n }, (_, i) => {
    let sum = 0;
    for (let p = 0; p < k; p++) sum += a[Math.floor(i / n) * k + p] * b[p * n + (i % n)];
    return sum;
  });
}

function rebuilt({ u, s, vt }: Svd, rows: number, cols: number): Float64Array {
  return product(
    u.map((v, i) => v * s[i % s.length]),
    vt,
    rows,
    s.length,
    cols,
  );
}

function largestDifference(a: Float64Array, b: Float64Array): number {
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);
}

describe("svd", () => {
  test.each([
    [1, 1],
    [5, 5],
    [4, 17],
    [17, 4],
    [16, 33],
  ])("of a matrix %i × %i: orthonormal factors, descending values, the matrix again", (rows, cols) => {
    const m = matrix(rows, cols, rows);
    const k = Math.min(rows, cols);
    const parts = svd(m, rows, cols, k);
    expect(largestDifference(rebuilt(parts, rows, cols), m)).toBeLessThan(1e-13);
    expect([...parts.s]).toEqual([...parts.s].sort((a, b) => b - a));
    const eye = Float64Array.from({ length: k * k }, (_, i) => (i % (k + 1) === 0 ? 1 : 0));
    const ut = Float64Array.from({ length: k * rows }, (_, i) => parts.u[(i % rows) * k + Math.floor(i / rows)]);
    const v = Float64Array.from({ length: cols * k }, (_, i) => parts.vt[(i % k) * cols + Math.floor(i / k)]);
    expect(largestDifference(product(ut, parts.u, k, rows, k), eye)).toBeLessThan(1e-13);
    expect(largestDifference(product(parts.vt, v, k, cols, k), eye)).toBeLessThan(1e-13);
  });

  test("known values, repeated and zero ones", () => {
    expect([...svd(Float64Array.of(3, 0, 0, -4), 2, 2, 2).s]).toEqual([4, 3]);
    expect([...svd(Float64Array.of(2, 0, 0, 2), 2, 2, 1).s]).toEqual([2]);
    expect([...svd(new Float64Array(6), 2, 3, 2).s]).toEqual([0, 0]);
    const rankOne = svd(Float64Array.of(1, 2, 2, 4), 2, 2, 2).s;
    expect(rankOne[0]).toBeCloseTo(5, 12);
    expect(rankOne[1]).toBeLessThan(1e-14);
  });

  test("cut to k values it is the nearest matrix of that rank: the rest is what was left out", () => {
    const m = matrix(6, 9, 1);
    const all = svd(m, 6, 9, 6);
    const cut = svd(m, 6, 9, 2);
    expect([...cut.s]).toEqual([...all.s.slice(0, 2)]);
    const rest = m.map((v, i) => v - rebuilt(cut, 6, 9)[i]);
    const squares = rest.reduce((sum, v) => sum + v * v, 0);
    expect(squares).toBeCloseTo(
      all.s.slice(2).reduce((sum, v) => sum + v * v, 0),
      12,
    );
  });

  test("of a product without forming it", () => {
    for (const [rows, r, cols] of [
      [7, 3, 9],
      [4, 6, 5],
      [5, 2, 1],
    ]) {
      const b = matrix(rows, r, 1);
      const a = matrix(r, cols, 2);
      const whole = product(b, a, rows, r, cols);
      const parts = productSvd(b, a, rows, r, cols, Math.min(rows, cols));
      expect(largestDifference(rebuilt(parts, rows, cols), whole)).toBeLessThan(1e-13);
    }
  });

  test("the largest few of a large matrix are those of all: tall, wide, of low rank, with equal values, zero", () => {
    const low = product(matrix(80, 3, 1), matrix(3, 90, 2), 80, 3, 90);
    const equal = Float64Array.from({ length: 64 * 64 }, (_, i) => (i % 65 === 0 ? 2 : 0));
    const cases: [Float64Array, number, number, number][] = [
      [matrix(100, 140, 3), 100, 140, 5],
      [matrix(130, 70, 4), 130, 70, 8],
      [low, 80, 90, 8],
      [equal, 64, 64, 4],
      [new Float64Array(40 * 50), 40, 50, 2],
    ];
    for (const [m, rows, cols, k] of cases) {
      const all = svd(m, rows, cols, Math.min(rows, cols));
      const few = svd(m, rows, cols, k);
      expect(largestDifference(few.s, all.s.slice(0, k))).toBeLessThan(1e-12 * (all.s[0] + 1));
      // M v = σ u and Mᵀ u = σ v
      const v = Float64Array.from({ length: cols * k }, (_, i) => few.vt[(i % k) * cols + Math.floor(i / k)]);
      const scaled = few.u.map((value, i) => value * few.s[i % k]);
      expect(largestDifference(product(m, v, rows, cols, k), scaled)).toBeLessThan(1e-11);
      const ut = Float64Array.from({ length: k * rows }, (_, i) => few.u[(i % rows) * k + Math.floor(i / rows)]);
      const scaledV = few.vt.map((value, i) => value * few.s[Math.floor(i / cols)]);
      expect(largestDifference(product(ut, m, k, rows, cols), scaledV)).toBeLessThan(1e-11);
    }
  });

  test("a value that is not finite is an error", () => {
    expect(() => svd(Float64Array.of(1, Number.NaN), 1, 2, 1)).toThrow("svd: every value must be finite");
  });
});
