/**
 * Losses over rows of logits, [rows, classes] dense, with int32 targets [rows]; then those of `n` pairs of an input x
 * and a target t. The gradients of the latter are slopes, which are to be multiplied by dy.
 */
import { at, exp, exp2, log as logOf, log1p, log2e, sigmoid } from "./math";
import { get, mapRow, sumRow, Value } from "./rows";
import { logSum, maxOf } from "./softmax";

/** The first row whose target is neither `ignore` nor a class, or −1. */
export function firstBadTarget(targets: usize, rows: i32, classes: i32, ignore: i32): i32 {
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets + ((<usize>row) << 2));
    if (target != ignore && <u32>target >= <u32>classes) return row;
  }
  return -1;
}

/**
 * loss = log Σ e^x − x[target] a row, 0 where the target is `ignore`; returns how many rows count.
 * `shift` [rows, 2] saves max x and log Σ e^(x − max), all that the gradient needs beside x.
 */
export function crossEntropy(
  loss: usize,
  shift: usize,
  x: usize,
  targets: usize,
  rows: i32,
  classes: i32,
  ignore: i32,
): i32 {
  const bytes = (<usize>classes) << 2;
  let counted = 0;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target == ignore) {
      store<f32>(loss, 0);
    } else {
      const max = maxOf(x, classes);
      const log = logSum(x, classes, max);
      store<f32>(shift, max);
      store<f32>(shift, log, 4);
      store<f32>(loss, log - (load<f32>(x + ((<usize>target) << 2)) - max));
      counted++;
    }
    x += bytes;
    loss += 4;
    shift += 8;
    targets += 4;
  }
  return counted;
}

/** dx = scale · dloss[row · dlossRow] · (softmax(x) − onehot(target)), 0 in ignored rows */
export function crossEntropyGrad(
  dx: usize,
  dloss: usize,
  x: usize,
  targets: usize,
  shift: usize,
  rows: i32,
  classes: i32,
  dlossRow: i32,
  ignore: i32,
  scale: f32,
): void {
  const bytes = (<usize>classes) << 2;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target == ignore) {
      memory.fill(dx, 0, bytes);
    } else {
      const factor = scale * load<f32>(dloss);
      mapRow<ScaledProbability>(dx, x, 0, 0, classes, load<f32>(shift), load<f32>(shift, 4), factor);
      const hit = dx + ((<usize>target) << 2);
      store<f32>(hit, load<f32>(hit) - factor);
    }
    x += bytes;
    dx += bytes;
    shift += 8;
    targets += 4;
    dloss += (<usize>dlossRow) << 2;
  }
}

/** factor · e^(x − max − log Σ) */
@final
class ScaledProbability {
  @inline
  at(x: usize, b: usize, c: usize, max: v128, log: v128, factor: v128, s: v128, t: v128, n: usize): v128 {
    const exponent = f32x4.sub(f32x4.sub(get(x, n), max), log);
    return f32x4.mul(exp2(f32x4.mul(exponent, log2e())), factor);
  }
}

/**
 * loss = (1 − s)·w[target]·(−l[target]) + s/classes · Σ w·(−l) a row with l = x − log Σ e^x and s the smoothing, 0 where
 * the target is `ignore`; returns the sum of w[target]. `shift` as in `crossEntropy`.
 */
export function weightedCrossEntropy(
  loss: usize,
  shift: usize,
  x: usize,
  targets: usize,
  weight: usize,
  rows: i32,
  classes: i32,
  ignore: i32,
  smoothing: f32,
): f64 {
  const bytes = (<usize>classes) << 2;
  const total = sumRow<Value>(weight, 0, 0, classes, 0, 0);
  const kept: f32 = 1 - smoothing;
  const spread = smoothing / <f32>classes;
  let counted: f64 = 0;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target == ignore) {
      store<f32>(loss, 0);
    } else {
      const max = maxOf(x, classes);
      const log = logSum(x, classes, max);
      store<f32>(shift, max);
      store<f32>(shift, log, 4);
      const own = load<f32>(weight + ((<usize>target) << 2));
      let y = kept * own * (log - (load<f32>(x + ((<usize>target) << 2)) - max));
      if (smoothing > 0) y += spread * (log * total - sumRow<WeightedDistance>(x, weight, 0, classes, max, 0));
      store<f32>(loss, y);
      counted += <f64>own;
    }
    x += bytes;
    loss += 4;
    shift += 8;
    targets += 4;
  }
  return counted;
}

/** w · (x − max) */
@final
class WeightedDistance {
  @inline
  at(x: usize, weight: usize, c: usize, max: v128, q: v128, n: usize): v128 {
    return f32x4.mul(get(weight, n), f32x4.sub(get(x, n), max));
  }
}

/** dx = scale · dloss[row · dlossRow] · (softmax(x)·Σq − q), q = (1 − s)·w·onehot(target) + s/classes · w; 0 where ignored */
export function weightedCrossEntropyGrad(
  dx: usize,
  dloss: usize,
  x: usize,
  targets: usize,
  weight: usize,
  shift: usize,
  rows: i32,
  classes: i32,
  dlossRow: i32,
  ignore: i32,
  smoothing: f32,
  scale: f32,
): void {
  const bytes = (<usize>classes) << 2;
  const total = sumRow<Value>(weight, 0, 0, classes, 0, 0);
  const kept: f32 = 1 - smoothing;
  const spread = smoothing / <f32>classes;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target == ignore) {
      memory.fill(dx, 0, bytes);
    } else {
      const dy = scale * load<f32>(dloss);
      const own = kept * load<f32>(weight + ((<usize>target) << 2));
      const factor = dy * (own + spread * total);
      mapRow<SmoothedProbability>(
        dx,
        x,
        weight,
        0,
        classes,
        load<f32>(shift),
        load<f32>(shift, 4),
        factor,
        dy * spread,
      );
      const hit = dx + ((<usize>target) << 2);
      store<f32>(hit, load<f32>(hit) - dy * own);
    }
    x += bytes;
    dx += bytes;
    shift += 8;
    targets += 4;
    dloss += (<usize>dlossRow) << 2;
  }
}

/** factor · e^(x − max − log Σ) − spread · w */
@final
class SmoothedProbability {
  @inline
  at(x: usize, weight: usize, c: usize, max: v128, log: v128, factor: v128, spread: v128, t: v128, n: usize): v128 {
    const exponent = f32x4.sub(f32x4.sub(get(x, n), max), log);
    const probability = exp2(f32x4.mul(exponent, log2e()));
    return f32x4.sub(f32x4.mul(probability, factor), f32x4.mul(get(weight, n), spread));
  }
}

/** loss = −w[target]·x[target] a row (w = 1 where `weight` is 0), 0 where the target is `ignore`; returns Σ w[target]. */
export function nll(loss: usize, x: usize, targets: usize, weight: usize, rows: i32, classes: i32, ignore: i32): f64 {
  let counted: f64 = 0;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    let y: f32 = 0;
    if (target != ignore) {
      const own = weight ? load<f32>(weight + ((<usize>target) << 2)) : 1;
      y = -own * load<f32>(x + ((<usize>target) << 2));
      counted += <f64>own;
    }
    store<f32>(loss, y);
    x += (<usize>classes) << 2;
    loss += 4;
    targets += 4;
  }
  return counted;
}

/** dx[target] = −scale · dloss[row · dlossRow] · w[target] unless ignored; the rest of dx stays as it is. */
export function nllGrad(
  dx: usize,
  dloss: usize,
  targets: usize,
  weight: usize,
  rows: i32,
  classes: i32,
  dlossRow: i32,
  ignore: i32,
  scale: f32,
): void {
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target != ignore) {
      const own = weight ? load<f32>(weight + ((<usize>target) << 2)) : 1;
      store<f32>(dx + ((<usize>target) << 2), -scale * load<f32>(dloss) * own);
    }
    dx += (<usize>classes) << 2;
    targets += 4;
    dloss += (<usize>dlossRow) << 2;
  }
}

const CONSTANTS: usize = memory.data<f32>([
  1, // 0
  -100, // 1: the least logarithm of a probability
  1e-12, // 2: the least variance of one
]);

/** y = d²/2β where |d| < β, else |d| − β/2 */
export function smoothL1(y: usize, d: usize, n: i32, beta: f32): void {
  mapRow<SmoothL1>(y, d, 0, 0, n, beta, 0.5 / beta, 0.5 * beta);
}

@final
class SmoothL1 {
  @inline
  at(d: usize, b: usize, c: usize, beta: v128, curve: v128, lost: v128, s: v128, t: v128, n: usize): v128 {
    const distance = f32x4.abs(get(d, n));
    const near = f32x4.mul(f32x4.mul(distance, distance), curve);
    return v128.bitselect(near, f32x4.sub(distance, lost), f32x4.lt(distance, beta));
  }
}

/** slope = d/β where |d| < β, else sgn d */
export function smoothL1Grad(slope: usize, d: usize, n: i32, beta: f32): void {
  mapRow<SmoothL1Slope>(slope, d, 0, 0, n, beta);
}

@final
class SmoothL1Slope {
  @inline
  at(d: usize, b: usize, c: usize, beta: v128, q: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    const x = get(d, n);
    const sign = v128.bitselect(x, at(CONSTANTS, 0), i32x4.splat(0x80000000));
    const far = f32x4.ge(f32x4.abs(x), beta);
    return v128.bitselect(v128.and(sign, f32x4.ne(x, f32x4.splat(0))), f32x4.div(x, beta), far);
  }
}

/** The first element that is not from 0 to 1, or −1. */
export function firstImprobable(x: usize, n: i32): i32 {
  for (let i = 0; i < n; i++) {
    const p = load<f32>(x + ((<usize>i) << 2));
    if (!(p >= 0 && p <= 1)) return i;
  }
  return -1;
}

/** log x, −100 at least */
function logProbability(x: v128): v128 {
  return f32x4.max(logOf(x), at(CONSTANTS, 1));
}

/** log(1 − x), −100 at least */
function logComplement(x: v128): v128 {
  return f32x4.max(log1p(f32x4.neg(x)), at(CONSTANTS, 1));
}

/** y = −t·log x − (1 − t)·log(1 − x), logarithms −100 at least */
export function binaryCrossEntropy(y: usize, x: usize, t: usize, n: i32): void {
  mapRow<BinaryCrossEntropy>(y, x, t, 0, n, 0);
}

@final
class BinaryCrossEntropy {
  @inline
  at(x: usize, t: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const target = get(t, n);
    const value = get(x, n);
    const miss = f32x4.mul(f32x4.sub(target, at(CONSTANTS, 0)), logComplement(value));
    return f32x4.sub(miss, f32x4.mul(target, logProbability(value)));
  }
}

/** slope = (x − t) / x(1 − x), the denominator 1e−12 at least */
export function binaryCrossEntropyGrad(slope: usize, x: usize, t: usize, n: i32): void {
  mapRow<BinaryCrossEntropySlope>(slope, x, t, 0, n, 0);
}

@final
class BinaryCrossEntropySlope {
  @inline
  at(x: usize, t: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const value = get(x, n);
    const variance = f32x4.mul(f32x4.sub(at(CONSTANTS, 0), value), value);
    return f32x4.div(f32x4.sub(value, get(t, n)), f32x4.max(variance, at(CONSTANTS, 2)));
  }
}

/** slope = log(1 − x) − log x, that of the target */
export function binaryCrossEntropyTargetGrad(slope: usize, x: usize, n: i32): void {
  mapRow<BinaryCrossEntropyTargetSlope>(slope, x, 0, 0, n, 0);
}

@final
class BinaryCrossEntropyTargetSlope {
  @inline
  at(x: usize, b: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const value = get(x, n);
    return f32x4.sub(logComplement(value), logProbability(value));
  }
}

/** log(1 + e^−|x|): log(1 + e^x) is that + max(x, 0) */
function softplusRest(x: v128): v128 {
  return log1p(exp(f32x4.neg(f32x4.abs(x))));
}

// @ts-ignore: decorator
@inline
function positive(x: v128): v128 {
  return f32x4.max(x, f32x4.splat(0));
}

/** y = w·t·log(1 + e^−x) + (1 − t)·log(1 + e^x), w the weight of positives: 1 where `weight` is 0 */
export function logitCrossEntropy(y: usize, x: usize, t: usize, weight: usize, n: i32): void {
  if (weight) mapRow<WeightedLogitCrossEntropy>(y, x, t, weight, n, 0);
  else mapRow<LogitCrossEntropy>(y, x, t, 0, n, 0);
}

@final
class LogitCrossEntropy {
  @inline
  at(x: usize, t: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const value = get(x, n);
    return f32x4.add(f32x4.sub(positive(value), f32x4.mul(value, get(t, n))), softplusRest(value));
  }
}

@final
class WeightedLogitCrossEntropy {
  @inline
  at(x: usize, t: usize, w: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const value = get(x, n);
    const target = get(t, n);
    const hits = f32x4.mul(get(w, n), target);
    const misses = f32x4.sub(at(CONSTANTS, 0), target);
    const sides = f32x4.add(f32x4.mul(hits, positive(f32x4.neg(value))), f32x4.mul(misses, positive(value)));
    return f32x4.add(sides, f32x4.mul(f32x4.add(hits, misses), softplusRest(value)));
  }
}

/** slope = σ(x) − t, or with a weight (1 − t) − (1 + (w − 1)·t)·σ(−x) */
export function logitCrossEntropyGrad(slope: usize, x: usize, t: usize, weight: usize, n: i32): void {
  if (weight) mapRow<WeightedLogitSlope>(slope, x, t, weight, n, 0);
  else mapRow<LogitSlope>(slope, x, t, 0, n, 0);
}

@final
class LogitSlope {
  @inline
  at(x: usize, t: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    return f32x4.sub(sigmoid(get(x, n)), get(t, n));
  }
}

@final
class WeightedLogitSlope {
  @inline
  at(x: usize, t: usize, w: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const target = get(t, n);
    const own = f32x4.add(at(CONSTANTS, 0), f32x4.mul(f32x4.sub(get(w, n), at(CONSTANTS, 0)), target));
    const miss = f32x4.mul(own, sigmoid(f32x4.neg(get(x, n))));
    return f32x4.sub(f32x4.sub(at(CONSTANTS, 0), target), miss);
  }
}

/** slope = (w − 1)·log(1 + e^−x) − x, that of the target; −x where `weight` is 0 */
export function logitCrossEntropyTargetGrad(slope: usize, x: usize, weight: usize, n: i32): void {
  if (weight) mapRow<WeightedLogitTargetSlope>(slope, x, weight, 0, n, 0);
  else mapRow<Negative>(slope, x, 0, 0, n, 0);
}

@final
class WeightedLogitTargetSlope {
  @inline
  at(x: usize, w: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const value = get(x, n);
    const softplus = f32x4.add(positive(f32x4.neg(value)), softplusRest(value));
    return f32x4.sub(f32x4.mul(f32x4.sub(get(w, n), at(CONSTANTS, 0)), softplus), value);
  }
}

@final
class Negative {
  @inline
  at(x: usize, b: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    return f32x4.neg(get(x, n));
  }
}

/** y = t·(log t − x), −0·x where t is 0 */
export function klDiv(y: usize, x: usize, t: usize, n: i32): void {
  mapRow<KlDiv>(y, x, t, 0, n, 0);
}

@final
class KlDiv {
  @inline
  at(x: usize, t: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    const target = get(t, n);
    const entropy = f32x4.mul(target, logOf(target));
    return f32x4.sub(v128.and(entropy, f32x4.ne(target, f32x4.splat(0))), f32x4.mul(target, get(x, n)));
  }
}

/** slope = log t + 1 − x, that of the target */
export function klDivTargetGrad(slope: usize, x: usize, t: usize, n: i32): void {
  mapRow<KlDivTargetSlope>(slope, x, t, 0, n, 0);
}

@final
class KlDivTargetSlope {
  @inline
  at(x: usize, t: usize, c: usize, p: v128, q: v128, r: v128, s: v128, u: v128, n: usize): v128 {
    return f32x4.sub(f32x4.add(logOf(get(t, n)), at(CONSTANTS, 0)), get(x, n));
  }
}
