/**
 * y[i] = f(x[i]) over `n` dense floats, and dx[i] = dy[i]·f′ from x or y, whichever is cheaper. An operation is a class
 * whose `apply` maps one vector. Activations are in activation.ts and gelu.ts.
 */
import { Unary, UnaryGrad, map, mapGrad } from "./map";
import { at, erf as erfOf, exp as expOf, expm1 as expm1Of, gauss, log as logOf, log1p as log1pOf } from "./math";
import { cos as cos64, narrow, sin as sin64, widenHigh, widenLow } from "./math64";
import { get, mapRow } from "./rows";

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
