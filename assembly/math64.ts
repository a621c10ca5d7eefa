/**
 * pow, sin and cos of two float64 lanes, within two units in the last place while results are not extreme. Neither
 * madd nor anything of the engine: both variants and every runtime give the same bits. Polynomials are those of Sun's
 * fdlibm (1993). Constants are read from tables, as in math.ts.
 *
 * They are functions, not inlined: their users are scalars of TypeScript and kernels that no training step waits for.
 */

/** Both lanes the float at index `i` of a table. */
// @ts-ignore: decorator
@inline
function at(table: usize, i: usize): v128 {
  return v128.load64_splat(table + (i << 3));
}

// @ts-ignore: decorator
@inline
function muladd(a: v128, b: v128, c: v128): v128 {
  return f64x2.add(f64x2.mul(a, b), c);
}

/** The upper 21 bits of the significand: products of two such are exact. */
// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return v128.and(x, i64x2.splat(0xffffffff00000000));
}

const EXP: usize = memory.data<f64>([
  -750, // 0: the least argument; underflows
  710, // 1: the greatest; overflows
  1.44269504088896341, // 2: log₂ e
  6755399441057790, // 3: 1.5·2⁵² + 2·1023
  0.693147180369123816, // 4: ln 2, high part: exact when multiplied by n
  1.9082149292705877e-10, // 5: ln 2, low part
  4.13813679705723846e-8, // 6: r − r·(e^r + 1) / (e^r − 1) + 2 in r²
  -1.65339022054652515e-6, // 7
  6.61375632143793436e-5, // 8
  -2.77777777770155934e-3, // 9
  0.166666666666666019, // 10
  2, // 11
  1, // 12
]);

/** e^(x + rest), `rest` small beside x: 2ⁿ is applied in two halves, so that denormals are right. */
function exp(x: v128, rest: v128): v128 {
  const a = f64x2.pmin(f64x2.pmax(x, at(EXP, 0)), at(EXP, 1));
  const rounded = muladd(a, at(EXP, 2), at(EXP, 3));
  const n = f64x2.sub(rounded, at(EXP, 3));
  const high = f64x2.sub(a, f64x2.mul(n, at(EXP, 4)));
  const low = f64x2.sub(f64x2.mul(n, at(EXP, 5)), rest);
  const r = f64x2.sub(high, low);
  const z = f64x2.mul(r, r);
  let p = muladd(at(EXP, 6), z, at(EXP, 7));
  p = muladd(p, z, at(EXP, 8));
  p = muladd(p, z, at(EXP, 9));
  p = muladd(p, z, at(EXP, 10));
  const c = f64x2.sub(r, f64x2.mul(z, p));
  const quotient = f64x2.div(f64x2.mul(r, c), f64x2.sub(at(EXP, 11), c));
  const e = f64x2.add(at(EXP, 12), f64x2.add(f64x2.sub(quotient, low), high));
  const half = i64x2.shr_u(rounded, 1);
  return f64x2.mul(f64x2.mul(e, i64x2.shl(half, 52)), i64x2.shl(i64x2.sub(rounded, half), 52));
}

const POW: usize = memory.data<f64>([
  2.2250738585072014e-308, // 0: the least normal number
  18014398509481984, // 1: 2⁵⁴
  54, // 2
  6755399441056766, // 3: 1.5·2⁵² + 1022
  0.147981986051165859, // 4: (log((1 + s) / (1 − s)) − 2s) / s³ in s²
  0.153138376992093733, // 5
  0.181835721616180501, // 6
  0.22222198432149784, // 7
  0.285714287436623915, // 8
  0.399999999994094191, // 9
  0.666666666666673513, // 10
  Infinity, // 11
  -Infinity, // 12
  800, // 13: where e^±… is ∞ or 0 without the second float of the logarithm
  0.5, // 14
  1, // 15
  -0, // 16: the sign bit
]);

/**
 * x^y = ±e^(y·log |x|) as C's pow: 1 for y = 0 and for x = 1 whatever the other is, NaN for a negative x and a y that is
 * not whole. The logarithm is the sum of two floats, k·ln 2 + 2s + s·R(s²) with s = (m − 1) / (m + 1) and |x| = m·2ᵏ.
 */
export function pow(x: v128, y: v128): v128 {
  const zero = f64x2.splat(0);
  const one = at(POW, 15);
  const ax = f64x2.abs(x);
  const denormal = f64x2.lt(ax, at(POW, 0));
  const bits = v128.bitselect(f64x2.mul(ax, at(POW, 1)), ax, denormal);
  const biased = i64x2.shr_u(i64x2.sub(bits, i64x2.splat(0x0006a09e667f3bcd)), 52); // k + 1022, m from √½ to √2
  const whole = f64x2.sub(v128.or(biased, i64x2.splat(0x4338000000000000)), at(POW, 3));
  const k = f64x2.sub(whole, v128.and(denormal, at(POW, 2)));
  const m = i64x2.sub(bits, i64x2.shl(i64x2.sub(biased, i64x2.splat(1022)), 52));
  const f = f64x2.sub(m, one);
  const d = f64x2.add(m, one);
  const s = f64x2.div(f, d);
  const sHigh = upper(s);
  const sRest = f64x2.sub(s, sHigh);
  const dHigh = upper(d);
  const dRest = f64x2.add(f64x2.sub(d, dHigh), f64x2.sub(m, f64x2.sub(d, one)));
  const exact = f64x2.sub(f64x2.sub(f, f64x2.mul(sHigh, dHigh)), f64x2.mul(sHigh, dRest));
  const sLow = f64x2.add(sRest, f64x2.div(f64x2.sub(exact, f64x2.mul(sRest, d)), d));
  const z = f64x2.mul(s, s);
  let r = muladd(at(POW, 4), z, at(POW, 5));
  r = muladd(r, z, at(POW, 6));
  r = muladd(r, z, at(POW, 7));
  r = muladd(r, z, at(POW, 8));
  r = muladd(r, z, at(POW, 9));
  r = muladd(r, z, at(POW, 10));
  const series = f64x2.add(f64x2.add(sLow, sLow), f64x2.mul(s, f64x2.mul(z, r)));
  const kHigh = f64x2.mul(k, at(EXP, 4));
  const twice = f64x2.add(sHigh, sHigh);
  const high = f64x2.add(kHigh, twice);
  const lost = f64x2.sub(twice, f64x2.sub(high, kHigh));
  const low = f64x2.add(lost, muladd(k, at(EXP, 5), series));
  const sum = f64x2.add(high, low);
  const logHigh = upper(sum);
  const logLow = f64x2.sub(low, f64x2.sub(logHigh, high));
  const yHigh = upper(y);
  const regular = v128.and(f64x2.gt(ax, zero), f64x2.lt(ax, at(POW, 11)));
  const extreme = v128.bitselect(at(POW, 12), ax, f64x2.eq(ax, zero));
  const product = f64x2.mul(y, v128.bitselect(sum, extreme, regular));
  const moderate = f64x2.lt(f64x2.abs(product), at(POW, 13));
  const rest = muladd(f64x2.sub(y, yHigh), logHigh, f64x2.mul(y, logLow));
  const power = exp(v128.bitselect(f64x2.mul(yHigh, logHigh), product, moderate), v128.and(rest, moderate));
  const isWhole = f64x2.eq(f64x2.nearest(y), y);
  const half = f64x2.mul(y, at(POW, 14));
  const isOdd = v128.andnot(isWhole, f64x2.eq(f64x2.nearest(half), half));
  const signed = v128.or(power, v128.and(v128.and(isOdd, x), at(POW, 16)));
  const undefined = v128.andnot(v128.and(f64x2.lt(x, zero), regular), isWhole);
  const isOne = v128.and(f64x2.eq(ax, one), v128.or(f64x2.eq(x, one), f64x2.eq(f64x2.abs(y), at(POW, 11))));
  return v128.bitselect(one, v128.or(signed, undefined), v128.or(isOne, f64x2.eq(y, zero)));
}

const SIN: usize = memory.data<f64>([
  1e6, // 0: beyond it the products with π/2 are not exact
  0.636619772367581343, // 1: 2/π
  6755399441055744, // 2: 1.5·2⁵²
  1.57079632673412561, // 3: π/2 in three parts of 33 bits
  6.07710050630396598e-11, // 4
  2.02226624879595063e-21, // 5
  1.5896909952115501e-10, // 6: (sin r − r) / r³ in r²
  -2.50507602534068634e-8, // 7
  2.75573137070700677e-6, // 8
  -1.98412698298579493e-4, // 9
  8.33333333332248946e-3, // 10
  -0.166666666666666324, // 11
  -1.13596475577881948e-11, // 12: (cos r − 1 + r²/2) / r⁴ in r²
  2.08757232129817483e-9, // 13
  -2.75573143513906633e-7, // 14
  2.48015872894767294e-5, // 15
  -1.38888888888741096e-3, // 16
  0.0416666666666666019, // 17
  0.5, // 18
  1, // 19
  -0, // 20: the sign bit
]);

/** sin x */
export function sin(x: v128): v128 {
  if (isNear(x)) return sinOfQuarters(x, 0);
  return f64x2(NativeMath.sin(f64x2.extract_lane(x, 0)), NativeMath.sin(f64x2.extract_lane(x, 1)));
}

/** cos x */
export function cos(x: v128): v128 {
  if (isNear(x)) return sinOfQuarters(x, 1);
  return f64x2(NativeMath.cos(f64x2.extract_lane(x, 0)), NativeMath.cos(f64x2.extract_lane(x, 1)));
}

// @ts-ignore: decorator
@inline
function isNear(x: v128): bool {
  return i64x2.all_true(f64x2.lt(f64x2.abs(x), at(SIN, 0)));
}

/** sin(x + quarters·π/2) = ±sin r or ±cos r with x = n·π/2 + r */
function sinOfQuarters(x: v128, quarters: i64): v128 {
  const rounded = muladd(x, at(SIN, 1), at(SIN, 2));
  const n = f64x2.sub(rounded, at(SIN, 2));
  let r = f64x2.sub(x, f64x2.mul(n, at(SIN, 3)));
  r = f64x2.sub(r, f64x2.mul(n, at(SIN, 4)));
  r = f64x2.sub(r, f64x2.mul(n, at(SIN, 5)));
  const z = f64x2.mul(r, r);
  let s = muladd(at(SIN, 6), z, at(SIN, 7));
  s = muladd(s, z, at(SIN, 8));
  s = muladd(s, z, at(SIN, 9));
  s = muladd(s, z, at(SIN, 10));
  s = muladd(s, z, at(SIN, 11));
  const magnitude = muladd(f64x2.mul(r, z), s, r);
  const sine = v128.or(magnitude, v128.and(r, at(SIN, 20))); // −0 stays −0
  let c = muladd(at(SIN, 12), z, at(SIN, 13));
  c = muladd(c, z, at(SIN, 14));
  c = muladd(c, z, at(SIN, 15));
  c = muladd(c, z, at(SIN, 16));
  c = muladd(c, z, at(SIN, 17));
  const halfSquare = f64x2.mul(z, at(SIN, 18));
  const w = f64x2.sub(at(SIN, 19), halfSquare);
  const lost = f64x2.sub(f64x2.sub(at(SIN, 19), w), halfSquare);
  const cosine = f64x2.add(w, muladd(f64x2.mul(z, z), c, lost));
  const turn = i64x2.add(rounded, i64x2.splat(quarters));
  const odd = i64x2.neg(v128.and(turn, i64x2.splat(1)));
  const sign = v128.and(i64x2.shl(turn, 62), at(SIN, 20));
  return v128.xor(v128.bitselect(cosine, sine, odd), sign);
}

/** Lanes 0 and 1 in float64. */
// @ts-ignore: decorator
@inline
export function widenLow(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

/** Lanes 2 and 3 in float64. */
// @ts-ignore: decorator
@inline
export function widenHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
}

/** Four float32 of two pairs of float64. */
// @ts-ignore: decorator
@inline
export function narrow(low: v128, high: v128): v128 {
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}
