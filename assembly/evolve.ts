/**
 * Children of individuals, whose genomes are rows of packed 4-bit codes; every code is valid, so whatever the bits
 * become is a genome. A row's length is a multiple of 16 bytes. Each 256 bytes of a child have four of Philox's
 * counters to themselves, so that any part of a row can be made on its own: the fourth word of the counter tells
 * crossover from mutation, the third counts a mutation's draws.
 */
import { philox } from "./random";

/** What four counters give, and the bytes whose codes have a bit of theirs each. */
const WORDS: i32 = 16;
const BLOCK: i32 = 256;

/** Beyond every block, and still an i32 when added to a position in one. */
const FAR: f64 = 1073741824;

/** Where no bit flips, ln(1 − rate) is as good as 0. */
const LEAST: f64 = -1e-300;

const CROSSOVER: i32 = 2;
const MUTATION: i32 = 3;

/** child = for every code that of a or b, by the toss of a fair coin. `scratch` holds 64 bytes. */
export function crossover(
  child: usize,
  a: usize,
  b: usize,
  scratch: usize,
  bytes: i32,
  key0: i32,
  key1: i32,
  c0: i32,
  c1: i32,
): void {
  let counter = ((<u64>(<u32>c1)) << 32) | <u64>(<u32>c0);
  for (; bytes > 0; bytes -= BLOCK) {
    philox(scratch, WORDS, key0, key1, <i32>counter, <i32>(counter >> 32), 0, CROSSOVER);
    const end = scratch + (<usize>min(bytes, BLOCK) >> 2);
    for (let word = scratch; word < end; word += 4) {
      v128.store(child, v128.bitselect(v128.load(a), v128.load(b), codesOf(v128.load32_splat(word))));
      a += 16;
      b += 16;
      child += 16;
    }
    counter += 4;
  }
}

/** 32 bits, in every lane, as 32 codes of all ones or zeros. */
// @ts-ignore: decorator
@inline
function codesOf(bits: v128): v128 {
  const four = i8x16.swizzle(bits, i8x16(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
  const low = v128.and(four, i8x16(1, 4, 16, 64, 1, 4, 16, 64, 1, 4, 16, 64, 1, 4, 16, 64));
  const high = v128.and(four, i8x16(2, 8, 32, -128, 2, 8, 32, -128, 2, 8, 32, -128, 2, 8, 32, -128));
  const none = i8x16.splat(0);
  return v128.bitselect(i8x16.ne(low, none), i8x16.ne(high, none), i8x16.splat(0x0f));
}

/**
 * Flips each bit with probability `rate`, 0 to 1. The number of bits between two flips is drawn, from its geometric
 * distribution: ⌊ln u / ln(1 − rate)⌋ with u uniform in (0, 1). `scratch` holds 64 bytes.
 */
export function mutate(
  codes: usize,
  scratch: usize,
  bytes: i32,
  key0: i32,
  key1: i32,
  c0: i32,
  c1: i32,
  rate: f64,
): void {
  const perLog = 1 / min(log(1 - rate), LEAST);
  let counter = ((<u64>(<u32>c1)) << 32) | <u64>(<u32>c0);
  for (; bytes > 0; bytes -= BLOCK) {
    const bits = min(bytes, BLOCK) << 3;
    let bit = -1;
    for (let draw = 0; bit < bits; draw++) {
      philox(scratch, WORDS, key0, key1, <i32>counter, <i32>(counter >> 32), draw, MUTATION);
      for (let i = 0; i < WORDS && bit < bits; i++) {
        bit += 1 + gap(load<u32>(scratch + ((<usize>i) << 2)), perLog);
        if (bit < bits) flip(codes, bit);
      }
    }
    codes += BLOCK;
    counter += 4;
  }
}

// @ts-ignore: decorator
@inline
function gap(word: u32, perLog: f64): i32 {
  const u = (<f64>word + 0.5) * 2.3283064365386963e-10;
  return <i32>min<f64>(log(u) * perLog, FAR);
}

/** ln x for normal x: k·ln 2 + f − (f²/2 − s·(f²/2 + R(s²))), x = 2ᵏ·(1 + f), s = f / (2 + f). Sun's fdlibm, 1993 */
function log(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  const k = (bits - 0x3fe6a09e667f3bcd) >> 52;
  const f = reinterpret<f64>(bits - (k << 52)) - 1;
  const s = f / (2 + f);
  const z = s * s;
  const a =
    0.2857142874366239 +
    z * (0.22222198432149784 + z * (0.1818357216161805 + z * (0.15313837699209373 + z * 0.14798198605116586)));
  const r = z * (0.6666666666666735 + z * (0.3999999999940942 + z * a));
  const half = 0.5 * f * f;
  return <f64>k * 0.6931471805599453 + (f - (half - s * (half + r)));
}

// @ts-ignore: decorator
@inline
function flip(codes: usize, bit: i32): void {
  const at = codes + <usize>(bit >> 3);
  store<u8>(at, load<u8>(at) ^ ((<u8>1) << (<u8>(bit & 7))));
}
