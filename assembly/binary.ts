/**
 * y = f(a, b) over [m, n]: y dense, a and b with strides in elements, so that a broadcast dimension has stride 0
 * and a view needs no copy. An operation is a class whose `apply` maps two vectors, an operand's column stride a class
 * that loads four columns; the loop is written once.
 */
import { loadTail, madd, storeTail } from "./simd";

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
function zip<Op>(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
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

@final
class Add {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.add(a, b);
  }
}

@final
class Sub {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.sub(a, b);
  }
}

@final
class Mul {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.mul(a, b);
  }
}

@final
class Div {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.div(a, b);
  }
}

@final
class Maximum {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.max(a, b);
  }
}

@final
class Minimum {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.min(a, b);
  }
}

@final
class EqualMask {
  @inline
  apply(a: v128, b: v128): v128 {
    return v128.and(f32x4.eq(a, b), f32x4.splat(1));
  }
}

/** y = a + b */
export function add(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Add>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a − b */
export function sub(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Sub>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a · b */
export function mul(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Mul>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a / b */
export function div(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Div>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = max(a, b), NaN where either is */
export function maximum(
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
  zip<Maximum>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = min(a, b), NaN where either is */
export function minimum(
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
  zip<Minimum>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = 1 where a = b, else 0 */
export function equalMask(
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
  zip<EqualMask>(y, a, b, m, n, aRow, aCol, bRow, bCol);
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
function zipGrad<Op>(
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

@final
class DivGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    return f32x4.mul(f32x4.neg(dy), f32x4.div(f32x4.div(a, b), b));
  }
}

@final
class MaximumGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    const kept = v128.andnot(dy, f32x4.lt(a, b));
    return v128.bitselect(f32x4.mul(dy, f32x4.splat(0.5)), kept, f32x4.eq(a, b));
  }
}

@final
class MinimumGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    const kept = v128.andnot(dy, f32x4.gt(a, b));
    return v128.bitselect(f32x4.mul(dy, f32x4.splat(0.5)), kept, f32x4.eq(a, b));
  }
}

/** db = −dy · a / b², the gradient of a / b for b */
export function divGrad(
  db: usize,
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
  zipGrad<DivGrad>(db, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** da = dy where a > b, dy / 2 where a = b, 0 where a < b; dy where either is NaN */
export function maximumGrad(
  da: usize,
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
  zipGrad<MaximumGrad>(da, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** da = dy where a < b, dy / 2 where a = b, 0 where a > b; dy where either is NaN */
export function minimumGrad(
  da: usize,
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
  zipGrad<MinimumGrad>(da, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y += α · x */
export function addScaled(y: usize, x: usize, n: i32, alpha: f32): void {
  const a = f32x4.splat(alpha);
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, madd(v128.load(x), a, v128.load(y)));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, madd(loadTail(x, tail), a, loadTail(y, tail)), tail);
}

/** y = s · x */
export function scale(y: usize, x: usize, n: i32, s: f32): void {
  const factor = f32x4.splat(s);
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, f32x4.mul(v128.load(x), factor));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, f32x4.mul(loadTail(x, tail), factor), tail);
}
