/** The few places where the build variants and the vector tails differ from plain loads and stores. */

/** a·b + c: one rounding with relaxed SIMD, two without. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** c − a·b: one rounding with relaxed SIMD, two without. */
// @ts-ignore: decorator
@inline
export function nmadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

/** The bytes of `table` that `indices` pick, each index from 0 to 15. */
// @ts-ignore: decorator
@inline
export function lookup(table: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, indices);
  return v128.swizzle(table, indices);
}

/** The first eight bytes of `a` and `b`, by turns. */
// @ts-ignore: decorator
@inline
export function lowBytes(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** The last eight. */
// @ts-ignore: decorator
@inline
export function highBytes(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** The first four 16-bit words of `a` and `b`, by turns. */
// @ts-ignore: decorator
@inline
export function lowWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** The last four. */
// @ts-ignore: decorator
@inline
export function highWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** The first `n` (1 to 3) floats at `x`; the other lanes are 0. A call (scripts/tails.mjs), as is `storeTail`. */
export function loadTail(x: usize, n: usize): v128 {
  if (n == 1) return v128.load32_zero(x);
  const low = v128.load64_zero(x);
  return n == 2 ? low : v128.load32_lane(x + 8, low, 2);
}

/** Writes the first `n` (1 to 3) lanes of `v` to `y`. */
export function storeTail(y: usize, v: v128, n: usize): void {
  if (n == 1) {
    v128.store32_lane(y, v, 0);
    return;
  }
  v128.store64_lane(y, v, 0);
  if (n == 3) v128.store32_lane(y + 8, v, 2);
}

/** All four floats at `x` where n is 0 (as inside a loop), else the first `n`: for functions that do both. */
// @ts-ignore: decorator
@inline
export function loadFirst(x: usize, n: usize): v128 {
  return n == 0 ? v128.load(x) : loadTail(x, n);
}

/** Writes all four lanes where n is 0, else the first `n`. */
// @ts-ignore: decorator
@inline
export function storeFirst(y: usize, v: v128, n: usize): void {
  if (n == 0) v128.store(y, v);
  else storeTail(y, v, n);
}

/** Sum of the four lanes, (0 + 2) + (1 + 3). */
// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  const halves = f32x4.add(v, v128.shuffle<f32>(v, v, 2, 3, 2, 3));
  return f32x4.extract_lane(halves, 0) + f32x4.extract_lane(halves, 1);
}
