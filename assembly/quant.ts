/**
 * Weights as codes of 4 and 8 bits. Element i of a tensor, counted in row-major order, has code i; codes of 4 bits lie
 * two to a byte, the first in the upper half (as bitsandbytes packs), and what is left of the last byte is 0. A block is
 * `block` elements that follow each other in that order and share a scale; the last block may be shorter.
 *
 * | scheme | code → value                                                                       |
 * |--------|------------------------------------------------------------------------------------|
 * | int8   | scale · code, code from −127 to 127                                                |
 * | log4   | bit 3 is the sign, bits 0 to 2 the exponent e: 0 for e = 0, else ±scale · 2^(e − 7); all 16 codes are valid |
 * | nf4    | scale · book[code], the quantiles of a normal distribution                         |
 * | int4   | scale · (code − zero)                                                              |
 */
import { loadFirst } from "./simd";

export const INT8: i32 = 0;
export const LOG4: i32 = 1;
export const NF4: i32 = 2;
export const INT4: i32 = 3;

/** y = codes `x`, of a byte each, packed two to a byte */
export function packNibbles(y: usize, x: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const pairs = v128.load(x);
    const bytes = v128.or(i16x8.shl(pairs, 4), i16x8.shr_u(pairs, 8));
    const low = v128.and(bytes, i16x8.splat(255));
    v128.store64_lane(y, i8x16.narrow_i16x8_u(low, low), 0);
    x += 16;
    y += 8;
  }
  for (; n >= 2; n -= 2) {
    store<u8>(y++, (load<u8>(x) << 4) | load<u8>(x, 1));
    x += 2;
  }
  if (n) store<u8>(y, load<u8>(x) << 4);
}

/** y = codes of a byte each, from codes `x`, packed two to a byte */
export function unpackNibbles(y: usize, x: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const bytes = v128.load64_zero(x);
    const high = v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
    const low = v128.and(bytes, i8x16.splat(15));
    v128.store(y, v128.shuffle<u8>(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    x += 8;
    y += 16;
  }
  for (; n >= 2; n -= 2) {
    const byte = load<u8>(x++);
    store<u8>(y, byte >> 4);
    store<u8>(y, byte & 15, 1);
    y += 2;
  }
  if (n) store<u8>(y, load<u8>(x) >> 4);
}

/** least[b], greatest[b] = the bounds of block b of x, 0 included; NaN where one of its elements is */
export function blockBounds(least: usize, greatest: usize, x: usize, n: i32, block: i32): void {
  for (; n > 0; n -= block) {
    let low = f32x4.splat(0);
    let high = f32x4.splat(0);
    for (let left = min(n, block); left > 0; left -= 4) {
      const v = loadFirst(x, left < 4 ? left : 0);
      low = f32x4.min(low, v);
      high = f32x4.max(high, v);
      x += (<usize>min(left, 4)) << 2;
    }
    low = f32x4.min(low, v128.shuffle<f32>(low, low, 2, 3, 0, 1));
    high = f32x4.max(high, v128.shuffle<f32>(high, high, 2, 3, 0, 1));
    store<f32>(least, min(f32x4.extract_lane(low, 0), f32x4.extract_lane(low, 1)));
    store<f32>(greatest, max(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)));
    least += 4;
    greatest += 4;
  }
}

/** codes = x by blocks, of a byte each, with a scale (and for int4 a zero point) for every block */
export function quantize(codes: usize, x: usize, scales: usize, zeros: usize, n: i32, block: i32, scheme: i32): void {
  if (scheme == INT8) encode<Int8>(codes, x, scales, 0, n, block);
  else if (scheme == LOG4) encode<Log4>(codes, x, scales, 0, n, block);
  else if (scheme == NF4) encode<Nf4>(codes, x, scales, 0, n, block);
  else encode<Int4>(codes, x, scales, zeros, n, block);
}

// @ts-ignore: decorator
@inline
function encode<Scheme>(codes: usize, x: usize, scales: usize, zeros: usize, n: i32, block: i32): void {
  const scheme = changetype<Scheme>(0);
  for (; n > 0; n -= block) {
    // As bitsandbytes: a block of zeros has scale 0, and x times the reciprocal is 0.
    const reciprocal = f32x4.splat(1 / max(load<f32>(scales), 1e-38));
    const zero = i32x4.splat(zeros ? load<u8>(zeros++) : 0);
    for (let left = min(n, block); left > 0; left -= 4) {
      const v = f32x4.mul(loadFirst(x, left < 4 ? left : 0), reciprocal);
      // @ts-ignore: Scheme is one of the classes below
      storeBytes(codes, scheme.code(v, zero), left);
      x += (<usize>min(left, 4)) << 2;
      codes += min(left, 4);
    }
    scales += 4;
  }
}

/** Writes the low bytes of the first n (at most four) lanes. */
// @ts-ignore: decorator
@inline
function storeBytes(y: usize, v: v128, n: i32): void {
  const bytes = i32x4.extract_lane(v128.shuffle<u8>(v, v, 0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
  if (n >= 4) {
    store<i32>(y, bytes);
    return;
  }
  for (let i = 0; i < n; ++i) store<u8>(y + i, bytes >> (8 * i));
}

@final
class Int8 {
  /** The nearest whole number. */
  @inline
  code(v: v128, _zero: v128): v128 {
    const inRange = f32x4.max(f32x4.min(v, f32x4.splat(127)), f32x4.splat(-127));
    return i32x4.trunc_sat_f32x4_s(f32x4.nearest(inRange));
  }
}

@final
class Int4 {
  @inline
  code(v: v128, zero: v128): v128 {
    const shifted = i32x4.add(i32x4.trunc_sat_f32x4_s(f32x4.nearest(v)), zero);
    return i32x4.min_s(i32x4.max_s(shifted, i32x4.splat(0)), i32x4.splat(15));
  }
}

@final
class Log4 {
  /**
   * The nearest value, away from 0 where two are equally near: half a unit of the exponent added to |v| carries into it
   * from 1.5 · 2ᵏ on. From 2⁻⁷ on, half of the least magnitude, e is 1 at least.
   */
  @inline
  code(v: v128, _zero: v128): v128 {
    const magnitude = f32x4.abs(v);
    const exponent = i32x4.sub(i32x4.shr_u(i32x4.add(magnitude, i32x4.splat(0x400000)), 23), i32x4.splat(120));
    const least = v128.and(f32x4.ge(magnitude, f32x4.splat(0.0078125)), i32x4.splat(1));
    const e = i32x4.min_s(i32x4.max_s(exponent, least), i32x4.splat(7));
    const sign = v128.and(i32x4.shr_u(v, 28), i32x4.splat(8));
    return v128.and(v128.or(e, sign), i32x4.gt_s(e, i32x4.splat(0)));
  }
}

/** nf4's values: NormalFloat, from the quantiles of N(0, 1). Dettmers et al. 2023, appendix E */
const NORMAL_FLOAT: usize = memory.data<f32>([
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]);

@final
class Nf4 {
  /** How many of the midpoints between neighbours v exceeds. */
  @inline
  code(v: v128, _zero: v128): v128 {
    let code = i32x4.splat(0);
    for (let at = NORMAL_FLOAT; at < NORMAL_FLOAT + 60; at += 4) {
      const midpoint = (load<f32>(at) + load<f32>(at, 4)) / 2;
      code = i32x4.sub(code, f32x4.gt(v, f32x4.splat(midpoint)));
    }
    return code;
  }
}

/** Scales that share an offset and, block by block, a scale of their own. */
const SCALES: i32 = 256;

/**
 * nf4's scales in 8 bits: codes, with nested[0] their mean and nested[1 + b] the greatest |scale − mean| of block b of
 * 256. Double quantization, Dettmers et al. 2023, section 3
 */
export function quantizeScales(codes: usize, nested: usize, scales: usize, n: i32): void {
  let sum: f64 = 0;
  for (let i = 0; i < n; ++i) sum += load<f32>(scales + ((<usize>i) << 2));
  const mean = n ? <f32>(sum / n) : 0;
  store<f32>(nested, mean);
  for (let i = 0; i < n; i += SCALES) {
    const end = min(n, i + SCALES);
    let most: f32 = 0;
    for (let j = i; j < end; ++j) most = max(most, abs(load<f32>(scales + ((<usize>j) << 2)) - mean));
    nested += 4;
    store<f32>(nested, most);
    const reciprocal = <f32>1 / max(most, <f32>1e-38);
    for (let j = i; j < end; ++j) {
      store<u8>(codes + j, dynamicCode((load<f32>(scales + ((<usize>j) << 2)) - mean) * reciprocal));
    }
  }
}

/** The scale of block `b` from what `quantizeScales` wrote. */
// @ts-ignore: decorator
@inline
export function nestedScale(codes: usize, nested: usize, b: i32): f32 {
  const most = load<f32>(nested + ((<usize>(b / SCALES)) << 2), 4);
  return dynamicValue(load<u8>(codes + b)) * most + load<f32>(nested);
}

/** How many of the midpoints between neighbours v exceeds. */
function dynamicCode(v: f32): i32 {
  let low = 0;
  let high = 255;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (v > (dynamicValue(middle) + dynamicValue(middle + 1)) / 2) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Value of a code of 8 bits with a dynamic exponent (Dettmers 2015), in the order of the values: 127 is 0, 255 is 1, and
 * for i from 0 to 6 there are ±10^(i − 6) · the 2ⁱ midpoints of equal parts of [0.1, 1]. Rounded where bitsandbytes
 * rounds.
 */
function dynamicValue(code: i32): f32 {
  const rank = abs(code - 127);
  if (rank == 0) return 0;
  if (rank == 128) return 1;
  const i = 31 - clz(rank);
  const j = rank - (1 << i);
  const middle = (edge(j, i) + edge(j + 1, i)) / 2;
  return copysign(load<f32>(POWERS + ((<usize>i) << 2)) * middle, <f32>(code - 127));
}

/** 10^(i − 6) */
const POWERS: usize = memory.data<f32>([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]);

/** The ends of [0.1, 1]: float32 values. */
const ENDS: usize = memory.data<f64>([0.10000000149011612, 1]);

/** Where part j of 2ⁱ equal parts of [0.1, 1] begins, counted from the nearer end; no branch, since codes are random. */
// @ts-ignore: decorator
@inline
function edge(j: i32, i: i32): f32 {
  const fromUpper = <i32>(2 * j >= 1 << i);
  const length = <f64>((<f32>1 - <f32>0.1) * reinterpret<f32>((127 - i) << 23));
  return <f32>(load<f64>(ENDS + ((<usize>fromUpper) << 3)) + length * <f64>(j - (fromUpper << i)));
}
