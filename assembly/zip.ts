/**
 * Loops of two operands over [m, n]: y dense, a and b with strides in elements, so that a broadcast dimension has
 * stride 0 and a view needs no copy. An operand's column stride is a class that loads four columns; the loop is written
 * once.
 */
import { loadTail, storeTail } from "./simd";

/** Column stride 1. */
@final
class Dense {
  @inline
  load(x: usize, _stride: usize): v128 {
    return v128.load(x);
  }
  @inline
  tail(x: usize, _stride: usize, n: usize): v128 {
    return loadTail(x, n);
  }
  @inline
  step(_stride: usize): usize {
    return 16;
  }
}

/** Column stride 0. */
@final
class Splat {
  @inline
  load(x: usize, _stride: usize): v128 {
    return v128.load32_splat(x);
  }
  @inline
  tail(x: usize, _stride: usize, _n: usize): v128 {
    return v128.load32_splat(x);
  }
  @inline
  step(_stride: usize): usize {
    return 0;
  }
}

/** Any column stride, in bytes. */
@final
class Gather {
  @inline
  load(x: usize, stride: usize): v128 {
    const low = v128.load32_lane(x + stride, v128.load32_zero(x), 1);
    return v128.load32_lane(x + 3 * stride, v128.load32_lane(x + 2 * stride, low, 2), 3);
  }
  @inline
  tail(x: usize, stride: usize, n: usize): v128 {
    let v = v128.load32_zero(x);
    if (n > 1) v = v128.load32_lane(x + stride, v, 1);
    if (n > 2) v = v128.load32_lane(x + 2 * stride, v, 2);
    return v;
  }
  @inline
  step(stride: usize): usize {
    return stride << 2;
  }
}

// @ts-ignore: decorator
@inline
function zipRow<Op, A, B>(y: usize, a: usize, b: usize, cols: usize, aCol: usize, bCol: usize): void {
  const op = changetype<Op>(0);
  const left = changetype<A>(0);
  const right = changetype<B>(0);
  const end = y + ((cols & ~3) << 2);
  while (y < end) {
    // @ts-ignore: Op, A and B are classes of this file
    v128.store(y, op.apply(left.load(a, aCol), right.load(b, bCol)));
    // @ts-ignore: as above
    a += left.step(aCol);
    // @ts-ignore: as above
    b += right.step(bCol);
    y += 16;
  }
  const tail = cols & 3;
  // @ts-ignore: as above
  if (tail) storeTail(y, op.apply(left.tail(a, aCol, tail), right.tail(b, bCol, tail)), tail);
}

// @ts-ignore: decorator
@inline
export function zip<Op>(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  const aStep = (<usize>aCol) << 2;
  const bStep = (<usize>bCol) << 2;
  for (let r = 0; r < m; r++) {
    if (aCol == 1 && bCol == 1) zipRow<Op, Dense, Dense>(y, a, b, n, aStep, bStep);
    else if (aCol == 1 && bCol == 0) zipRow<Op, Dense, Splat>(y, a, b, n, aStep, bStep);
    else if (aCol == 0 && bCol == 1) zipRow<Op, Splat, Dense>(y, a, b, n, aStep, bStep);
    else if (aCol == 0 && bCol == 0) zipRow<Op, Splat, Splat>(y, a, b, n, aStep, bStep);
    else zipRow<Op, Gather, Gather>(y, a, b, n, aStep, bStep);
    y += (<usize>n) << 2;
    a += (<usize>aRow) << 2;
    b += (<usize>bRow) << 2;
  }
}

/** y = f(dy, a, b), dy dense. */
// @ts-ignore: decorator
@inline
function zipGradRow<Op, A, B>(y: usize, dy: usize, a: usize, b: usize, cols: usize, aCol: usize, bCol: usize): void {
  const op = changetype<Op>(0);
  const left = changetype<A>(0);
  const right = changetype<B>(0);
  const end = y + ((cols & ~3) << 2);
  while (y < end) {
    // @ts-ignore: Op, A and B are classes of this file
    v128.store(y, op.apply(v128.load(dy), left.load(a, aCol), right.load(b, bCol)));
    // @ts-ignore: as above
    a += left.step(aCol);
    // @ts-ignore: as above
    b += right.step(bCol);
    dy += 16;
    y += 16;
  }
  const tail = cols & 3;
  // @ts-ignore: as above
  if (tail) storeTail(y, op.apply(loadTail(dy, tail), left.tail(a, aCol, tail), right.tail(b, bCol, tail)), tail);
}

// @ts-ignore: decorator
@inline
export function zipGrad<Op>(
  y: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  const aStep = (<usize>aCol) << 2;
  const bStep = (<usize>bCol) << 2;
  for (let r = 0; r < m; r++) {
    if (aCol == 1 && bCol == 1) zipGradRow<Op, Dense, Dense>(y, dy, a, b, n, aStep, bStep);
    else if (aCol == 1 && bCol == 0) zipGradRow<Op, Dense, Splat>(y, dy, a, b, n, aStep, bStep);
    else if (aCol == 0 && bCol == 1) zipGradRow<Op, Splat, Dense>(y, dy, a, b, n, aStep, bStep);
    else zipGradRow<Op, Gather, Gather>(y, dy, a, b, n, aStep, bStep);
    y += (<usize>n) << 2;
    dy += (<usize>n) << 2;
    a += (<usize>aRow) << 2;
    b += (<usize>bRow) << 2;
  }
}

/** Stores 1 or 0 in the `n` bytes at `y` (all four for n = 0) for lanes that are all ones or all zeros. */
// @ts-ignore: decorator
@inline
function storeMask(y: usize, mask: v128, n: usize): void {
  // Each of four bits goes to the low bit of its byte: the product has no carries.
  const bytes = (i32x4.bitmask(mask) * 0x00204081) & 0x01010101;
  if (n == 0) {
    store<u32>(y, bytes);
    return;
  }
  for (let i: usize = 0; i < n; i++) store<u8>(y + i, <u8>(bytes >>> ((<i32>i) << 3)));
}

// @ts-ignore: decorator
@inline
function zipMaskRow<Op, A, B>(
  y: usize,
  a: usize,
  b: usize,
  cols: usize,
  aCol: usize,
  bCol: usize,
  relation: i32,
): void {
  const op = changetype<Op>(0);
  const left = changetype<A>(0);
  const right = changetype<B>(0);
  const end = y + (cols & ~3);
  while (y < end) {
    // @ts-ignore: Op is a class with such an `apply`, A and B are classes of this file
    storeMask(y, op.apply(left.load(a, aCol), right.load(b, bCol), relation), 0);
    // @ts-ignore: as above
    a += left.step(aCol);
    // @ts-ignore: as above
    b += right.step(bCol);
    y += 4;
  }
  const tail = cols & 3;
  // @ts-ignore: as above
  if (tail) storeMask(y, op.apply(left.tail(a, aCol, tail), right.tail(b, bCol, tail), relation), tail);
}

/** y = f(a, b), one byte per element: 1 where it holds, else 0. */
// @ts-ignore: decorator
@inline
export function zipMask<Op>(
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
  const aStep = (<usize>aCol) << 2;
  const bStep = (<usize>bCol) << 2;
  for (let r = 0; r < m; r++) {
    if (aCol == 1 && bCol == 1) zipMaskRow<Op, Dense, Dense>(y, a, b, n, aStep, bStep, relation);
    else if (aCol == 1 && bCol == 0) zipMaskRow<Op, Dense, Splat>(y, a, b, n, aStep, bStep, relation);
    else zipMaskRow<Op, Gather, Gather>(y, a, b, n, aStep, bStep, relation);
    y += <usize>n;
    a += (<usize>aRow) << 2;
    b += (<usize>bRow) << 2;
  }
}
