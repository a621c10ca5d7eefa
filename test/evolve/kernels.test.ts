import { describe, expect, test } from "vitest";
import { kernels } from "../../src/wasm/kernels.js";
import { allocate, offsetBy, type Ptr, release, uint8View } from "../../src/wasm/memory.js";
import { random } from "../support/reference.js";

const KEY = [11, 22] as const;
const BLOCK = 256;
const CROSSOVER = 2;
const MUTATION = 3;

/** Philox4x32-10 of one counter, with whole numbers of any size. Salmon et al. 2011 */
function philox(key: readonly number[], counter: readonly number[]): number[] {
  const mask = 0xffffffffn;
  let [a, b, c, d] = counter.map((word) => BigInt(word >>> 0));
  let [k0, k1] = key.map(BigInt);
  for (let round = 0; round < 10; round++) {
    const [p, q] = [a * 0xd2511f53n, c * 0xcd9e8d57n];
    [a, b, c, d] = [(q >> 32n) ^ b ^ k0, q & mask, (p >> 32n) ^ d ^ k1, p & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [a, b, c, d].map(Number);
}

/** The sixteen words of four counters in a row. */
function sixteen(counter: bigint, draw: number, stream: number): number[] {
  return [0n, 1n, 2n, 3n].flatMap((i) => philox(KEY, [...words(counter + i), draw, stream]));
}

function words(counter: bigint): readonly [number, number] {
  return [Number(counter & 0xffffffffn), Number(counter >> 32n)];
}

/** The two codes of each byte. */
function nibbles(bytes: Uint8Array): number[] {
  return [...bytes].flatMap((byte) => [byte & 15, byte >> 4]);
}

/** Bit i of a block's random words chooses code i, the lower of each byte first. */
function crossoverReference(a: Uint8Array, b: Uint8Array, counter: bigint): Uint8Array {
  const others = nibbles(b);
  const blocks = Array.from({ length: Math.ceil(a.length / BLOCK) }, (_, k) =>
    sixteen(counter + 4n * BigInt(k), 0, CROSSOVER),
  );
  const codes = nibbles(a).map((code, i) => {
    const bit = i % (2 * BLOCK);
    const word = blocks[Math.floor(i / (2 * BLOCK))][Math.floor(bit / 32)];
    return (word >>> (bit % 32)) & 1 ? code : others[i];
  });
  return a.map((_, i) => codes[2 * i] | (codes[2 * i + 1] << 4));
}

function mutationReference(codes: Uint8Array, counter: bigint, rate: number): Uint8Array {
  const result = codes.slice();
  for (let start = 0; start < codes.length; start += BLOCK) {
    const bits = 8 * Math.min(BLOCK, codes.length - start);
    const block = counter + 4n * BigInt(start / BLOCK);
    let drawn: number[] = [];
    let bit = -1;
    for (let i = 0; ; i++) {
      if (i % 16 === 0) drawn = sixteen(block, i / 16, MUTATION);
      bit += 1 + Math.floor(Math.log((drawn[i % 16] + 0.5) / 2 ** 32) / Math.log1p(-rate));
      if (bit >= bits) break;
      result[start + (bit >> 3)] ^= 1 << (bit & 7);
    }
  }
  return result;
}

function bytes(n: number, seed: number): Uint8Array {
  const next = random(seed, 0, 256);
  return Uint8Array.from({ length: n }, () => Math.floor(next()));
}

/** Lets `use` work on copies of `rows` and 64 bytes of scratch; returns what the first row is then. */
function withRows(rows: readonly Uint8Array[], use: (rows: Ptr[], scratch: Ptr) => void): Uint8Array {
  const n = rows[0].length;
  const total = n * rows.length + 64;
  const ptr = allocate(total);
  const at = rows.map((row, i) => {
    uint8View(offsetBy(ptr, i * n), n).set(row);
    return offsetBy(ptr, i * n);
  });
  use(at, offsetBy(ptr, n * rows.length));
  const result = uint8View(ptr, n).slice();
  release(ptr, total);
  return result;
}

function crossover(a: Uint8Array, b: Uint8Array, counter: bigint): Uint8Array {
  return withRows([new Uint8Array(a.length), a, b], ([child, x, y], scratch) =>
    kernels.crossover(child, x, y, scratch, a.length, ...KEY, ...words(counter)),
  );
}

function mutate(codes: Uint8Array, counter: bigint, rate: number): Uint8Array {
  return withRows([codes], ([row], scratch) =>
    kernels.mutate(row, scratch, codes.length, ...KEY, ...words(counter), rate),
  );
}

const lengths = [16, 32, 240, 256, 272, 528];
const counter = 0xffff_fffen; // carries into the second word

/** Four standard errors of a share p of n. */
function tolerance(p: number, n: number): number {
  return 4 * Math.sqrt((p * (1 - p)) / n);
}

function bitsSet(codes: Uint8Array): number {
  return codes.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}

describe("crossover", () => {
  test("takes every code from one parent or the other, as the reference does", () => {
    for (const n of lengths) {
      const [a, b] = [bytes(n, 1), bytes(n, 2)];
      expect(crossover(a, b, counter), `${n} bytes`).toEqual(crossoverReference(a, b, counter));
    }
  });

  test("the coin is fair for each code, and the two codes of a byte are tossed for apart", () => {
    const n = 1 << 16;
    const child = crossover(new Uint8Array(n).fill(0xff), new Uint8Array(n), 0n);
    const codes = nibbles(child);
    expect(new Set(codes)).toEqual(new Set([0, 15]));
    const low = codes.filter((code, i) => i % 2 === 0 && code === 15).length / n;
    const high = codes.filter((code, i) => i % 2 === 1 && code === 15).length / n;
    const both = child.filter((byte) => byte === 0xff).length / n;
    expect(Math.abs(low - 0.5)).toBeLessThan(tolerance(0.5, n));
    expect(Math.abs(high - 0.5)).toBeLessThan(tolerance(0.5, n));
    expect(Math.abs(both - 0.25)).toBeLessThan(tolerance(0.25, n));
  });

  test("exchanged parents give the twin", () => {
    const [a, b] = [bytes(512, 1), bytes(512, 2)];
    const [child, twin] = [crossover(a, b, 5n), crossover(b, a, 5n)];
    expect(child.map((byte, i) => byte ^ twin[i])).toEqual(a.map((byte, i) => byte ^ b[i]));
  });

  test("a part of a row is what it is in the whole row", () => {
    const [a, b] = [bytes(1024, 1), bytes(1024, 2)];
    const part = crossover(a.subarray(256, 768), b.subarray(256, 768), 9n + 4n);
    expect(crossover(a, b, 9n).subarray(256, 768)).toEqual(part);
  });
});

describe("mutation", () => {
  test("flips the bits that the reference flips", () => {
    for (const n of lengths)
      for (const rate of [1e-6, 0.001, 0.01, 0.3, 0.9, 1]) {
        const codes = bytes(n, 3);
        expect(mutate(codes, counter, rate), `${n} bytes, rate ${rate}`).toEqual(
          mutationReference(codes, counter, rate),
        );
      }
  });

  test("at rate 0 nothing flips, at rate 1 everything", () => {
    const codes = bytes(512, 3);
    expect(mutate(codes, 0n, 0)).toEqual(codes);
    expect(mutate(codes, 0n, 1)).toEqual(codes.map((byte) => 255 - byte));
  });

  test("every bit flips with the rate's probability, early and late in a block", () => {
    const n = 1 << 17;
    for (const rate of [0.002, 0.01, 0.2]) {
      const flipped = mutate(new Uint8Array(n), 77n, rate);
      expect(Math.abs(bitsSet(flipped) / (8 * n) - rate)).toBeLessThan(tolerance(rate, 8 * n));
      for (const half of [0, 1]) {
        const part = flipped.filter((_, i) => Math.floor((i % BLOCK) / 128) === half);
        expect(Math.abs(bitsSet(part) / (4 * n) - rate)).toBeLessThan(tolerance(rate, 4 * n));
      }
    }
  });

  test("neighbours flip independently", () => {
    const n = 1 << 16;
    const rate = 0.3;
    const flipped = mutate(new Uint8Array(n), 3n, rate);
    const pairs = flipped.filter((byte) => (byte & 3) === 3).length / n;
    expect(Math.abs(pairs - rate * rate)).toBeLessThan(tolerance(rate * rate, n));
  });

  test("a part of a row is what it is in the whole row", () => {
    const codes = bytes(1024, 4);
    const part = mutate(codes.subarray(256, 768), 9n + 4n, 0.05);
    expect(mutate(codes, 9n, 0.05).subarray(256, 768)).toEqual(part);
  });
});
