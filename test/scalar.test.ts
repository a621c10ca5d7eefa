import { describe, expect, test } from "vitest";
import { kernels } from "../src/wasm/kernels.js";

describe("float64 scalars", () => {
  const cases: [string, () => number, number][] = [
    ["pow64", () => kernels.pow64(10000, 2 / 64), 10000 ** (2 / 64)],
    ["sin64", () => kernels.sin64(2047.25), Math.sin(2047.25)],
    ["cos64", () => kernels.cos64(2047.25), Math.cos(2047.25)],
  ];
  test.each(cases)("%s is within two ulps of what the engine computes", (_, value, engine) => {
    expect(Math.abs(value() - engine)).toBeLessThanOrEqual(2 ** -51 * Math.abs(engine));
  });

  test("powers of every size are within two ulps, extreme ones within four", () => {
    for (let i = 1; i < 400; i++) {
      const [x, y] = [Math.exp(Math.sin(i) * 9), Math.cos(i * i) * 9];
      const far = Math.abs(y * Math.log(x)) > 40;
      expect(Math.abs(kernels.pow64(x, y) / x ** y - 1)).toBeLessThanOrEqual(far ? 2 ** -50 : 2 ** -51);
    }
  });

  test("angles on both sides of where the quarter turns stop being exact", () => {
    for (const x of [0.1, -3, 1e3, 999999.5, 1000000.5, -1e9, 1e22]) {
      expect(Math.abs(kernels.sin64(x) - Math.sin(x))).toBeLessThanOrEqual(2 ** -51);
      expect(Math.abs(kernels.cos64(x) - Math.cos(x))).toBeLessThanOrEqual(2 ** -51);
    }
    expect([kernels.sin64(-0), kernels.sin64(Infinity), kernels.cos64(NaN)]).toEqual([-0, Number.NaN, Number.NaN]);
  });

  test("powers of zeros, infinities, NaN and negative numbers are C's", () => {
    const values = [0, -0, 1, -1, 2, -2, 3, -0.5, 5e-324, 2 ** 53, Infinity, -Infinity, Number.NaN];
    for (const x of values) {
      for (const y of values) {
        const isOne = x === 1 || (x === -1 && Math.abs(y) === Infinity);
        const wanted = isOne ? 1 : x ** y;
        const got = kernels.pow64(x, y);
        // Engines differ in the last bit of what is neither zero nor infinite.
        if (Math.abs(got / wanted - 1) <= 2 ** -52) continue;
        expect([x, y, got]).toEqual([x, y, wanted]);
      }
    }
    expect([kernels.pow64(2, -1074), kernels.pow64(2, -1076), kernels.pow64(2, 1024)]).toEqual([5e-324, 0, Infinity]);
  });

  test("the last bit is the same on every engine", () => {
    expect(cases.map(([, value]) => value())).toEqual([1.333521432163324, -0.8764360659222028, 0.4815182471628797]);
  });
});
