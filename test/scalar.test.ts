import { describe, expect, test } from "vitest";
import { kernels } from "../src/wasm/kernels.js";

describe("float64 scalars", () => {
  const cases: [string, () => number, number][] = [
    ["exp64", () => kernels.exp64(-1.5), Math.exp(-1.5)],
    ["pow64", () => kernels.pow64(10000, 2 / 64), 10000 ** (2 / 64)],
    ["sin64", () => kernels.sin64(2047.25), Math.sin(2047.25)],
    ["cos64", () => kernels.cos64(2047.25), Math.cos(2047.25)],
  ];
  test.each(cases)("%s is within two ulps of what the engine computes", (_, value, engine) => {
    expect(Math.abs(value() - engine)).toBeLessThanOrEqual(2 ** -51 * Math.abs(engine));
  });

  test("the last bit is the same on every engine", () => {
    expect(cases.map(([, value]) => value())).toEqual([
      0.22313016014842982, 1.333521432163324, -0.8764360659222028, 0.4815182471628797,
    ]);
  });
});
