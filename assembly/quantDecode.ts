/** Values from codes, in the formats that quant.ts describes. An element's value depends on its code and block alone. */
import { INT4, INT8, LOG4, NF4, nestedScale } from "./quant";
import { highBytes, highWords, lookup, lowBytes, lowWords } from "./simd";

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

/** The values of codes 0 to 15 for scale 1 and zero point 0, by bytes: first the lowest byte of each, then the next. */
// @ts-ignore: decorator
@inline
export function bookOf(scheme: i32): usize {
  return scheme == LOG4 ? POWERS_OF_TWO : scheme == NF4 ? NORMAL_FLOAT : WHOLE;
}

// biome-ignore format: a row for each byte
/** 0, 2⁻⁶ … 2⁰, 0, −2⁻⁶ … −2⁰ */
const POWERS_OF_TWO: usize = memory.data<u8>([
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x00, 0x80, 0x00, 0x80, 0x00, 0x80, 0x00, 0x80, 0x00, 0x80, 0x00, 0x80, 0x00, 0x80, 0x00, 0x80,
  0x00, 0x3c, 0x3d, 0x3d, 0x3e, 0x3e, 0x3f, 0x3f, 0x00, 0xbc, 0xbd, 0xbd, 0xbe, 0xbe, 0xbf, 0xbf,
]);

// biome-ignore format: a row for each byte
/** The values in quant.ts */
const NORMAL_FLOAT: usize = memory.data<u8>([
  0x00, 0xb1, 0x30, 0xa0, 0x4d, 0x3f, 0x71, 0x00, 0xff, 0xe3, 0xdd, 0x3a, 0xb8, 0xab, 0xb3, 0x00,
  0x00, 0x39, 0x6b, 0x32, 0xa2, 0x35, 0x78, 0x00, 0xfa, 0xca, 0x04, 0x03, 0xa4, 0x07, 0x13, 0x00,
  0x80, 0x32, 0x06, 0xca, 0x91, 0x3d, 0xba, 0x00, 0xa2, 0x24, 0x7c, 0xad, 0xe1, 0x10, 0x39, 0x80,
  0xbf, 0xbf, 0xbf, 0xbe, 0xbe, 0xbe, 0xbd, 0x00, 0x3d, 0x3e, 0x3e, 0x3e, 0x3e, 0x3f, 0x3f, 0x3f,
]);

// biome-ignore format: a row for each byte
/** 0 … 15 */
const WHOLE: usize = memory.data<u8>([
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x00, 0x80, 0x00, 0x40, 0x80, 0xa0, 0xc0, 0xe0, 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70,
  0x00, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41,
]);

/** Bytes are read as the highest of an int32, which takes no shift; with a scale times this the product is the same. */
export const BYTE_UNIT: f32 = 5.9604644775390625e-8; // 2⁻²⁴

/** y = scale · codes */
function decodeBytes(y: usize, codes: usize, n: i32, scale: f32): void {
  const unit = scale * BYTE_UNIT;
  const units = f32x4.splat(unit);
  const zero = i32x4.splat(0);
  for (; n >= 8; n -= 8) {
    const words = lowBytes(zero, v128.load64_zero(codes));
    v128.store(y, f32x4.mul(f32x4.convert_i32x4_s(lowWords(zero, words)), units));
    v128.store(y, f32x4.mul(f32x4.convert_i32x4_s(highWords(zero, words)), units), 16);
    codes += 8;
    y += 32;
  }
  for (; n; --n, y += 4) store<f32>(y, <f32>((<i32>load<u8>(codes++)) << 24) * unit);
}

/** y = scale · (book[code] − zero) for `n` codes from number `start` on */
function decodeNibbles(y: usize, codes: usize, book: usize, start: i32, n: i32, scale: f32, zero: f32): void {
  codes += start >> 1;
  if (start & 1 && n) {
    store<f32>(y, scale * (valueOf(book, load<u8>(codes++) & 15) - zero));
    y += 4;
    --n;
  }
  const scales = f32x4.splat(scale);
  const zeros = f32x4.splat(zero);
  for (; n >= 16; n -= 16) {
    const bytes = v128.load64_zero(codes);
    const mask = i8x16.splat(15);
    const each = lowBytes(v128.and(i16x8.shr_u(bytes, 4), mask), v128.and(bytes, mask));
    const b0 = lookup(v128.load(book), each);
    const b1 = lookup(v128.load(book, 16), each);
    const b2 = lookup(v128.load(book, 32), each);
    const b3 = lookup(v128.load(book, 48), each);
    const l = lowBytes(b0, b1);
    const h = lowBytes(b2, b3);
    v128.store(y, f32x4.mul(scales, f32x4.sub(lowWords(l, h), zeros)));
    v128.store(y, f32x4.mul(scales, f32x4.sub(highWords(l, h), zeros)), 16);
    const l2 = highBytes(b0, b1);
    const h2 = highBytes(b2, b3);
    v128.store(y, f32x4.mul(scales, f32x4.sub(lowWords(l2, h2), zeros)), 32);
    v128.store(y, f32x4.mul(scales, f32x4.sub(highWords(l2, h2), zeros)), 48);
    codes += 8;
    y += 64;
  }
  for (let i = 0; i < n; ++i) {
    const code = (load<u8>(codes + (i >> 1)) >> (i & 1 ? 0 : 4)) & 15;
    store<f32>(y + ((<usize>i) << 2), scale * (valueOf(book, code) - zero));
  }
}

// @ts-ignore: decorator
@inline
function valueOf(book: usize, code: usize): f32 {
  const at = book + code;
  const low = ((<u32>load<u8>(at, 16)) << 8) | load<u8>(at);
  return reinterpret<f32>(((<u32>load<u8>(at, 48)) << 24) | ((<u32>load<u8>(at, 32)) << 16) | low);
}
