/**
 * Softmax of rows, [rows, cols] dense; rows may be split freely. Exponents are taken of x − max ≤ 0, so they never
 * overflow. NaN, +∞ and a row of −∞ give NaN over the row, as in PyTorch.
 */
import { scale } from "./binary";
import { exp2, log as logOf, log2e } from "./math";
import { firstLanes, get, mapRow, Product, sumRow, Value } from "./rows";
import { loadTail, storeTail, sumLanes } from "./simd";

/** y = e^(x − max) / Σ e^(x − max) */
export function softmax(y: usize, x: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const total = storeExponentials(y, x, cols, maxOf(x, cols));
    scale(y, y, cols, 1 / total);
    x += bytes;
    y += bytes;
  }
}

/** dx = y · (dy − Σ dy·y) */
export function softmaxGrad(dx: usize, dy: usize, y: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    mapRow<SoftmaxGradient>(dx, dy, y, 0, cols, sumRow<Product>(dy, y, 0, cols, 0, 0));
    dx += bytes;
    dy += bytes;
    y += bytes;
  }
}

/** y = x − max − log Σ e^(x − max) */
export function logSoftmax(y: usize, x: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const max = maxOf(x, cols);
    mapRow<Shifted>(y, x, 0, 0, cols, max, logSum(x, cols, max));
    x += bytes;
    y += bytes;
  }
}

/** dx = dy − e^y · Σ dy */
export function logSoftmaxGrad(dx: usize, dy: usize, y: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    mapRow<LogSoftmaxGradient>(dx, dy, y, 0, cols, sumRow<Value>(dy, 0, 0, cols, 0, 0));
    dx += bytes;
    dy += bytes;
    y += bytes;
  }
}

/** The greatest of a row. NaN is passed over: it comes back through the exponentials. */
export function maxOf(x: usize, cols: i32): f32 {
  let m0 = f32x4.splat(-Infinity);
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  let left = <usize>cols;
  for (; left >= 16; left -= 16) {
    m0 = f32x4.pmax(m0, v128.load(x));
    m1 = f32x4.pmax(m1, v128.load(x, 16));
    m2 = f32x4.pmax(m2, v128.load(x, 32));
    m3 = f32x4.pmax(m3, v128.load(x, 48));
    x += 64;
  }
  for (; left >= 4; left -= 4) {
    m0 = f32x4.pmax(m0, v128.load(x));
    x += 16;
  }
  for (; left; left--) {
    m1 = f32x4.pmax(m1, v128.load32_splat(x));
    x += 4;
  }
  m0 = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 1, 0, 3, 2)), 0);
}

/** y = e^(x − max) over a row; returns its sum. Stores come last in an iteration, so that constants are loaded once. */
function storeExponentials(y: usize, x: usize, cols: i32, max: f32): f32 {
  const most = f32x4.splat(max);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let left = <usize>cols;
  for (; left >= 16; left -= 16) {
    const a = exponential(v128.load(x), most);
    const b = exponential(v128.load(x, 16), most);
    const c = exponential(v128.load(x, 32), most);
    const d = exponential(v128.load(x, 48), most);
    v128.store(y, a);
    v128.store(y, b, 16);
    v128.store(y, c, 32);
    v128.store(y, d, 48);
    s0 = f32x4.add(s0, a);
    s1 = f32x4.add(s1, b);
    s2 = f32x4.add(s2, c);
    s3 = f32x4.add(s3, d);
    x += 64;
    y += 64;
  }
  for (; left >= 4; left -= 4) {
    const a = exponential(v128.load(x), most);
    v128.store(y, a);
    s0 = f32x4.add(s0, a);
    x += 16;
    y += 16;
  }
  if (left) {
    const a = exponential(loadTail(x, left), most);
    storeTail(y, a, left);
    s1 = f32x4.add(s1, firstLanes(a, left));
  }
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/** log Σ e^(x − max) over a row */
export function logSum(x: usize, cols: i32, max: f32): f32 {
  return f32x4.extract_lane(logOf(f32x4.splat(sumRow<Exponential>(x, 0, 0, cols, max, 0))), 0);
}

/** e^(x − max) */
// @ts-ignore: decorator
@inline
function exponential(x: v128, max: v128): v128 {
  return exp2(f32x4.mul(f32x4.sub(x, max), log2e()));
}

@final
class Exponential {
  @inline
  at(x: usize, b: usize, c: usize, max: v128, q: v128, n: usize): v128 {
    return exponential(get(x, n), max);
  }
}

/** x − max − log Σ */
@final
class Shifted {
  @inline
  at(x: usize, b: usize, c: usize, max: v128, log: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.sub(f32x4.sub(get(x, n), max), log);
  }
}

@final
class SoftmaxGradient {
  @inline
  at(dy: usize, y: usize, c: usize, along: v128, q: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.mul(get(y, n), f32x4.sub(get(dy, n), along));
  }
}

@final
class LogSoftmaxGradient {
  @inline
  at(dy: usize, y: usize, c: usize, total: v128, q: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.sub(get(dy, n), f32x4.mul(exp2(f32x4.mul(get(y, n), log2e())), total));
  }
}
