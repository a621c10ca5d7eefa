import { madd } from "../../assembly/simd";

/** Flops of one round of `ceiling`: 14 chains of 4 lanes, a multiplication and an addition each. */
export const flops: i32 = ASC_FEATURE_RELAXED_SIMD ? 14 * 8 : 7 * 8;

/**
 * `n` rounds of independent multiply-adds in registers, no memory: what the engine and the processor can do at best.
 * With FMA 14 chains x ← x·a + a; without, 7 chains x ← x·a beside 7 sums y ← y + x, as in a matrix product.
 */
export function ceiling(a: usize, n: i32): f32 {
  const y = v128.load(a);
  let x0 = y,
    x1 = y,
    x2 = y,
    x3 = y,
    x4 = y,
    x5 = y,
    x6 = y;
  let x7 = y,
    x8 = y,
    x9 = y,
    xa = y,
    xb = y,
    xc = y,
    xd = y;
  for (; n; --n) {
    if (ASC_FEATURE_RELAXED_SIMD) {
      x0 = madd(x0, y, y);
      x1 = madd(x1, y, y);
      x2 = madd(x2, y, y);
      x3 = madd(x3, y, y);
      x4 = madd(x4, y, y);
      x5 = madd(x5, y, y);
      x6 = madd(x6, y, y);
      x7 = madd(x7, y, y);
      x8 = madd(x8, y, y);
      x9 = madd(x9, y, y);
      xa = madd(xa, y, y);
      xb = madd(xb, y, y);
      xc = madd(xc, y, y);
      xd = madd(xd, y, y);
    } else {
      x0 = f32x4.mul(x0, y);
      x7 = f32x4.add(x7, x0);
      x1 = f32x4.mul(x1, y);
      x8 = f32x4.add(x8, x1);
      x2 = f32x4.mul(x2, y);
      x9 = f32x4.add(x9, x2);
      x3 = f32x4.mul(x3, y);
      xa = f32x4.add(xa, x3);
      x4 = f32x4.mul(x4, y);
      xb = f32x4.add(xb, x4);
      x5 = f32x4.mul(x5, y);
      xc = f32x4.add(xc, x5);
      x6 = f32x4.mul(x6, y);
      xd = f32x4.add(xd, x6);
    }
  }
  const low = f32x4.add(f32x4.add(f32x4.add(x0, x1), f32x4.add(x2, x3)), f32x4.add(f32x4.add(x4, x5), x6));
  const high = f32x4.add(f32x4.add(f32x4.add(x7, x8), f32x4.add(x9, xa)), f32x4.add(f32x4.add(xb, xc), xd));
  return f32x4.extract_lane(f32x4.add(low, high), 0);
}
