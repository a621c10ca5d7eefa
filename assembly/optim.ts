/**
 * Optimizer steps: one pass over the parameters θ (p), their state and gradient, in the order of operations of
 * PyTorch's single-tensor implementations. Plain gradient descent is `addScaled`.
 */
import { loadFirst, madd, nmadd, storeFirst } from "./simd";

/** y = sign · g + weightDecay · θ + l1 · sgn θ: the gradient that a step goes by where there are penalties */
export function penalize(y: usize, g: usize, p: usize, n: i32, sign: f32, weightDecay: f32, l1: f32): void {
  const signs = f32x4.splat(sign);
  const ridge = f32x4.splat(weightDecay);
  const lasso = f32x4.splat(l1);
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    penalizeFour(y, g, p, signs, ridge, lasso, 0);
    p += 16;
    g += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) penalizeFour(y, g, p, signs, ridge, lasso, tail);
}

// @ts-ignore: decorator
@inline
function penalizeFour(y: usize, g: usize, p: usize, sign: v128, weightDecay: v128, l1: v128, n: usize): void {
  const theta = loadFirst(p, n);
  const unit = v128.bitselect(theta, f32x4.splat(1), i32x4.splat(0x80000000));
  const sgn = v128.and(unit, f32x4.ne(theta, f32x4.splat(0)));
  const ridge = madd(weightDecay, theta, f32x4.mul(loadFirst(g, n), sign));
  storeFirst(y, madd(l1, sgn, ridge), n);
}

/** θ ← sgn θ · max(|θ| − threshold, 0), the proximal step of an l1 penalty */
export function softThreshold(p: usize, n: i32, threshold: f32): void {
  const t = f32x4.splat(threshold);
  const end = p + ((<usize>n & ~3) << 2);
  while (p < end) {
    softThresholdFour(p, t, 0);
    p += 16;
  }
  const tail = <usize>n & 3;
  if (tail) softThresholdFour(p, t, tail);
}

// @ts-ignore: decorator
@inline
function softThresholdFour(p: usize, threshold: v128, n: usize): void {
  const theta = loadFirst(p, n);
  const left = f32x4.sub(f32x4.abs(theta), threshold);
  const signed = v128.bitselect(theta, left, i32x4.splat(0x80000000));
  storeFirst(p, v128.andnot(signed, f32x4.le(left, f32x4.splat(0))), n);
}

/** b ← momentum · b + weight · g; θ −= lr · b, or lr · (g + momentum · b) with Nesterov's momentum */
export function sgd(p: usize, b: usize, g: usize, n: i32, lr: f32, momentum: f32, weight: f32, nesterov: bool): void {
  if (nesterov) sgdSteps<Nesterov>(p, b, g, n, f32x4.splat(lr), f32x4.splat(momentum), f32x4.splat(weight));
  else sgdSteps<Momentum>(p, b, g, n, f32x4.splat(lr), f32x4.splat(momentum), f32x4.splat(weight));
}

@final
class Momentum {
  @inline
  direction(_g: v128, b: v128, _momentum: v128): v128 {
    return b;
  }
}

@final
class Nesterov {
  @inline
  direction(g: v128, b: v128, momentum: v128): v128 {
    return madd(b, momentum, g);
  }
}

// @ts-ignore: decorator
@inline
function sgdSteps<Kind>(p: usize, b: usize, g: usize, n: i32, lr: v128, momentum: v128, weight: v128): void {
  const end = p + ((<usize>n & ~3) << 2);
  while (p < end) {
    sgdFour<Kind>(p, b, g, lr, momentum, weight, 0);
    p += 16;
    b += 16;
    g += 16;
  }
  const tail = <usize>n & 3;
  if (tail) sgdFour<Kind>(p, b, g, lr, momentum, weight, tail);
}

// @ts-ignore: decorator
@inline
function sgdFour<Kind>(p: usize, b: usize, g: usize, lr: v128, momentum: v128, weight: v128, n: usize): void {
  const d = loadFirst(g, n);
  const buffer = madd(d, weight, f32x4.mul(loadFirst(b, n), momentum));
  storeFirst(b, buffer, n);
  // @ts-ignore: Kind is Momentum or Nesterov
  storeFirst(p, nmadd(changetype<Kind>(0).direction(d, buffer, momentum), lr, loadFirst(p, n)), n);
}

/**
 * θ ← decay · θ; m ← m + w₁(g − m); v ← β₂ v + w₂ g²; θ −= step · m / (√v · scale + ε), where w = 1 − β,
 * step = lr / (1 − β₁ᵗ) and scale = 1 / √(1 − β₂ᵗ). A `vMax` (AMSGrad; 0 for none) grows to v and takes its place.
 */
export function adam(
  p: usize,
  m: usize,
  v: usize,
  vMax: usize,
  g: usize,
  n: i32,
  step: f32,
  decay: f32,
  w1: f32,
  beta2: f32,
  w2: f32,
  scale: f32,
  eps: f32,
): void {
  if (vMax) adamSteps<Largest>(p, m, v, vMax, g, n, step, decay, w1, beta2, w2, scale, eps);
  else adamSteps<Latest>(p, m, v, vMax, g, n, step, decay, w1, beta2, w2, scale, eps);
}

@final
class Latest {
  @inline
  second(_vMax: usize, v: v128, _n: usize): v128 {
    return v;
  }
}

@final
class Largest {
  @inline
  second(vMax: usize, v: v128, n: usize): v128 {
    const largest = f32x4.max(v, loadFirst(vMax, n));
    storeFirst(vMax, largest, n);
    return largest;
  }
}

// @ts-ignore: decorator
@inline
function adamSteps<Kind>(
  p: usize,
  m: usize,
  v: usize,
  vMax: usize,
  g: usize,
  n: i32,
  step: f32,
  decay: f32,
  w1: f32,
  beta2: f32,
  w2: f32,
  scale: f32,
  eps: f32,
): void {
  const steps = f32x4.splat(step);
  const kept = f32x4.splat(decay);
  const taken1 = f32x4.splat(w1);
  const kept2 = f32x4.splat(beta2);
  const taken2 = f32x4.splat(w2);
  const scales = f32x4.splat(scale);
  const epsilon = f32x4.splat(eps);
  const end = p + ((<usize>n & ~3) << 2);
  while (p < end) {
    adamFour<Kind>(p, m, v, vMax, g, steps, kept, taken1, kept2, taken2, scales, epsilon, 0);
    p += 16;
    m += 16;
    v += 16;
    vMax += 16;
    g += 16;
  }
  const tail = <usize>n & 3;
  if (tail) adamFour<Kind>(p, m, v, vMax, g, steps, kept, taken1, kept2, taken2, scales, epsilon, tail);
}

// @ts-ignore: decorator
@inline
function adamFour<Kind>(
  p: usize,
  m: usize,
  v: usize,
  vMax: usize,
  g: usize,
  step: v128,
  decay: v128,
  w1: v128,
  beta2: v128,
  w2: v128,
  scale: v128,
  eps: v128,
  n: usize,
): void {
  const d = loadFirst(g, n);
  const m0 = loadFirst(m, n);
  const first = madd(f32x4.sub(d, m0), w1, m0);
  storeFirst(m, first, n);
  const second = madd(f32x4.mul(d, d), w2, f32x4.mul(loadFirst(v, n), beta2));
  storeFirst(v, second, n);
  // @ts-ignore: Kind is Latest or Largest
  const root = f32x4.sqrt(changetype<Kind>(0).second(vMax, second, n));
  const change = f32x4.div(f32x4.mul(first, step), madd(root, scale, eps));
  storeFirst(p, f32x4.sub(f32x4.mul(loadFirst(p, n), decay), change), n);
}
