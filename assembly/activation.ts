/** Activations over `n` dense floats, and their gradients from x or y, whichever is cheaper. GELU is in gelu.ts. */
import { Unary, UnaryGrad, map, mapGrad } from "./map";
import { at, exp, expm1, log1pOfUnit, sigmoid as sigmoidOf, tanh as tanhOf } from "./math";
import { get, mapRow, put } from "./rows";
import { madd, nmadd } from "./simd";

const CONSTANTS: usize = memory.data<f32>([
  0, // 0
  1, // 1
  2, // 2
  3, // 3
  4, // 4
  6, // 5
  0.5, // 6
  20, // 7: from there tanh(softplus x) is 1
  -3, // 8
]);

@final
class Relu extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.pmax(x, f32x4.splat(0));
  }
}

@final
class ReluGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return v128.andnot(dy, f32x4.le(y, f32x4.splat(0)));
  }
}

/** y = max(x, 0) */
export function relu(y: usize, x: usize, n: i32): void {
  map<Relu>(y, x, n);
}

/** dx = 0 where y ≤ 0, else dy */
export function reluGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<ReluGrad>(dx, dy, y, n);
}

@final
class Sigmoid extends Unary {
  @inline
  apply(x: v128): v128 {
    return sigmoidOf(x);
  }
}

@final
class SigmoidGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.mul(dy, f32x4.mul(y, f32x4.sub(at(CONSTANTS, 1), y)));
  }
}

/** y = σ(x) = 1 / (1 + e^−x) */
export function sigmoid(y: usize, x: usize, n: i32): void {
  map<Sigmoid>(y, x, n);
}

/** dx = dy·y·(1 − y) */
export function sigmoidGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<SigmoidGrad>(dx, dy, y, n);
}

@final
class Tanh extends Unary {
  @inline
  apply(x: v128): v128 {
    return tanhOf(x);
  }
}

@final
class TanhGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.mul(dy, nmadd(y, y, at(CONSTANTS, 1)));
  }
}

/** y = tanh x */
export function tanh(y: usize, x: usize, n: i32): void {
  map<Tanh>(y, x, n);
}

/** dx = dy·(1 − y²) */
export function tanhGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<TanhGrad>(dx, dy, y, n);
}

@final
class Silu extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.mul(x, sigmoidOf(x));
  }
}

@final
class SiluGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const s = sigmoidOf(x);
    return f32x4.mul(dy, madd(f32x4.mul(s, f32x4.sub(at(CONSTANTS, 1), s)), x, s));
  }
}

/** y = x·σ(x) */
export function silu(y: usize, x: usize, n: i32): void {
  map<Silu>(y, x, n);
}

/** dx = dy·(s + x·s·(1 − s)), s = σ(x) */
export function siluGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<SiluGrad>(dx, dy, x, n);
}

/** silu(a) · b */
@final
class SiluMul {
  @inline
  at(a: usize, b: usize, c: usize, p: v128, q: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const x = get(a, n);
    return f32x4.mul(f32x4.mul(x, sigmoidOf(x)), get(b, n));
  }
}

/** y = silu(a)·b */
export function siluMul(y: usize, a: usize, b: usize, n: i32): void {
  mapRow<SiluMul>(y, a, b, 0, n, 0);
}

// @ts-ignore: decorator
@inline
function siluMulGradAt(da: usize, db: usize, dy: usize, a: usize, b: usize, n: usize): void {
  const x = get(a, n);
  const g = get(dy, n);
  const s = sigmoidOf(x);
  put(db, f32x4.mul(g, f32x4.mul(x, s)), n);
  put(da, f32x4.mul(f32x4.mul(g, get(b, n)), madd(f32x4.mul(s, f32x4.sub(at(CONSTANTS, 1), s)), x, s)), n);
}

/** da = dy·b·silu′(a), db = dy·silu(a); two vectors an iteration take 5 % less. */
export function siluMulGrad(da: usize, db: usize, dy: usize, a: usize, b: usize, n: i32): void {
  const whole = (<usize>n & ~3) << 2;
  let i: usize = 0;
  for (; i + 16 < whole; i += 32) {
    siluMulGradAt(da + i, db + i, dy + i, a + i, b + i, 0);
    siluMulGradAt(da + i + 16, db + i + 16, dy + i + 16, a + i + 16, b + i + 16, 0);
  }
  if (i < whole) siluMulGradAt(da + i, db + i, dy + i, a + i, b + i, 0);
  const tail = <usize>n & 3;
  if (tail) siluMulGradAt(da + whole, db + whole, dy + whole, a + whole, b + whole, tail);
}

@final
class Softplus {
  @inline
  at(x: usize, b: usize, c: usize, beta: v128, threshold: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const v = get(x, n);
    const u = f32x4.mul(v, beta);
    const y = f32x4.add(f32x4.pmax(u, at(CONSTANTS, 0)), log1pOfUnit(exp(f32x4.neg(f32x4.abs(u)))));
    return v128.bitselect(v, f32x4.div(y, beta), f32x4.gt(u, threshold));
  }
}

@final
class SoftplusGrad {
  @inline
  at(dy: usize, x: usize, c: usize, beta: v128, threshold: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const u = f32x4.mul(get(x, n), beta);
    const g = get(dy, n);
    return v128.bitselect(g, f32x4.mul(g, sigmoidOf(u)), f32x4.gt(u, threshold));
  }
}

/** y = log(1 + e^βx) / β, x where βx > threshold */
export function softplus(y: usize, x: usize, n: i32, beta: f32, threshold: f32): void {
  mapRow<Softplus>(y, x, 0, 0, n, beta, threshold);
}

/** dx = dy·σ(βx), dy where βx > threshold */
export function softplusGrad(dx: usize, dy: usize, x: usize, n: i32, beta: f32, threshold: f32): void {
  mapRow<SoftplusGrad>(dx, dy, x, 0, n, beta, threshold);
}

@final
class Elu {
  @inline
  at(x: usize, b: usize, c: usize, alpha: v128, scale: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const v = get(x, n);
    const y = v128.bitselect(v, f32x4.mul(alpha, expm1(v)), f32x4.gt(v, at(CONSTANTS, 0)));
    return f32x4.mul(y, scale);
  }
}

@final
class EluGrad {
  @inline
  at(dy: usize, x: usize, c: usize, alpha: v128, scale: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const v = get(x, n);
    const slope = v128.bitselect(at(CONSTANTS, 1), f32x4.mul(alpha, exp(v)), f32x4.gt(v, at(CONSTANTS, 0)));
    return f32x4.mul(get(dy, n), f32x4.mul(slope, scale));
  }
}

/** y = scale·x where x > 0, else scale·α·(e^x − 1) */
export function elu(y: usize, x: usize, n: i32, alpha: f32, scale: f32): void {
  mapRow<Elu>(y, x, 0, 0, n, alpha, scale);
}

/** dx = dy·scale where x > 0, else dy·scale·α·e^x */
export function eluGrad(dx: usize, dy: usize, x: usize, n: i32, alpha: f32, scale: f32): void {
  mapRow<EluGrad>(dx, dy, x, 0, n, alpha, scale);
}

/** With e = e^x: tanh(log(1 + e)) = m / (m + 2), m = e·(e + 2). */
@final
class Mish extends Unary {
  @inline
  apply(x: v128): v128 {
    const e = exp(f32x4.pmin(x, at(CONSTANTS, 7)));
    const m = f32x4.mul(e, f32x4.add(e, at(CONSTANTS, 2)));
    return f32x4.mul(x, f32x4.div(m, f32x4.add(m, at(CONSTANTS, 2))));
  }
}

@final
class MishGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const v = f32x4.pmin(x, at(CONSTANTS, 7));
    const e = exp(v);
    const m = f32x4.mul(e, f32x4.add(e, at(CONSTANTS, 2)));
    const d = f32x4.add(m, at(CONSTANTS, 2));
    const slope = f32x4.div(f32x4.mul(madd(e, e, e), at(CONSTANTS, 4)), f32x4.mul(d, d));
    return f32x4.mul(dy, madd(v, slope, f32x4.div(m, d)));
  }
}

/** y = x·tanh(log(1 + e^x)) */
export function mish(y: usize, x: usize, n: i32): void {
  map<Mish>(y, x, n);
}

/** dx = dy·(m / (m + 2) + x·4e·(e + 1) / (m + 2)²), e = e^x, m = e·(e + 2) */
export function mishGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<MishGrad>(dx, dy, x, n);
}

/** min(max(x, 0), 6), NaN where x is */
// @ts-ignore: decorator
@inline
function zeroToSix(x: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, at(CONSTANTS, 0)), at(CONSTANTS, 5));
}

@final
class Relu6 extends Unary {
  @inline
  apply(x: v128): v128 {
    return zeroToSix(x);
  }
}

@final
class Relu6Grad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return v128.and(dy, v128.and(f32x4.gt(y, at(CONSTANTS, 0)), f32x4.lt(y, at(CONSTANTS, 5))));
  }
}

/** y = min(max(x, 0), 6) */
export function relu6(y: usize, x: usize, n: i32): void {
  map<Relu6>(y, x, n);
}

/** dx = dy where 0 < y < 6, else 0 */
export function relu6Grad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<Relu6Grad>(dx, dy, y, n);
}

@final
class Hardsigmoid extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.div(zeroToSix(f32x4.add(x, at(CONSTANTS, 3))), at(CONSTANTS, 5));
  }
}

@final
class HardsigmoidGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const inside = v128.and(f32x4.gt(x, at(CONSTANTS, 8)), f32x4.lt(x, at(CONSTANTS, 3)));
    return v128.and(f32x4.div(dy, at(CONSTANTS, 5)), inside);
  }
}

/** y = min(max(x + 3, 0), 6) / 6 */
export function hardsigmoid(y: usize, x: usize, n: i32): void {
  map<Hardsigmoid>(y, x, n);
}

/** dx = dy / 6 where −3 < x < 3, else 0 */
export function hardsigmoidGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<HardsigmoidGrad>(dx, dy, x, n);
}

@final
class Hardswish extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.div(f32x4.mul(x, zeroToSix(f32x4.add(x, at(CONSTANTS, 3)))), at(CONSTANTS, 5));
  }
}

@final
class HardswishGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const slope = f32x4.add(f32x4.div(x, at(CONSTANTS, 3)), at(CONSTANTS, 6));
    const inner = v128.andnot(f32x4.mul(dy, slope), f32x4.le(x, at(CONSTANTS, 8)));
    return v128.bitselect(dy, inner, f32x4.ge(x, at(CONSTANTS, 3)));
  }
}

/** y = x·min(max(x + 3, 0), 6) / 6 */
export function hardswish(y: usize, x: usize, n: i32): void {
  map<Hardswish>(y, x, n);
}

/** dx = 0 where x ≤ −3, dy where x ≥ 3, else dy·(x/3 + ½) */
export function hardswishGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<HardswishGrad>(dx, dy, x, n);
}

@final
class LogSigmoid extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.sub(f32x4.pmin(x, at(CONSTANTS, 0)), log1pOfUnit(exp(f32x4.neg(f32x4.abs(x)))));
  }
}

@final
class LogSigmoidGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.mul(dy, sigmoidOf(f32x4.neg(x)));
  }
}

/** y = log σ(x) = min(x, 0) − log(1 + e^−|x|) */
export function logSigmoid(y: usize, x: usize, n: i32): void {
  map<LogSigmoid>(y, x, n);
}

/** dx = dy·σ(−x) */
export function logSigmoidGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<LogSigmoidGrad>(dx, dy, x, n);
}
