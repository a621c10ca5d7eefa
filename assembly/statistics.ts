/** Variances and norms of the rows of x [rows, n], dense, in float64. */
import { pow64 } from "./scalar";

/** y = Σ (x − mean x)² / divisor */
export function variance(y: usize, x: usize, rows: i32, n: i32, divisor: f64): void {
  for (let r = 0; r < rows; r++) {
    const mean = sumRow<Value>(x, n, 0) / <f64>n;
    store<f32>(y, <f32>(sumRow<SquaredDeviation>(x, n, mean) / divisor));
    x += (<usize>n) << 2;
    y += 4;
  }
}

/** dx = dy · 2 (x − mean x) / divisor */
export function varianceGrad(dx: usize, dy: usize, x: usize, rows: i32, n: i32, divisor: f64): void {
  for (let r = 0; r < rows; r++) {
    scaleDeviations(dx, x, n, (2 * <f64>load<f32>(dy)) / divisor);
    dx += (<usize>n) << 2;
    x += (<usize>n) << 2;
    dy += 4;
  }
}

/** dx = dy · (x − mean x) / (y · divisor) for y = √variance; 0 where y is 0 */
export function stdGrad(dx: usize, dy: usize, x: usize, y: usize, rows: i32, n: i32, divisor: f64): void {
  for (let r = 0; r < rows; r++) {
    const std = <f64>load<f32>(y);
    scaleDeviations(dx, x, n, std == 0 ? 0 : <f64>load<f32>(dy) / (std * divisor));
    dx += (<usize>n) << 2;
    x += (<usize>n) << 2;
    dy += 4;
    y += 4;
  }
}

/** y = (Σ |x|^p)^(1/p); the largest and the least |x| for p = ±∞, the count of x ≠ 0 for p = 0 */
export function vectorNorm(y: usize, x: usize, rows: i32, n: i32, p: f64): void {
  for (let r = 0; r < rows; r++) {
    store<f32>(y, <f32>rowNorm(x, n, p));
    x += (<usize>n) << 2;
    y += 4;
  }
}

/** dx = dy · sign x · (|x| / y)^(p − 1), 0 where x or y is 0; p = ±∞: elements of |x| = y share dy */
export function vectorNormGrad(dx: usize, dy: usize, x: usize, y: usize, rows: i32, n: i32, p: f64): void {
  for (let r = 0; r < rows; r++) {
    const g = <f64>load<f32>(dy);
    const norm = load<f32>(y);
    if (abs<f64>(p) == Infinity) shareExtremum(dx, g, x, norm, n);
    else if (p == 0 || norm == 0) memory.fill(dx, 0, (<usize>n) << 2);
    else if (p == 2) scaleRow(dx, x, n, g / <f64>norm);
    else powerGrad(dx, g, x, norm, n, p);
    dx += (<usize>n) << 2;
    x += (<usize>n) << 2;
    dy += 4;
    y += 4;
  }
}

@final
class Value {
  @inline
  at(x: v128, _p: v128): v128 {
    return x;
  }
}

@final
class Magnitude {
  @inline
  at(x: v128, _p: v128): v128 {
    return f64x2.abs(x);
  }
}

@final
class SquaredDeviation {
  @inline
  at(x: v128, mean: v128): v128 {
    const d = f64x2.sub(x, mean);
    return f64x2.mul(d, d);
  }
}

/** Σ term(x, p) */
// @ts-ignore: decorator
@inline
function sumRow<Term>(x: usize, n: i32, p: f64): f64 {
  const term = changetype<Term>(0);
  const ps = f64x2.splat(p);
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  const end = x + ((<usize>n & ~3) << 2);
  while (x < end) {
    // @ts-ignore: Term is a class with such an `at`
    a = f64x2.add(a, term.at(f64x2.promote_low_f32x4(v128.load64_zero(x)), ps));
    // @ts-ignore: as above
    b = f64x2.add(b, term.at(f64x2.promote_low_f32x4(v128.load64_zero(x, 8)), ps));
    x += 16;
  }
  for (let i = n & ~3; i < n; i++) {
    // @ts-ignore: as above
    const last: v128 = term.at(f64x2.splat(<f64>load<f32>(x)), ps);
    a = f64x2.add(a, f64x2.replace_lane(last, 1, 0));
    x += 4;
  }
  const all = f64x2.add(a, b);
  return f64x2.extract_lane(all, 0) + f64x2.extract_lane(all, 1);
}

function rowNorm(x: usize, n: i32, p: f64): f64 {
  if (p == 1) return sumRow<Magnitude>(x, n, 0);
  if (p == 2) return sqrt<f64>(sumRow<SquaredDeviation>(x, n, 0));
  if (p == Infinity) return largest(x, n);
  if (p == -Infinity) return least(x, n);
  let total: f64 = 0;
  for (let i = 0; i < n; i++) {
    const v = abs<f64>(<f64>load<f32>(x));
    total += p == 0 ? (v == 0 ? 0 : 1) : pow64(v, p);
    x += 4;
  }
  return p == 0 ? total : pow64(total, 1 / p);
}

/** max |x|, NaN where one is, 0 of nothing */
function largest(x: usize, n: i32): f64 {
  let best: f32 = 0;
  for (let i = 0; i < n; i++) {
    best = max<f32>(best, abs<f32>(load<f32>(x)));
    x += 4;
  }
  return best;
}

/** min |x|, NaN where one is, ∞ of nothing */
function least(x: usize, n: i32): f64 {
  let best: f32 = Infinity;
  for (let i = 0; i < n; i++) {
    best = min<f32>(best, abs<f32>(load<f32>(x)));
    x += 4;
  }
  return best;
}

/** y = s · (x − mean x) */
function scaleDeviations(y: usize, x: usize, n: i32, s: f64): void {
  const mean = sumRow<Value>(x, n, 0) / <f64>n;
  for (let i = 0; i < n; i++) {
    store<f32>(y, <f32>(s * (<f64>load<f32>(x) - mean)));
    x += 4;
    y += 4;
  }
}

/** y = s · x */
// @ts-ignore: decorator
@inline
function scaleRow(y: usize, x: usize, n: i32, s: f64): void {
  for (let i = 0; i < n; i++) {
    store<f32>(y, <f32>(s * <f64>load<f32>(x)));
    x += 4;
    y += 4;
  }
}

// @ts-ignore: decorator
@inline
function powerGrad(dx: usize, g: f64, x: usize, norm: f32, n: i32, p: f64): void {
  for (let i = 0; i < n; i++) {
    const v = <f64>load<f32>(x);
    const slope = v == 0 ? 0 : pow64(abs<f64>(v) / <f64>norm, p - 1);
    store<f32>(dx, <f32>(g * (v < 0 ? -slope : slope)));
    x += 4;
    dx += 4;
  }
}

// @ts-ignore: decorator
@inline
function shareExtremum(dx: usize, g: f64, x: usize, norm: f32, n: i32): void {
  let hits = 0;
  for (let i = 0; i < n; i++) if (isSame(abs<f32>(load<f32>(x + ((<usize>i) << 2))), norm)) hits++;
  for (let i = 0; i < n; i++) {
    const v = load<f32>(x);
    const share = isSame(abs<f32>(v), norm) && v != 0 ? g / <f64>hits : 0;
    store<f32>(dx, <f32>(v < 0 ? -share : share));
    x += 4;
    dx += 4;
  }
}

// @ts-ignore: decorator
@inline
function isSame(a: f32, b: f32): bool {
  return a == b || (a != a && b != b);
}
