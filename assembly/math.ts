/**
 * exp, log, sigmoid, tanh and erf of four floats at once. NaN comes out as NaN.
 *
 * Constants are read from tables in memory: V8 rebuilds a v128 constant wherever it is used, which costs more than a
 * load. Rounding adds and subtracts 1.5·2²³, since `nearest` is a long sequence; the sum's low bits then hold the
 * integer n, biased so that a shift makes 2ⁿ of them. e^r is the rational (h + r) / (h − r) with
 * h = r·coth(r/2) ≈ 2 + r²/6 − …: with three coefficients its error is 3e-10, and it takes fewer instructions than a
 * polynomial half as good.
 */
import { madd, nmadd } from "./simd";

/** All lanes the float at index `i` of a table. */
// @ts-ignore: decorator
@inline
export function at(table: usize, i: usize): v128 {
  return v128.load32_splat(table + (i << 2));
}

const EXP: usize = memory.data<f32>([
  -176.06, // 0: the least argument; 2ⁿ is 0 there
  89, // 1: the greatest; overflows
  1.44269504, // 2: log₂ e
  12583166, // 3: 1.5·2²³ + 2·127
  0.693359375, // 4: ln 2, high part: exact when multiplied by n
  -2.1219444e-4, // 5: ln 2, low part
  2, // 6: h
  0.16666582226753235, // 7
  -0.002763865515589714, // 8
  1, // 9
]);

/** e^x, correct to the last denormal: 2ⁿ is applied in two halves. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  x = f32x4.pmin(f32x4.pmax(x, at(EXP, 0)), at(EXP, 1));
  const rounded = madd(x, at(EXP, 2), at(EXP, 3));
  const n = f32x4.sub(rounded, at(EXP, 3));
  const r = nmadd(n, at(EXP, 5), nmadd(n, at(EXP, 4), x));
  const z = f32x4.mul(r, r);
  const h = madd(madd(at(EXP, 8), z, at(EXP, 7)), z, at(EXP, 6));
  const e = f32x4.add(f32x4.div(f32x4.add(r, r), f32x4.sub(h, r)), at(EXP, 9));
  const half = i32x4.shr_u(rounded, 1);
  return f32x4.mul(f32x4.mul(e, i32x4.shl(half, 23)), i32x4.shl(i32x4.sub(rounded, half), 23));
}

const EXP2: usize = memory.data<f32>([
  -127, // 0: the least argument; 2ⁿ is 0 there
  12583039, // 1: 1.5·2²³ + 127
  2.885390043258667, // 2: h of r·ln 2, divided by ln 2
  0.11552394926548004, // 3
  -0.0009204353555105627, // 4
  1.44269504, // 5: log₂ e
]);

/** 2^x for x ≤ 127; 0 where the result would be denormal. */
// @ts-ignore: decorator
@inline
export function exp2(x: v128): v128 {
  x = f32x4.pmax(x, at(EXP2, 0));
  const rounded = f32x4.add(x, at(EXP2, 1));
  const r = f32x4.sub(x, f32x4.sub(rounded, at(EXP2, 1)));
  const z = f32x4.mul(r, r);
  const h = madd(madd(at(EXP2, 4), z, at(EXP2, 3)), z, at(EXP2, 2));
  return f32x4.mul(f32x4.div(f32x4.add(h, r), f32x4.sub(h, r)), i32x4.shl(rounded, 23));
}

const PROBABILITY: usize = memory.data<f32>([
  -64, // 0: the least argument; 2ⁿ is 0 there
  12582976, // 1: 1.5·2²³ + 64
  9.22337204e18, // 2: 2⁶³ times the coefficients of 2^r, minimax over ±½ and exact at 0 (relative error 9e-8)
  6.39315269e18, // 3
  2.21566079e18, // 4
  5.11964809e17, // 5
  8.92039625e16, // 6
  1.22345515e16, // 7
]);

/**
 * 2^x for x ≤ 60, but 0 below 2⁻⁶³: so little beside the 1 of a softmax is nothing, while its products with gradients
 * would be denormal and take a hundred cycles each (three quarters of the backward pass where attention is sharp).
 * The shift makes 2ⁿ⁻⁶³, the polynomial 2⁶³ times the rest.
 */
// @ts-ignore: decorator
@inline
export function probability(x: v128): v128 {
  x = f32x4.pmax(x, at(PROBABILITY, 0));
  const rounded = f32x4.add(x, at(PROBABILITY, 1));
  const r = f32x4.sub(x, f32x4.sub(rounded, at(PROBABILITY, 1)));
  let p = madd(at(PROBABILITY, 7), r, at(PROBABILITY, 6));
  p = madd(p, r, at(PROBABILITY, 5));
  p = madd(p, r, at(PROBABILITY, 4));
  p = madd(p, r, at(PROBABILITY, 3));
  p = madd(p, r, at(PROBABILITY, 2));
  return f32x4.mul(p, i32x4.shl(rounded, 23));
}

/** log₂ e */
// @ts-ignore: decorator
@inline
export function log2e(): v128 {
  return at(EXP2, 5);
}

const SIGMOID: usize = memory.data<f32>([
  -88.7228391, // 0: the least argument; 2ⁿ is ∞ there
  88.0296919, // 1: the greatest; 2ⁿ is 0 there
  -1.44269504, // 2: −log₂ e
  12583039, // 3: 1.5·2²³ + 127
  0.693359375, // 4: ln 2, high part
  -2.1219444e-4, // 5: ln 2, low part
  2, // 6: h
  0.16666582226753235, // 7
  -0.002763865515589714, // 8
]);

/** 1 / (1 + e^−x) = (h + r) / (h + r + 2ⁿ(h − r)) with −x = n·ln 2 − r */
// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  x = f32x4.pmin(f32x4.pmax(x, at(SIGMOID, 0)), at(SIGMOID, 1));
  const rounded = madd(x, at(SIGMOID, 2), at(SIGMOID, 3));
  const n = f32x4.sub(rounded, at(SIGMOID, 3));
  const r = madd(n, at(SIGMOID, 5), madd(n, at(SIGMOID, 4), x));
  const z = f32x4.mul(r, r);
  const h = madd(madd(at(SIGMOID, 8), z, at(SIGMOID, 7)), z, at(SIGMOID, 6));
  const a = f32x4.add(h, r);
  return f32x4.div(a, madd(f32x4.sub(h, r), i32x4.shl(rounded, 23), a));
}

const TANH: usize = memory.data<f32>([
  10, // 0: the greatest |x|; the result is 1 from there
  2.88539008, // 1: 2 log₂ e
  12583039, // 2: 1.5·2²³ + 127
  0.693359375, // 3: ln 2, high part
  -2.1219444e-4, // 4: ln 2, low part
  2, // 5: h
  0.16666582226753235, // 6
  -0.002763865515589714, // 7
  1, // 8
  -0, // 9: the sign bit
]);

/** ±u / (u + 2) with u = e^2|x| − 1 = (2ⁿ·2r + (2ⁿ − 1)(h − r)) / (h − r) and 2|x| = n·ln 2 + r */
// @ts-ignore: decorator
@inline
export function tanh(x: v128): v128 {
  const a = f32x4.pmin(v128.andnot(x, at(TANH, 9)), at(TANH, 0));
  const rounded = madd(a, at(TANH, 1), at(TANH, 2));
  const n = f32x4.sub(rounded, at(TANH, 2));
  const r = nmadd(n, at(TANH, 4), nmadd(n, at(TANH, 3), f32x4.add(a, a)));
  const z = f32x4.mul(r, r);
  const h = madd(madd(at(TANH, 7), z, at(TANH, 6)), z, at(TANH, 5));
  const d = f32x4.sub(h, r);
  const scale = i32x4.shl(rounded, 23);
  const u = madd(f32x4.sub(scale, at(TANH, 8)), d, f32x4.mul(scale, f32x4.add(r, r)));
  const y = f32x4.div(u, f32x4.add(u, f32x4.add(d, d)));
  return v128.or(y, v128.and(x, at(TANH, 9)));
}

const GAUSS: usize = memory.data<f32>([
  -0.72134752, // 0: −½ log₂ e
  0.5, // 1: numerator
  0.3210827859933251, // 2
  0.09728459066990962, // 3
  0.01206703721120934, // 4
  1, // 5: denominator
  1.4400495696517326, // 6
  0.8435697258083239, // 7
  0.2431062601375483, // 8
  0.030276114445547262, // 9
]);

/** e^(−x²/2) */
// @ts-ignore: decorator
@inline
export function gauss(x: v128): v128 {
  return exp2(f32x4.mul(f32x4.mul(x, x), at(GAUSS, 0)));
}

/** Φ(−a)·e^(a²/2) for 0 ≤ a ≤ 1e9: the normal distribution's tail over `gauss`. Minimax over [0, 10]: error 7e-9. */
// @ts-ignore: decorator
@inline
export function mills(a: v128): v128 {
  const p = madd(madd(madd(at(GAUSS, 4), a, at(GAUSS, 3)), a, at(GAUSS, 2)), a, at(GAUSS, 1));
  let q = madd(madd(at(GAUSS, 9), a, at(GAUSS, 8)), a, at(GAUSS, 7));
  q = madd(madd(q, a, at(GAUSS, 6)), a, at(GAUSS, 5));
  return f32x4.div(p, q);
}

const ERF: usize = memory.data<f32>([
  0.75, // 0: up to here x·P(x²), a minimax fit (relative error 1.4e-9)
  1.1283791065216064, // 1
  -0.3761261999607086, // 2
  0.11283376812934875, // 3
  -0.026834625750780106, // 4
  0.005114348605275154, // 5
  -0.0006749532767571509, // 6
  1.41421354, // 7: √2
  14, // 8: the greatest √2|x|; the tail is 0 there
  1, // 9
  -0, // 10: the sign bit
]);

/** erf x = x·P(x²) near 0, else ±(1 − 2Φ(−√2|x|)) */
// @ts-ignore: decorator
@inline
export function erf(x: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = madd(madd(at(ERF, 6), z, at(ERF, 5)), z, at(ERF, 4));
  p = madd(madd(madd(p, z, at(ERF, 3)), z, at(ERF, 2)), z, at(ERF, 1));
  const a = f32x4.pmin(f32x4.mul(f32x4.abs(x), at(ERF, 7)), at(ERF, 8));
  const tail = f32x4.mul(gauss(a), mills(a));
  const y = v128.or(f32x4.sub(at(ERF, 9), f32x4.add(tail, tail)), v128.and(x, at(ERF, 10)));
  return v128.bitselect(f32x4.mul(x, p), y, f32x4.lt(f32x4.abs(x), at(ERF, 0)));
}

const LOG: usize = memory.data<f32>([
  1.17549435e-38, // 0: the least normal number
  8388608, // 1: 2²³
  0.707106769, // 2: √½
  1, // 3
  0.5, // 4
  0.693359375, // 5: ln 2, high part
  -2.1219444e-4, // 6: ln 2, low part
  Infinity, // 7
  0.3333333134651184, // 8: (log(1 + f) − f + f²/2) / f³, minimax (relative error 6e-9)
  -0.2500081956386566, // 9
  0.20001226663589478, // 10
  -0.16623356938362122, // 11
  0.14201757311820984, // 12
  -0.13160182535648346, // 13
  0.1276157647371292, // 14
  -0.07634496688842773, // 15
]);

/** log x = n·ln 2 + log(1 + f) with 1 + f in [√½, √2); −∞ at 0, NaN below. */
// @ts-ignore: decorator
@inline
export function log(x: v128): v128 {
  const denormal = f32x4.lt(x, at(LOG, 0));
  const bits = v128.bitselect(f32x4.mul(x, at(LOG, 1)), x, denormal);
  const exponent = i32x4.shr_s(i32x4.sub(bits, at(LOG, 2)), 23);
  const n = f32x4.convert_i32x4_s(i32x4.sub(exponent, v128.and(denormal, i32x4.splat(23))));
  const f = f32x4.sub(i32x4.sub(bits, i32x4.shl(exponent, 23)), at(LOG, 3));
  let p = madd(at(LOG, 15), f, at(LOG, 14));
  p = madd(p, f, at(LOG, 13));
  p = madd(p, f, at(LOG, 12));
  p = madd(p, f, at(LOG, 11));
  p = madd(p, f, at(LOG, 10));
  p = madd(p, f, at(LOG, 9));
  p = madd(p, f, at(LOG, 8));
  const f2 = f32x4.mul(f, f);
  const rest = madd(n, at(LOG, 6), nmadd(at(LOG, 4), f2, f32x4.mul(f32x4.mul(f2, f), p)));
  const y = madd(n, at(LOG, 5), f32x4.add(f, rest));
  const regular = v128.and(f32x4.gt(x, f32x4.splat(0)), f32x4.lt(x, at(LOG, 7)));
  // √x − 1/|x| is what is left: ∞ at ∞, −∞ at 0, NaN below 0 and at NaN.
  return v128.bitselect(y, f32x4.sub(f32x4.sqrt(x), f32x4.div(at(LOG, 3), f32x4.abs(x))), regular);
}

/** log(1 + x) = log u · x / (u − 1) with u the rounded 1 + x, whose error the quotient takes back. Kahan */
// @ts-ignore: decorator
@inline
export function log1p(x: v128): v128 {
  const u = f32x4.add(x, at(LOG, 3));
  const y = f32x4.mul(log(u), f32x4.div(x, f32x4.sub(u, at(LOG, 3))));
  const unchanged = v128.or(f32x4.eq(u, at(LOG, 3)), f32x4.eq(x, at(LOG, 7)));
  return v128.bitselect(x, y, unchanged);
}

const LOG1P: usize = memory.data<f32>([
  2, // 0: 2·artanh(s) / s in s², minimax over [0, 1/9] (relative error 8e-9)
  0.6666631698608398, // 1
  0.40024852752685547, // 2
  0.2796141803264618, // 3
  0.2817465662956238, // 4
]);

/** log(1 + x) = 2·artanh(s), s = x / (x + 2), for 0 ≤ x ≤ 1 */
// @ts-ignore: decorator
@inline
export function log1pOfUnit(x: v128): v128 {
  const s = f32x4.div(x, f32x4.add(x, at(LOG1P, 0)));
  const z = f32x4.mul(s, s);
  let p = madd(madd(at(LOG1P, 4), z, at(LOG1P, 3)), z, at(LOG1P, 2));
  p = madd(madd(p, z, at(LOG1P, 1)), z, at(LOG1P, 0));
  return f32x4.mul(s, p);
}

const EXPM1: usize = memory.data<f32>([
  -30, // 0: the least argument; the result is −1 there
  89, // 1: the greatest; overflows
  12583038, // 2: 1.5·2²³ + 126
  0.5, // 3
  2.9802322e-8, // 4: 2⁻²⁵: below it the result is x
]);

/** e^x − 1 = 2·(2ⁿ⁻¹·(e^r − 1) + 2ⁿ⁻¹ − ½), e^r − 1 = 2r / (h − r): nothing cancels near 0. */
// @ts-ignore: decorator
@inline
export function expm1(x: v128): v128 {
  const a = f32x4.pmin(f32x4.pmax(x, at(EXPM1, 0)), at(EXPM1, 1));
  const rounded = madd(a, at(EXP, 2), at(EXPM1, 2));
  const n = f32x4.sub(rounded, at(EXPM1, 2));
  const r = nmadd(n, at(EXP, 5), nmadd(n, at(EXP, 4), a));
  const z = f32x4.mul(r, r);
  const h = madd(madd(at(EXP, 8), z, at(EXP, 7)), z, at(EXP, 6));
  const scale = i32x4.shl(rounded, 23);
  const y = madd(scale, f32x4.div(f32x4.add(r, r), f32x4.sub(h, r)), f32x4.sub(scale, at(EXPM1, 3)));
  return v128.bitselect(x, f32x4.add(y, y), f32x4.lt(f32x4.abs(x), at(EXPM1, 4)));
}
