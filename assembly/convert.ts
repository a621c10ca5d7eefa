/** Conversions of `n` dense elements between types. */
import { loadTail, storeTail } from "./simd";

/** y = x towards 0, int32 from float32: the nearest int32 beyond the range, 0 for NaN */
export function truncate(y: usize, x: usize, n: i32): void {
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, i32x4.trunc_sat_f32x4_s(v128.load(x)));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, i32x4.trunc_sat_f32x4_s(loadTail(x, tail)), tail);
}

/** y = x, float32 from int32 */
export function toFloat32(y: usize, x: usize, n: i32): void {
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, f32x4.convert_i32x4_s(v128.load(x)));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, f32x4.convert_i32x4_s(loadTail(x, tail)), tail);
}

/** y = x, int32 from bytes */
export function widenBytes(y: usize, x: usize, n: i32): void {
  for (const end = x + <usize>n; x < end; x++) {
    store<i32>(y, load<u8>(x));
    y += 4;
  }
}

/** y = x modulo 256, bytes from int32 */
export function lowBytes(y: usize, x: usize, n: i32): void {
  for (const end = y + <usize>n; y < end; y++) {
    store<u8>(y, load<u8>(x));
    x += 4;
  }
}

/** y = 1 where x & bits is not 0, else 0: bytes from elements of four bytes */
export function nonzero(y: usize, x: usize, n: i32, bits: i32): void {
  for (const end = y + <usize>n; y < end; y++) {
    store<u8>(y, (load<i32>(x) & bits) != 0 ? 1 : 0);
    x += 4;
  }
}
