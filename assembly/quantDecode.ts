/** Values from codes, in the formats that quant.ts describes. An element's value depends on its code and block alone. */
import { INT4, INT8, LOG4, NF4, NORMAL_FLOAT, nestedScale } from "./quant";
import { lookup } from "./simd";

/** Where a quantized tensor lies, and room for some of its values. */
@unmanaged
export class Codes {
  codes: usize;
  scales: usize;
  extra: usize;
  block: i32;
  scheme: i32;
  scratch: usize;

  /** y = the `n` elements from `start` on */
  @inline
  decode(y: usize, start: i32, n: i32): void {
    dequantize(y, this.codes, this.scales, this.extra, start, n, this.block, this.scheme);
  }
}

/** y = the `n` elements from `start` on; `extra` is int4's zero points, nf4's nested scales, else absent. */
export function dequantize(
  y: usize,
  codes: usize,
  scales: usize,
  extra: usize,
  start: i32,
  n: i32,
  block: i32,
  scheme: i32,
): void {
  let b = start / block;
  let left = block - (start - b * block);
  while (n > 0) {
    const run = min(n, left);
    const scale = scheme == NF4 ? nestedScale(scales, extra, b) : load<f32>(scales + ((<usize>b) << 2));
    const zero: f32 = scheme == INT4 ? <f32>load<u8>(extra + b) : 0;
    if (scheme == INT8) decodeBytes(y, codes + start, run, scale);
    else decodeNibbles(y, codes, bookOf(scheme), start, run, scale, zero);
    y += (<usize>run) << 2;
    start += run;
    n -= run;
    left = block;
    ++b;
  }
}

/** The values of codes 0 to 15 for scale 1 and zero point 0. */
// @ts-ignore: decorator
@inline
function bookOf(scheme: i32): usize {
  return scheme == LOG4 ? POWERS_OF_TWO : scheme == NF4 ? NORMAL_FLOAT : WHOLE;
}

const POWERS_OF_TWO: usize = memory.data<f32>([
  0, 0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1, 0, -0.015625, -0.03125, -0.0625, -0.125, -0.25, -0.5, -1,
]);

const WHOLE: usize = memory.data<f32>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

/** y = scale · codes */
function decodeBytes(y: usize, codes: usize, n: i32, scale: f32): void {
  const scales = f32x4.splat(scale);
  for (; n >= 8; n -= 8) {
    const words = v128.load8x8_s(codes);
    v128.store(y, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(words)), scales));
    v128.store(y, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(words)), scales), 16);
    codes += 8;
    y += 32;
  }
  for (; n; --n, y += 4) store<f32>(y, <f32>load<i8>(codes++) * scale);
}

/** y = scale · (book[code] − zero) for `n` codes from number `start` on */
function decodeNibbles(y: usize, codes: usize, book: usize, start: i32, n: i32, scale: f32, zero: f32): void {
  codes += start >> 1;
  if (start & 1 && n) {
    store<f32>(y, scale * (load<f32>(book + ((<usize>load<u8>(codes++) & 15) << 2)) - zero));
    y += 4;
    --n;
  }
  const scales = f32x4.splat(scale);
  const zeros = f32x4.splat(zero);
  // The book by bytes: plane i has byte i of all 16 values.
  const v0 = v128.load(book);
  const v1 = v128.load(book, 16);
  const v2 = v128.load(book, 32);
  const v3 = v128.load(book, 48);
  const low01 = v128.shuffle<u8>(v0, v1, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const low23 = v128.shuffle<u8>(v2, v3, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const high01 = v128.shuffle<u8>(v0, v1, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  const high23 = v128.shuffle<u8>(v2, v3, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  const plane0 = v128.shuffle<u64>(low01, low23, 0, 2);
  const plane1 = v128.shuffle<u64>(low01, low23, 1, 3);
  const plane2 = v128.shuffle<u64>(high01, high23, 0, 2);
  const plane3 = v128.shuffle<u64>(high01, high23, 1, 3);
  for (; n >= 16; n -= 16) {
    const bytes = v128.load64_zero(codes);
    const upper = v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
    const lower = v128.and(bytes, i8x16.splat(15));
    const each = v128.shuffle<u8>(upper, lower, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const b0 = lookup(plane0, each);
    const b1 = lookup(plane1, each);
    const b2 = lookup(plane2, each);
    const b3 = lookup(plane3, each);
    const l = v128.shuffle<u8>(b0, b1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const h = v128.shuffle<u8>(b2, b3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const l2 = v128.shuffle<u8>(b0, b1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const h2 = v128.shuffle<u8>(b2, b3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    v128.store(y, scaled(v128.shuffle<u16>(l, h, 0, 8, 1, 9, 2, 10, 3, 11), zeros, scales));
    v128.store(y, scaled(v128.shuffle<u16>(l, h, 4, 12, 5, 13, 6, 14, 7, 15), zeros, scales), 16);
    v128.store(y, scaled(v128.shuffle<u16>(l2, h2, 0, 8, 1, 9, 2, 10, 3, 11), zeros, scales), 32);
    v128.store(y, scaled(v128.shuffle<u16>(l2, h2, 4, 12, 5, 13, 6, 14, 7, 15), zeros, scales), 48);
    codes += 8;
    y += 64;
  }
  for (let i = 0; i < n; ++i) {
    const code = (load<u8>(codes + (i >> 1)) >> (i & 1 ? 0 : 4)) & 15;
    store<f32>(y + ((<usize>i) << 2), scale * (load<f32>(book + ((<usize>code) << 2)) - zero));
  }
}

// @ts-ignore: decorator
@inline
function scaled(v: v128, zeros: v128, scales: v128): v128 {
  return f32x4.mul(scales, f32x4.sub(v, zeros));
}
