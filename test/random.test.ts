import { describe, expect, test } from "vitest";
import { getRngState, manualSeed, rand, randn, scope, setRngState } from "../src/index.js";
import { RandomStream } from "../src/random.js";
import { kernels } from "../src/wasm/kernels.js";
import { allocate, int32View, release } from "../src/wasm/memory.js";

function words(n: number, key: [number, number], counter: [number, number, number, number]): string[] {
  const ptr = allocate(4 * n);
  kernels.philox(ptr, n, ...key, ...counter);
  const hex = [...int32View(ptr, n)].map((word) => (word >>> 0).toString(16).padStart(8, "0"));
  release(ptr, 4 * n);
  return hex;
}

describe("random numbers", () => {
  // Random123's kat_vectors, philox4x32 with 10 rounds.
  test("Philox gives the published words", () => {
    const ones = 0xffffffff;
    expect(words(4, [0, 0], [0, 0, 0, 0])).toEqual(["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]);
    expect(words(4, [ones, ones], [ones, ones, ones, ones])).toEqual(["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]);
    expect(words(4, [0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344])).toEqual([
      "d16cfe09",
      "94fdcceb",
      "5001e420",
      "24126ea1",
    ]);
  });

  test("an array is made of consecutive counters, with carry, whatever its length", () => {
    const all = words(40, [5, 6], [0xfffffffe, 7, 0, 0]);
    expect(all.slice(8, 12)).toEqual(words(4, [5, 6], [0, 8, 0, 0]));
    expect(all.slice(16)).toEqual(words(24, [5, 6], [2, 8, 0, 0]));
    for (const n of [1, 3, 4, 5, 7, 15, 16, 17])
      expect(words(n, [5, 6], [0xfffffffe, 7, 0, 0])).toEqual(all.slice(0, n));
  });

  test("a seed gives the same numbers again, another seed others", () => {
    scope(() => {
      manualSeed(3);
      const first = [randn([5]).toArray(), rand([3]).toArray()];
      manualSeed(3);
      expect([randn([5]).toArray(), rand([3]).toArray()]).toEqual(first);
      manualSeed(4);
      expect(randn([5]).toArray()).not.toEqual(first[0]);
      manualSeed(3 + 2 ** 32);
      expect(randn([5]).toArray()).not.toEqual(first[0]);
    });
  });

  test("a state can be kept and restored", () => {
    scope(() => {
      manualSeed(1);
      randn([7]);
      const state = JSON.parse(JSON.stringify(getRngState()));
      const next = randn([9]).toArray();
      setRngState(state);
      expect(randn([9]).toArray()).toEqual(next);
      expect(randn([9]).toArray()).not.toEqual(next);
    });
  });

  test("the host's stream can go on from any position, and is not the tensors'", () => {
    const stream = new RandomStream(9);
    const drawn = Array.from({ length: 600 }, () => stream.next());
    expect(stream.position).toBe(600);
    for (const position of [0, 1, 255, 256, 599]) expect(new RandomStream(9, position).next()).toBe(drawn[position]);
    expect(drawn.every((v) => v >= 0 && v < 1)).toBe(true);
    scope(() => {
      manualSeed(9);
      expect(rand([1]).item()).not.toBeCloseTo(drawn[0], 5);
    });
  });

  test("seeds must be whole numbers", () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53])
      expect(() => manualSeed(seed)).toThrow(/^random: the seed must be/);
  });
});
