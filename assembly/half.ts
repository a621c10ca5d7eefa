/** 16-bit floating point, as files store it. */

@final
class Float16 {
  /**
   * Sign, and exponent and mantissa three places down, read as float32 and scaled by 2¹²⁷⁻¹⁵: exact, subnormal or not.
   * Exponent 31 (∞, NaN) becomes 255.
   */
  @inline
  apply(x: v128): v128 {
    const magnitude = v128.and(x, i32x4.splat(0x7fff));
    const scaled = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(reinterpret<f32>(0x77800000)));
    const special = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x7bff)), i32x4.splat(0x7f800000));
    return v128.or(v128.or(scaled, special), i32x4.shl(v128.xor(x, magnitude), 16));
  }
}

@final
class BFloat16 {
  @inline
  apply(x: v128): v128 {
    return i32x4.shl(x, 16);
  }
}

/** Reads eight values before it writes them, so `x` may be the second half of `out`. */
// @ts-ignore: decorator
@inline
function widen<T>(out: usize, x: usize, n: i32): void {
  const op = changetype<T>(0);
  const end = x + ((<usize>n) << 1);
  const vectors = x + ((<usize>n & ~7) << 1);
  for (; x < vectors; x += 16, out += 32) {
    const halves = v128.load(x);
    // @ts-ignore: T is one of the classes above
    v128.store(out, op.apply(i32x4.extend_low_i16x8_u(halves)));
    // @ts-ignore: T is one of the classes above
    v128.store(out, op.apply(i32x4.extend_high_i16x8_u(halves)), 16);
  }
  // @ts-ignore: T is one of the classes above
  for (; x < end; x += 2, out += 4) v128.store32_lane(out, op.apply(i32x4.splat(load<u16>(x))), 0);
}

/** out = float16 bits `x` as float32; `x` may be the second half of `out` */
export function widenFloat16(out: usize, x: usize, n: i32): void {
  widen<Float16>(out, x, n);
}

/** out = bfloat16 bits `x` as float32; `x` may be the second half of `out` */
export function widenBFloat16(out: usize, x: usize, n: i32): void {
  widen<BFloat16>(out, x, n);
}
