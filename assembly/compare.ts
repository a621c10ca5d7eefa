/**
 * Comparisons, to one byte per element: 1 where they hold. `relation` is the sum of those that do: 1 for a < b, 2 for
 * a = b, 4 for a > b, and 8 for the opposite of the others (a ≠ b is 10, and so true of NaN).
 */
import { zipMask } from "./zip";

/** All ones where bit `bit` of `relation` is set. */
// @ts-ignore: decorator
@inline
function when(relation: i32, bit: i32): v128 {
  return i32x4.splat(-((relation >> bit) & 1));
}

@final
class Floats {
  @inline
  apply(a: v128, b: v128, relation: i32): v128 {
    const less = v128.and(f32x4.lt(a, b), when(relation, 0));
    const equal = v128.and(f32x4.eq(a, b), when(relation, 1));
    const greater = v128.and(f32x4.gt(a, b), when(relation, 2));
    return v128.xor(v128.or(v128.or(less, equal), greater), when(relation, 3));
  }
}

@final
class Integers {
  @inline
  apply(a: v128, b: v128, relation: i32): v128 {
    const less = v128.and(i32x4.lt_s(a, b), when(relation, 0));
    const equal = v128.and(i32x4.eq(a, b), when(relation, 1));
    const greater = v128.and(i32x4.gt_s(a, b), when(relation, 2));
    return v128.xor(v128.or(v128.or(less, equal), greater), when(relation, 3));
  }
}

/** y = 1 where the floats a and b are in `relation`, else 0; a, b strided, y dense bytes */
export function compare(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
  relation: i32,
): void {
  zipMask<Floats>(y, a, b, m, n, aRow, aCol, bRow, bCol, relation);
}

/** The same of int32. */
export function compareInt32(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
  relation: i32,
): void {
  zipMask<Integers>(y, a, b, m, n, aRow, aCol, bRow, bCol, relation);
}
