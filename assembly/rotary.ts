/** Rotary position embedding: element i of a row turns with element i + d/2 by the angle of its position. */
import { loadTail, madd, nmadd, storeTail } from "./simd";

/**
 * y[i] = x[i] · cos[i] − x[i + d/2] · sin[i], y[i + d/2] = x[i + d/2] · cos[i] + x[i] · sin[i], with `sin` times `sign`:
 * −1 turns back, which is the gradient. `cos` and `sin` are [positions, d/2]; row t of batch entry b is at
 * positions[b · positionBatch + t], or at start + t if there are no positions.
 */
export function rotary(
  y: usize,
  x: usize,
  cos: usize,
  sin: usize,
  positions: usize,
  batches: i32,
  heads: i32,
  rows: i32,
  d: i32,
  yBatch: i32,
  yHead: i32,
  yRow: i32,
  xBatch: i32,
  xHead: i32,
  xRow: i32,
  positionBatch: i32,
  start: i32,
  sign: f32,
): void {
  const half = (<usize>(d >> 1)) << 2;
  for (let b = 0; b < batches; b++) {
    for (let t = 0; t < rows; t++) {
      const position = positions ? load<i32>(positions + ((<usize>b * positionBatch + t) << 2)) : start + t;
      let to = y + ((<usize>b * yBatch + <usize>t * yRow) << 2);
      let from = x + ((<usize>b * xBatch + <usize>t * xRow) << 2);
      for (let h = 0; h < heads; h++) {
        turn(to, from, cos + half * position, sin + half * position, half, sign);
        to += (<usize>yHead) << 2;
        from += (<usize>xHead) << 2;
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function turn(y: usize, x: usize, cos: usize, sin: usize, half: usize, sign: f32): void {
  const signs = f32x4.splat(sign);
  const end = half & ~15;
  let i: usize = 0;
  for (; i < end; i += 16) {
    const a = v128.load(x + i);
    const b = v128.load(x + half + i);
    const c = v128.load(cos + i);
    const s = f32x4.mul(v128.load(sin + i), signs);
    v128.store(y + i, nmadd(b, s, f32x4.mul(a, c)));
    v128.store(y + half + i, madd(a, s, f32x4.mul(b, c)));
  }
  const tail = (half & 15) >> 2;
  if (tail) {
    const a = loadTail(x + i, tail);
    const b = loadTail(x + half + i, tail);
    const c = loadTail(cos + i, tail);
    const s = f32x4.mul(loadTail(sin + i, tail), signs);
    storeTail(y + i, nmadd(b, s, f32x4.mul(a, c)), tail);
    storeTail(y + half + i, madd(a, s, f32x4.mul(b, c)), tail);
  }
}
