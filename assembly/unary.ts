/**
 * y[i] = f(x[i]) over `n` dense floats, and dx[i] = dy[i]·f′ from x or y, whichever is cheaper. An operation is a class
 * whose `apply` maps one vector.
 */
import { Unary, UnaryGrad, map, mapGrad } from "./map";
import {
  at,
  erf as erfOf,
  exp as expOf,
  exp2,
  expm1 as expm1Of,
  gauss,
  log as logOf,
  log1p as log1pOf,
  mills,
  sigmoid as sigmoidOf,
  tanh as tanhOf,
} from "./math";
import { cos as cos64, narrow, sin as sin64, widenHigh, widenLow } from "./math64";
import { get, mapRow } from "./rows";
import { madd, nmadd } from "./simd";

const CONSTANTS: usize = memory.data<f32>([1, 0.5, -0.5]);

// @ts-ignore: decorator
@inline
function one(): v128 {
  return at(CONSTANTS, 0);
}

// @ts-ignore: decorator
@inline
function half(): v128 {
  return at(CONSTANTS, 1);
}

// @ts-ignore: decorator
@inline
function zero(): v128 {
  return f32x4.splat(0);
}

@final
class Relu extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.pmax(x, zero());
  }
}

@final
class ReluGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return v128.andnot(dy, f32x4.le(y, zero()));
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
    return f32x4.mul(dy, f32x4.mul(y, f32x4.sub(one(), y)));
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
    return f32x4.mul(dy, nmadd(y, y, one()));
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
    return f32x4.mul(dy, madd(f32x4.mul(s, f32x4.sub(one(), s)), x, s));
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

const GELU: usize = memory.data<f32>([
  14, // 0: Φ(−x) is 0 from there
  -0, // 1: the sign bit
  0.39894228, // 2: 1/√2π
  -1, // 3: log₂ Φ(−a), a polynomial: Φ within 1.8e-7
  -1.1511225990441092, // 4
  -0.4590347270639066, // 5
  -0.053046340211599936, // 6
  0.007844626061516731, // 7
  -0.0006995306244773161, // 8
  2.5583640822617398e-5, // 9
]);

/** max(x, 0) − |x|·Φ(−|x|): the tail of the normal distribution keeps its relative accuracy where x < 0. */
@final
class Gelu extends Unary {
  @inline
  apply(x: v128): v128 {
    const a = v128.andnot(f32x4.pmin(x, at(GELU, 0)), at(GELU, 1));
    const b = f32x4.pmin(a, at(GELU, 0));
    const b2 = f32x4.mul(b, b);
    const p01 = madd(at(GELU, 4), b, at(GELU, 3));
    const p23 = madd(at(GELU, 6), b, at(GELU, 5));
    const p45 = madd(at(GELU, 8), b, at(GELU, 7));
    const p = madd(madd(madd(at(GELU, 9), b2, p45), b2, p23), b2, p01);
    return nmadd(a, exp2(p), f32x4.pmax(x, zero()));
  }
}

@final
class GeluGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const a = f32x4.pmin(v128.andnot(x, at(GELU, 1)), at(GELU, 0));
    const left = f32x4.mul(gauss(a), nmadd(a, at(GELU, 2), mills(a)));
    return f32x4.mul(dy, v128.bitselect(left, f32x4.sub(one(), left), f32x4.lt(x, zero())));
  }
}

/** y = x·Φ(x), Φ(x) = (1 + erf(x/√2)) / 2 */
export function gelu(y: usize, x: usize, n: i32): void {
  map<Gelu>(y, x, n);
}

/** dx = dy·(Φ(x) + x·φ(x)), φ(x) = e^(−x²/2) / √2π */
export function geluGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<GeluGrad>(dx, dy, x, n);
}

const GELU_TANH: usize = memory.data<f32>([
  1.5957691216, // 0: 2√(2/π)
  0.0713548163, // 1: 2√(2/π)·0.044715
  0.2140644489, // 2: three times that
]);

@final
class GeluTanh extends Unary {
  @inline
  apply(x: v128): v128 {
    const u = f32x4.mul(x, madd(f32x4.mul(x, x), at(GELU_TANH, 1), at(GELU_TANH, 0)));
    return f32x4.mul(x, sigmoidOf(u));
  }
}

@final
class GeluTanhGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const x2 = f32x4.mul(x, x);
    const s = sigmoidOf(f32x4.mul(x, madd(x2, at(GELU_TANH, 1), at(GELU_TANH, 0))));
    const du = madd(x2, at(GELU_TANH, 2), at(GELU_TANH, 0));
    return f32x4.mul(dy, madd(f32x4.mul(f32x4.mul(s, f32x4.sub(one(), s)), x), du, s));
  }
}

/** y = x·(1 + tanh(u/2)) / 2 = x·σ(u), u = 2√(2/π)·(x + 0.044715·x³) */
export function geluTanh(y: usize, x: usize, n: i32): void {
  map<GeluTanh>(y, x, n);
}

/** dx = dy·(s + x·s·(1 − s)·u′), s = σ(u) */
export function geluTanhGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<GeluTanhGrad>(dx, dy, x, n);
}

const GELU_QUICK: usize = memory.data<f32>([1.702]);

@final
class GeluQuick extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.mul(x, sigmoidOf(f32x4.mul(x, at(GELU_QUICK, 0))));
  }
}

@final
class GeluQuickGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const u = f32x4.mul(x, at(GELU_QUICK, 0));
    const s = sigmoidOf(u);
    return f32x4.mul(dy, madd(f32x4.mul(s, f32x4.sub(one(), s)), u, s));
  }
}

/** y = x·σ(1.702·x) */
export function geluQuick(y: usize, x: usize, n: i32): void {
  map<GeluQuick>(y, x, n);
}

/** dx = dy·(s + u·s·(1 − s)), s = σ(u), u = 1.702·x */
export function geluQuickGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<GeluQuickGrad>(dx, dy, x, n);
}

@final
class Exp extends Unary {
  @inline
  apply(x: v128): v128 {
    return expOf(x);
  }
}

@final
class ExpGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.mul(dy, y);
  }
}

/** y = e^x */
export function exp(y: usize, x: usize, n: i32): void {
  map<Exp>(y, x, n);
}

/** dx = dy·y */
export function expGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<ExpGrad>(dx, dy, y, n);
}

@final
class Log extends Unary {
  @inline
  apply(x: v128): v128 {
    return logOf(x);
  }
}

@final
class LogGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.div(dy, x);
  }
}

/** y = log x */
export function log(y: usize, x: usize, n: i32): void {
  map<Log>(y, x, n);
}

/** dx = dy / x */
export function logGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<LogGrad>(dx, dy, x, n);
}

const ERF_GRAD: usize = memory.data<f32>([1.41421354, 1.12837917]);

@final
class Erf extends Unary {
  @inline
  apply(x: v128): v128 {
    return erfOf(x);
  }
}

@final
class ErfGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.mul(dy, f32x4.mul(gauss(f32x4.mul(x, at(ERF_GRAD, 0))), at(ERF_GRAD, 1)));
  }
}

/** y = erf x */
export function erf(y: usize, x: usize, n: i32): void {
  map<Erf>(y, x, n);
}

/** dx = dy·2/√π·e^(−x²) */
export function erfGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<ErfGrad>(dx, dy, x, n);
}

@final
class Sqrt extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.sqrt(x);
  }
}

@final
class SqrtGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.div(f32x4.mul(dy, half()), y);
  }
}

/** y = √x */
export function sqrt(y: usize, x: usize, n: i32): void {
  map<Sqrt>(y, x, n);
}

/** dx = dy / 2y */
export function sqrtGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<SqrtGrad>(dx, dy, y, n);
}

@final
class Rsqrt extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.div(one(), f32x4.sqrt(x));
  }
}

@final
class RsqrtGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.mul(f32x4.mul(dy, at(CONSTANTS, 2)), f32x4.mul(f32x4.mul(y, y), y));
  }
}

/** y = 1/√x */
export function rsqrt(y: usize, x: usize, n: i32): void {
  map<Rsqrt>(y, x, n);
}

/** dx = −dy·y³/2 */
export function rsqrtGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<RsqrtGrad>(dx, dy, y, n);
}

@final
class Square extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.mul(x, x);
  }
}

@final
class SquareGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.mul(dy, f32x4.add(x, x));
  }
}

/** y = x² */
export function square(y: usize, x: usize, n: i32): void {
  map<Square>(y, x, n);
}

/** dx = dy·2x */
export function squareGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<SquareGrad>(dx, dy, x, n);
}

@final
class Neg extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.neg(x);
  }
}

/** y = −x */
export function neg(y: usize, x: usize, n: i32): void {
  map<Neg>(y, x, n);
}

@final
class Abs extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.abs(x);
  }
}

@final
class AbsGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const positive = v128.and(dy, f32x4.gt(x, zero()));
    const negative = v128.and(dy, f32x4.lt(x, zero()));
    return f32x4.sub(positive, negative);
  }
}

/** y = |x| */
export function abs(y: usize, x: usize, n: i32): void {
  map<Abs>(y, x, n);
}

/** dx = dy·sign x, 0 at 0 */
export function absGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<AbsGrad>(dx, dy, x, n);
}

@final
class Reciprocal extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.div(one(), x);
  }
}

@final
class ReciprocalGrad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.neg(f32x4.mul(dy, f32x4.mul(y, y)));
  }
}

/** y = 1/x */
export function reciprocal(y: usize, x: usize, n: i32): void {
  map<Reciprocal>(y, x, n);
}

/** dx = −dy·y² */
export function reciprocalGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<ReciprocalGrad>(dx, dy, y, n);
}

@final
class Log1p extends Unary {
  @inline
  apply(x: v128): v128 {
    return log1pOf(x);
  }
}

@final
class Log1pGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.div(dy, f32x4.add(x, one()));
  }
}

/** y = log(1 + x) */
export function log1p(y: usize, x: usize, n: i32): void {
  map<Log1p>(y, x, n);
}

/** dx = dy / (1 + x) */
export function log1pGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<Log1pGrad>(dx, dy, x, n);
}

@final
class Expm1 extends Unary {
  @inline
  apply(x: v128): v128 {
    return expm1Of(x);
  }
}

@final
class Expm1Grad extends UnaryGrad {
  @inline
  apply(dy: v128, y: v128): v128 {
    return f32x4.mul(dy, f32x4.add(y, one()));
  }
}

/** y = e^x − 1 */
export function expm1(y: usize, x: usize, n: i32): void {
  map<Expm1>(y, x, n);
}

/** dx = dy·(y + 1) */
export function expm1Grad(dx: usize, dy: usize, y: usize, n: i32): void {
  mapGrad<Expm1Grad>(dx, dy, y, n);
}

@final
class Sign extends Unary {
  @inline
  apply(x: v128): v128 {
    const positive = v128.and(one(), f32x4.gt(x, zero()));
    return f32x4.sub(positive, v128.and(one(), f32x4.lt(x, zero())));
  }
}

/** y = 1 where x > 0, −1 where x < 0, else 0 */
export function sign(y: usize, x: usize, n: i32): void {
  map<Sign>(y, x, n);
}

@final
class Round extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.nearest(x);
  }
}

/** y = the whole number nearest to x, the even one of two */
export function round(y: usize, x: usize, n: i32): void {
  map<Round>(y, x, n);
}

@final
class Floor extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.floor(x);
  }
}

/** y = the greatest whole number ≤ x */
export function floor(y: usize, x: usize, n: i32): void {
  map<Floor>(y, x, n);
}

@final
class Ceil extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.ceil(x);
  }
}

/** y = the least whole number ≥ x */
export function ceil(y: usize, x: usize, n: i32): void {
  map<Ceil>(y, x, n);
}

/** Four sines by float64, since float32 loses the angle long before 2²⁴. */
function sinOf(x: v128): v128 {
  return narrow(sin64(widenLow(x)), sin64(widenHigh(x)));
}

function cosOf(x: v128): v128 {
  return narrow(cos64(widenLow(x)), cos64(widenHigh(x)));
}

@final
class Sin extends Unary {
  @inline
  apply(x: v128): v128 {
    return sinOf(x);
  }
}

@final
class SinGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.mul(dy, cosOf(x));
  }
}

/** y = sin x */
export function sin(y: usize, x: usize, n: i32): void {
  map<Sin>(y, x, n);
}

/** dx = dy·cos x */
export function sinGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<SinGrad>(dx, dy, x, n);
}

@final
class Cos extends Unary {
  @inline
  apply(x: v128): v128 {
    return cosOf(x);
  }
}

@final
class CosGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    return f32x4.neg(f32x4.mul(dy, sinOf(x)));
  }
}

/** y = cos x */
export function cos(y: usize, x: usize, n: i32): void {
  map<Cos>(y, x, n);
}

/** dx = −dy·sin x */
export function cosGrad(dx: usize, dy: usize, x: usize, n: i32): void {
  mapGrad<CosGrad>(dx, dy, x, n);
}

@final
class Clamp {
  @inline
  at(x: usize, b: usize, c: usize, low: v128, high: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.pmin(f32x4.pmax(get(x, n), low), high);
  }
}

@final
class ClampGrad {
  @inline
  at(dy: usize, x: usize, c: usize, low: v128, high: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const v = get(x, n);
    return v128.and(get(dy, n), v128.and(f32x4.ge(v, low), f32x4.le(v, high)));
  }
}

/** y = min(max(x, low), high), NaN where x is */
export function clamp(y: usize, x: usize, n: i32, low: f32, high: f32): void {
  mapRow<Clamp>(y, x, 0, 0, n, low, high);
}

/** dx = dy where low ≤ x ≤ high, else 0 */
export function clampGrad(dx: usize, dy: usize, x: usize, n: i32, low: f32, high: f32): void {
  mapRow<ClampGrad>(dx, dy, x, 0, n, low, high);
}
