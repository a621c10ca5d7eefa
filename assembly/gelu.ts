/** GELU (Hendrycks & Gimpel 2016), exact and in its two approximations, over `n` dense floats. */
import { Unary, UnaryGrad, map, mapGrad } from "./map";
import { at, exp2, gauss, mills, sigmoid } from "./math";
import { madd, nmadd } from "./simd";

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
  1, // 10
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
    return nmadd(a, exp2(p), f32x4.pmax(x, f32x4.splat(0)));
  }
}

@final
class GeluGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const a = f32x4.pmin(v128.andnot(x, at(GELU, 1)), at(GELU, 0));
    const left = f32x4.mul(gauss(a), nmadd(a, at(GELU, 2), mills(a)));
    return f32x4.mul(dy, v128.bitselect(left, f32x4.sub(at(GELU, 10), left), f32x4.lt(x, f32x4.splat(0))));
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
  1, // 3
]);

@final
class GeluTanh extends Unary {
  @inline
  apply(x: v128): v128 {
    const u = f32x4.mul(x, madd(f32x4.mul(x, x), at(GELU_TANH, 1), at(GELU_TANH, 0)));
    return f32x4.mul(x, sigmoid(u));
  }
}

@final
class GeluTanhGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const x2 = f32x4.mul(x, x);
    const s = sigmoid(f32x4.mul(x, madd(x2, at(GELU_TANH, 1), at(GELU_TANH, 0))));
    const du = madd(x2, at(GELU_TANH, 2), at(GELU_TANH, 0));
    return f32x4.mul(dy, madd(f32x4.mul(f32x4.mul(s, f32x4.sub(at(GELU_TANH, 3), s)), x), du, s));
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

const GELU_QUICK: usize = memory.data<f32>([1.702, 1]);

@final
class GeluQuick extends Unary {
  @inline
  apply(x: v128): v128 {
    return f32x4.mul(x, sigmoid(f32x4.mul(x, at(GELU_QUICK, 0))));
  }
}

@final
class GeluQuickGrad extends UnaryGrad {
  @inline
  apply(dy: v128, x: v128): v128 {
    const u = f32x4.mul(x, at(GELU_QUICK, 0));
    const s = sigmoid(u);
    return f32x4.mul(dy, madd(f32x4.mul(s, f32x4.sub(at(GELU_QUICK, 1), s)), u, s));
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
