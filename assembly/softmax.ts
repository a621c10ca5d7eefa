/**
 * Softmax of rows, [rows, cols] dense; rows may be split freely. Exponents are taken of x − max ≤ 0, so they never
 * overflow. NaN, +∞ and a row of −∞ give NaN over the row, as in PyTorch.
 */
import { exp2, log as logOf, log2e } from "./math";
import { get, mapRow, Product, put, sumRow, Value } from "./rows";

/** y = e^(x − max) / Σ e^(x − max) */
export function softmax(y: usize, x: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const total = sumRow<StoredExponential>(x, y, 0, cols, maxOf(x, cols), 0);
    mapRow<Scaled>(y, y, 0, 0, cols, 1 / total);
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
  let i: usize = 0;
  for (const end = (<usize>cols & ~7) << 2; i < end; i += 32) {
    m0 = f32x4.pmax(m0, v128.load(x + i));
    m1 = f32x4.pmax(m1, v128.load(x + i, 16));
  }
  m0 = f32x4.pmax(m0, m1);
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 2, 3, 0, 1));
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 1, 0, 3, 2));
  let most = f32x4.extract_lane(m0, 0);
  for (const end = (<usize>cols) << 2; i < end; i += 4) {
    const value = load<f32>(x + i);
    if (value > most) most = value;
  }
  return most;
}

/** log Σ e^(x − max) over a row */
export function logSum(x: usize, cols: i32, max: f32): f32 {
  return f32x4.extract_lane(logOf(f32x4.splat(sumRow<Exponential>(x, 0, 0, cols, max, 0))), 0);
}

/** e^(x − max) */
@final
class Exponential {
  @inline
  at(x: usize, b: usize, c: usize, max: v128, q: v128, n: usize): v128 {
    return exp2(f32x4.mul(f32x4.sub(get(x, n), max), log2e()));
  }
}

/** e^(x − max), also written to y */
@final
class StoredExponential {
  @inline
  at(x: usize, y: usize, c: usize, max: v128, q: v128, n: usize): v128 {
    const e = exp2(f32x4.mul(f32x4.sub(get(x, n), max), log2e()));
    put(y, e, n);
    return e;
  }
}

@final
class Scaled {
  @inline
  at(a: usize, b: usize, c: usize, factor: v128, q: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.mul(get(a, n), factor);
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
