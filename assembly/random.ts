/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"): a counter and a key give four random
 * words. Element i of an array takes word i mod 4 of the counter that is i / 4 after the first, so that any part of an
 * array can be made (again) on its own. No madd here: both variants give the same numbers.
 *
 * The key is the seed, the first two words of the counter the position in its stream; `philox` takes all four.
 */
import { loadTail, storeTail } from "./simd";

/** y = random words */
export function philox(y: usize, n: i32, key0: i32, key1: i32, c0: i32, c1: i32, c2: i32, c3: i32): void {
  draw<Words>(y, 0, n, key0, key1, c0, c1, c2, c3, f32x4.splat(0), f32x4.splat(0));
}

/** y = uniform in [low, low + range), on a grid of range / 2²⁴ */
export function uniform(y: usize, n: i32, key0: i32, key1: i32, c0: i32, c1: i32, low: f32, range: f32): void {
  draw<Uniform>(y, 0, n, key0, key1, c0, c1, 0, 0, f32x4.splat(low), f32x4.splat(range));
}

/** y = normal with `mean` and standard deviation `std`, by Box and Muller's method */
export function normal(y: usize, n: i32, key0: i32, key1: i32, c0: i32, c1: i32, mean: f32, std: f32): void {
  draw<Normal>(y, 0, n, key0, key1, c0, c1, 0, 0, f32x4.splat(mean), f32x4.splat(std));
}

/** y = x · scale where the random word is at least `threshold` (an unsigned 2³² · p), else x · 0 */
export function dropout(
  y: usize,
  x: usize,
  n: i32,
  key0: i32,
  key1: i32,
  c0: i32,
  c1: i32,
  threshold: i32,
  scale: f32,
): void {
  draw<Dropout>(y, x, n, key0, key1, c0, c1, 0, 0, i32x4.splat(threshold), f32x4.splat(scale));
}

const M0: i32 = 0xd2511f53;
const M1: i32 = 0xcd9e8d57;
const W0: i32 = 0x9e3779b9;
const W1: i32 = 0xbb67ae85;

/** The low halves of the products of lanes 0, 1 (`a`) and 2, 3 (`b`). */
// @ts-ignore: decorator
@inline
function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7);
}

/**
 * Sixteen elements at a time from four counters, one per lane: word w of the four is in vector w. `p` and `q` are the
 * operation's parameters; `x` is read by operations that have an input.
 */
// @ts-ignore: decorator
@inline
function draw<Op>(
  y: usize,
  x: usize,
  n: i32,
  key0: i32,
  key1: i32,
  c0: i32,
  c1: i32,
  c2: i32,
  c3: i32,
  p: v128,
  q: v128,
): void {
  const op = changetype<Op>(0);
  const multiplier0 = i32x4.splat(M0);
  const multiplier1 = i32x4.splat(M1);
  let counter = ((<u64>(<u32>c1)) << 32) | <u64>(<u32>c0);
  for (let i = 0; i < n; i += 16) {
    let a = i32x4(<i32>counter, <i32>(counter + 1), <i32>(counter + 2), <i32>(counter + 3));
    let b = i32x4(
      <i32>(counter >> 32),
      <i32>((counter + 1) >> 32),
      <i32>((counter + 2) >> 32),
      <i32>((counter + 3) >> 32),
    );
    let c = i32x4.splat(c2);
    let d = i32x4.splat(c3);
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 10; round++) {
      const low0 = i64x2.extmul_low_i32x4_u(a, multiplier0);
      const high0 = i64x2.extmul_high_i32x4_u(a, multiplier0);
      const low1 = i64x2.extmul_low_i32x4_u(c, multiplier1);
      const high1 = i64x2.extmul_high_i32x4_u(c, multiplier1);
      a = v128.xor(v128.xor(highHalves(low1, high1), b), i32x4.splat(k0));
      b = lowHalves(low1, high1);
      c = v128.xor(v128.xor(highHalves(low0, high0), d), i32x4.splat(k1));
      d = lowHalves(low0, high0);
      k0 += W0;
      k1 += W1;
    }
    // @ts-ignore: Op is one of the classes below
    op.emit(y, x, n - i, a, b, c, d, p, q);
    counter += 4;
    y += 64;
    x += 64;
  }
}

/** Writes sixteen elements (or the first n, if fewer) from vectors that hold words 0, 1, 2 and 3 of four counters. */
// @ts-ignore: decorator
@inline
function storeTransposed<Store>(y: usize, x: usize, n: i32, a: v128, b: v128, c: v128, d: v128): void {
  const store = changetype<Store>(0);
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  // @ts-ignore: Store is Plain or Product
  store.four(y, x, n, v128.shuffle<i64>(ab, cd, 0, 2));
  // @ts-ignore: as above
  store.four(y + 16, x + 16, n - 4, v128.shuffle<i64>(ab, cd, 1, 3));
  // @ts-ignore: as above
  store.four(y + 32, x + 32, n - 8, v128.shuffle<i64>(ab2, cd2, 0, 2));
  // @ts-ignore: as above
  store.four(y + 48, x + 48, n - 12, v128.shuffle<i64>(ab2, cd2, 1, 3));
}

/** Writes the first n (at most four, none if negative) lanes. */
@final
class Plain {
  @inline
  four(y: usize, _x: usize, n: i32, v: v128): void {
    if (n >= 4) v128.store(y, v);
    else if (n > 0) storeTail(y, v, n);
  }
}

/** Writes the products of the lanes and x. */
@final
class Product {
  @inline
  four(y: usize, x: usize, n: i32, v: v128): void {
    if (n >= 4) v128.store(y, f32x4.mul(v, v128.load(x)));
    else if (n > 0) storeTail(y, f32x4.mul(v, loadTail(x, n)), n);
  }
}

@final
class Words {
  @inline
  emit(y: usize, x: usize, n: i32, a: v128, b: v128, c: v128, d: v128, _p: v128, _q: v128): void {
    storeTransposed<Plain>(y, x, n, a, b, c, d);
  }
}

@final
class Uniform {
  @inline
  emit(y: usize, x: usize, n: i32, a: v128, b: v128, c: v128, d: v128, low: v128, range: v128): void {
    storeTransposed<Plain>(
      y,
      x,
      n,
      spread(a, low, range),
      spread(b, low, range),
      spread(c, low, range),
      spread(d, low, range),
    );
  }
}

/** low + range · u, u the upper 24 bits as a fraction. */
// @ts-ignore: decorator
@inline
function spread(word: v128, low: v128, range: v128): v128 {
  const u = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(word, 8)), f32x4.splat(5.9604644775390625e-8));
  return f32x4.add(low, f32x4.mul(u, range));
}

@final
class Dropout {
  @inline
  emit(y: usize, x: usize, n: i32, a: v128, b: v128, c: v128, d: v128, threshold: v128, scale: v128): void {
    storeTransposed<Product>(
      y,
      x,
      n,
      kept(a, threshold, scale),
      kept(b, threshold, scale),
      kept(c, threshold, scale),
      kept(d, threshold, scale),
    );
  }
}

/** `scale` where the element stays, else 0. */
// @ts-ignore: decorator
@inline
function kept(word: v128, threshold: v128, scale: v128): v128 {
  return v128.and(i32x4.ge_u(word, threshold), scale);
}

@final
class Normal {
  @inline
  emit(y: usize, x: usize, n: i32, a: v128, b: v128, c: v128, d: v128, mean: v128, std: v128): void {
    const r = f32x4.mul(radius(a), std);
    const rSin = f32x4.mul(r, sin(rest(b)));
    const rCos = f32x4.mul(r, cos(rest(b)));
    const s = f32x4.mul(radius(c), std);
    const sSin = f32x4.mul(s, sin(rest(d)));
    const sCos = f32x4.mul(s, cos(rest(d)));
    storeTransposed<Plain>(
      y,
      x,
      n,
      f32x4.add(mean, turn(rSin, rCos, i32x4.add(quarter(b), i32x4.splat(1)))),
      f32x4.add(mean, turn(rSin, rCos, quarter(b))),
      f32x4.add(mean, turn(sSin, sCos, i32x4.add(quarter(d), i32x4.splat(1)))),
      f32x4.add(mean, turn(sSin, sCos, quarter(d))),
    );
  }
}

/** √(−2 ln u), u = (word + 1) / 2³² in (0, 1] */
// @ts-ignore: decorator
@inline
function radius(word: v128): v128 {
  const whole = f32x4.convert_i32x4_s(i32x4.shr_u(word, 1));
  const u = f32x4.mul(f32x4.add(whole, f32x4.splat(0.5)), f32x4.splat(4.656612873077393e-10));
  return f32x4.sqrt(f32x4.mul(log(u), f32x4.splat(-2)));
}

/** ln x for positive normal x (Cephes): x = m · 2ᵉ with m from √½ to √2. */
// @ts-ignore: decorator
@inline
function log(x: v128): v128 {
  const exponent = i32x4.shr_s(i32x4.sub(x, i32x4.splat(0x3f3504f3)), 23);
  const e = f32x4.convert_i32x4_s(exponent);
  const m = f32x4.sub(i32x4.sub(x, i32x4.shl(exponent, 23)), f32x4.splat(1));
  const z = f32x4.mul(m, m);
  let p = f32x4.splat(7.0376836292e-2);
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.151461031e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.167699874e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.2420140846e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.4249322787e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.6668057665e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(2.0000714765e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-2.4999993993e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(3.3333331174e-1));
  const tail = f32x4.add(f32x4.mul(f32x4.mul(p, m), z), f32x4.mul(e, f32x4.splat(-2.1219444e-4)));
  const sum = f32x4.add(m, f32x4.sub(tail, f32x4.mul(z, f32x4.splat(0.5))));
  return f32x4.add(sum, f32x4.mul(e, f32x4.splat(0.693359375)));
}

/** The word's nearest quarter turn. */
// @ts-ignore: decorator
@inline
function quarter(word: v128): v128 {
  return i32x4.shr_s(i32x4.add(word, i32x4.splat(1 << 29)), 30);
}

/** What is left of the word beyond its nearest quarter turn, in radians from −π/4 to π/4. */
// @ts-ignore: decorator
@inline
function rest(word: v128): v128 {
  const left = i32x4.sub(word, i32x4.shl(quarter(word), 30));
  return f32x4.mul(f32x4.convert_i32x4_s(left), f32x4.splat(1.4629180792671596e-9));
}

/** sin(θ + k·π/2) from the sine and cosine of θ */
// @ts-ignore: decorator
@inline
function turn(sine: v128, cosine: v128, k: v128): v128 {
  const odd = i32x4.shr_s(i32x4.shl(k, 31), 31);
  const sign = i32x4.shl(v128.and(k, i32x4.splat(2)), 30);
  return v128.xor(v128.bitselect(cosine, sine, odd), sign);
}

/** sin x for |x| ≤ π/4 (Cephes) */
// @ts-ignore: decorator
@inline
function sin(x: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = f32x4.splat(-1.9515295891e-4);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(8.3321608736e-3));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(-1.6666654611e-1));
  return f32x4.add(x, f32x4.mul(f32x4.mul(p, z), x));
}

/** cos x for |x| ≤ π/4 (Cephes) */
// @ts-ignore: decorator
@inline
function cos(x: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = f32x4.splat(2.443315711809948e-5);
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(-1.388731625493765e-3));
  p = f32x4.add(f32x4.mul(p, z), f32x4.splat(4.166664568298827e-2));
  return f32x4.add(f32x4.sub(f32x4.splat(1), f32x4.mul(z, f32x4.splat(0.5))), f32x4.mul(f32x4.mul(p, z), z));
}

/** y = mean + std · Φ⁻¹(y), clamped to [low, high], Φ the normal distribution function. Wichura 1988, AS 241 (PPND7) */
export function normalQuantile(y: usize, n: i32, mean: f64, std: f64, low: f64, high: f64): void {
  const end = y + ((<usize>n) << 2);
  for (; y < end; y += 4) {
    const x = mean + std * quantile(<f64>load<f32>(y));
    store<f32>(y, <f32>min(max(x, low), high));
  }
}

function quantile(p: f64): f64 {
  const q = p - 0.5;
  if (abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    const above = ((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    return (q * above) / (((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1);
  }
  const r = sqrt(-(<f64>f32x4.extract_lane(log(f32x4.splat(<f32>min(p, 1 - p))), 0)));
  return copysign(r <= 5 ? tail(r - 1.6) : farTail(r - 5), q);
}

function tail(r: f64): f64 {
  const above = ((0.17023821103 * r + 1.3067284816) * r + 2.75681539) * r + 1.4234372777;
  return above / ((0.12021132975 * r + 0.7370016425) * r + 1);
}

function farTail(r: f64): f64 {
  const above = ((0.017337203997 * r + 0.42868294337) * r + 3.081226386) * r + 6.657905115;
  return above / ((0.012258202635 * r + 0.24197894225) * r + 1);
}
