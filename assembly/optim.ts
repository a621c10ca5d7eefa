/**
 * Optimizer steps: one pass over the parameters θ (p), their state and gradient, in the order of operations of
 * PyTorch's single-tensor implementations. Plain gradient descent is `addScaled`.
 *
 * A step is a class whose `four` reads and writes four elements at the addresses it is given, or the `n` of the tail.
 */
import { loadFirst, madd, nmadd, storeFirst } from "./simd";

/** `Step` over `n` elements of θ, of up to three states (0 for none) and of the gradient, with up to seven constants. */
// @ts-ignore: decorator
@inline
function steps<Step>(
  p: usize,
  s: usize,
  t: usize,
  u: usize,
  g: usize,
  n: i32,
  a: f32,
  b: f32 = 0,
  c: f32 = 0,
  d: f32 = 0,
  e: f32 = 0,
  f: f32 = 0,
  h: f32 = 0,
): void {
  const step = changetype<Step>(0);
  const as = f32x4.splat(a);
  const bs = f32x4.splat(b);
  const cs = f32x4.splat(c);
  const ds = f32x4.splat(d);
  const es = f32x4.splat(e);
  const fs = f32x4.splat(f);
  const hs = f32x4.splat(h);
  const end = p + ((<usize>n & ~3) << 2);
  while (p < end) {
    // @ts-ignore: Step is a class with such a `four`
    step.four(p, s, t, u, g, as, bs, cs, ds, es, fs, hs, 0);
    p += 16;
    s += 16;
    t += 16;
    u += 16;
    g += 16;
  }
  const tail = <usize>n & 3;
  // @ts-ignore: Step is a class with such a `four`
  if (tail) step.four(p, s, t, u, g, as, bs, cs, ds, es, fs, hs, tail);
}

/** sgn x, the sign of NaN where x is NaN */
// @ts-ignore: decorator
@inline
function signOf(x: v128): v128 {
  const unit = v128.bitselect(x, f32x4.splat(1), i32x4.splat(0x80000000));
  return v128.and(unit, f32x4.ne(x, f32x4.splat(0)));
}

/** y = sign · g + weightDecay · θ + l1 · sgn θ: the gradient that a step goes by where there are penalties */
export function penalize(y: usize, g: usize, p: usize, n: i32, sign: f32, weightDecay: f32, l1: f32): void {
  steps<Penalized>(y, p, 0, 0, g, n, sign, weightDecay, l1);
}

@final
class Penalized {
  @inline
  four(
    y: usize,
    p: usize,
    t: usize,
    u: usize,
    g: usize,
    sign: v128,
    weightDecay: v128,
    l1: v128,
    d: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const theta = loadFirst(p, n);
    const ridge = madd(weightDecay, theta, f32x4.mul(loadFirst(g, n), sign));
    storeFirst(y, madd(l1, signOf(theta), ridge), n);
  }
}

/** θ ← sgn θ · max(|θ| − threshold, 0), the proximal step of an l1 penalty */
export function softThreshold(p: usize, n: i32, threshold: f32): void {
  steps<SoftThreshold>(p, 0, 0, 0, 0, n, threshold);
}

@final
class SoftThreshold {
  @inline
  four(
    p: usize,
    s: usize,
    t: usize,
    u: usize,
    g: usize,
    threshold: v128,
    b: v128,
    c: v128,
    d: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const theta = loadFirst(p, n);
    const left = f32x4.sub(f32x4.abs(theta), threshold);
    const signed = v128.bitselect(theta, left, i32x4.splat(0x80000000));
    storeFirst(p, v128.andnot(signed, f32x4.le(left, f32x4.splat(0))), n);
  }
}

/** b ← momentum · b + weight · g; θ −= lr · b, or lr · (g + momentum · b) with Nesterov's momentum */
export function sgd(p: usize, b: usize, g: usize, n: i32, lr: f32, momentum: f32, weight: f32, nesterov: bool): void {
  if (nesterov) steps<Nesterov>(p, b, 0, 0, g, n, lr, momentum, weight);
  else steps<Momentum>(p, b, 0, 0, g, n, lr, momentum, weight);
}

// @ts-ignore: decorator
@inline
function grown(b: usize, g: v128, momentum: v128, weight: v128, n: usize): v128 {
  const buffer = madd(g, weight, f32x4.mul(loadFirst(b, n), momentum));
  storeFirst(b, buffer, n);
  return buffer;
}

@final
class Momentum {
  @inline
  four(
    p: usize,
    buffer: usize,
    t: usize,
    u: usize,
    g: usize,
    lr: v128,
    momentum: v128,
    weight: v128,
    d: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const b = grown(buffer, loadFirst(g, n), momentum, weight, n);
    storeFirst(p, nmadd(b, lr, loadFirst(p, n)), n);
  }
}

@final
class Nesterov {
  @inline
  four(
    p: usize,
    buffer: usize,
    t: usize,
    u: usize,
    g: usize,
    lr: v128,
    momentum: v128,
    weight: v128,
    d: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const gradient = loadFirst(g, n);
    const b = grown(buffer, gradient, momentum, weight, n);
    storeFirst(p, nmadd(madd(b, momentum, gradient), lr, loadFirst(p, n)), n);
  }
}

/** s ← s + g²; θ −= lr · g / (√s + ε) */
export function adagrad(p: usize, s: usize, g: usize, n: i32, lr: f32, eps: f32): void {
  steps<Adagrad>(p, s, 0, 0, g, n, lr, eps);
}

@final
class Adagrad {
  @inline
  four(
    p: usize,
    s: usize,
    t: usize,
    u: usize,
    g: usize,
    lr: v128,
    eps: v128,
    c: v128,
    d: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const gradient = loadFirst(g, n);
    const total = madd(gradient, gradient, loadFirst(s, n));
    storeFirst(s, total, n);
    const change = f32x4.div(f32x4.mul(gradient, lr), f32x4.add(f32x4.sqrt(total), eps));
    storeFirst(p, f32x4.sub(loadFirst(p, n), change), n);
  }
}

/** v ← kept · v + taken · g², which is returned */
// @ts-ignore: decorator
@inline
function averagedSquare(v: usize, g: v128, kept: v128, taken: v128, n: usize): v128 {
  const average = madd(f32x4.mul(g, g), taken, f32x4.mul(loadFirst(v, n), kept));
  storeFirst(v, average, n);
  return average;
}

/** m ← m + taken · (g − m), which is returned */
// @ts-ignore: decorator
@inline
function averaged(m: usize, g: v128, taken: v128, n: usize): v128 {
  const before = loadFirst(m, n);
  const average = madd(f32x4.sub(g, before), taken, before);
  storeFirst(m, average, n);
  return average;
}

/**
 * v ← αv + (1 − α)g²; d = g / (√v + ε); θ −= lr · d, or with a buffer b (0 for none) b ← momentum · b + d and
 * θ −= lr · b. With a mean of the gradient (0 for none) m ← m + (1 − α)(g − m), the root is of v − m².
 */
export function rmsprop(
  p: usize,
  v: usize,
  b: usize,
  m: usize,
  g: usize,
  n: i32,
  lr: f32,
  alpha: f32,
  w: f32,
  eps: f32,
  momentum: f32,
): void {
  steps<Rmsprop>(p, v, b, m, g, n, lr, alpha, w, eps, momentum, b ? 1 : 0, m ? 1 : 0);
}

@final
class Rmsprop {
  @inline
  four(
    p: usize,
    v: usize,
    b: usize,
    m: usize,
    g: usize,
    lr: v128,
    alpha: v128,
    w: v128,
    eps: v128,
    momentum: v128,
    buffered: v128,
    centered: v128,
    n: usize,
  ): void {
    const gradient = loadFirst(g, n);
    let second = averagedSquare(v, gradient, alpha, w, n);
    if (v128.any_true(centered)) {
      const first = averaged(m, gradient, w, n);
      second = f32x4.max(nmadd(first, first, second), f32x4.splat(0)); // rounding may leave v − m² below 0
    }
    let d = f32x4.div(gradient, f32x4.add(f32x4.sqrt(second), eps));
    if (v128.any_true(buffered)) d = grown(b, d, momentum, f32x4.splat(1), n);
    storeFirst(p, nmadd(d, lr, loadFirst(p, n)), n);
  }
}

/** v ← ρv + (1 − ρ)g²; d = g · √(u + ε) / √(v + ε); u ← ρu + (1 − ρ)d²; θ −= lr · d */
export function adadelta(p: usize, v: usize, u: usize, g: usize, n: i32, lr: f32, rho: f32, w: f32, eps: f32): void {
  steps<Adadelta>(p, v, u, 0, g, n, lr, rho, w, eps);
}

@final
class Adadelta {
  @inline
  four(
    p: usize,
    v: usize,
    u: usize,
    t: usize,
    g: usize,
    lr: v128,
    rho: v128,
    w: v128,
    eps: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const gradient = loadFirst(g, n);
    const root = f32x4.sqrt(f32x4.add(averagedSquare(v, gradient, rho, w, n), eps));
    const past = f32x4.sqrt(f32x4.add(loadFirst(u, n), eps));
    const change = f32x4.mul(f32x4.div(past, root), gradient);
    averagedSquare(u, change, rho, w, n);
    storeFirst(p, nmadd(change, lr, loadFirst(p, n)), n);
  }
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
  if (vMax) steps<Amsgrad>(p, m, v, vMax, g, n, step, decay, w1, beta2, w2, scale, eps);
  else steps<Adam>(p, m, v, vMax, g, n, step, decay, w1, beta2, w2, scale, eps);
}

@final
class Adam {
  @inline
  four(
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
    const gradient = loadFirst(g, n);
    const first = averaged(m, gradient, w1, n);
    const root = f32x4.sqrt(averagedSquare(v, gradient, beta2, w2, n));
    const change = f32x4.div(f32x4.mul(first, step), madd(root, scale, eps));
    storeFirst(p, f32x4.sub(f32x4.mul(loadFirst(p, n), decay), change), n);
  }
}

@final
class Amsgrad {
  @inline
  four(
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
    const gradient = loadFirst(g, n);
    const first = averaged(m, gradient, w1, n);
    const largest = f32x4.max(averagedSquare(v, gradient, beta2, w2, n), loadFirst(vMax, n));
    storeFirst(vMax, largest, n);
    const change = f32x4.div(f32x4.mul(first, step), madd(f32x4.sqrt(largest), scale, eps));
    storeFirst(p, f32x4.sub(f32x4.mul(loadFirst(p, n), decay), change), n);
  }
}

/** m ← m + w₁(g − m); v ← β₂ v + w₂ g²; θ −= (now · g + next · m) / (√v · scale + ε), scale = 1 / √(1 − β₂ᵗ) */
export function nadam(
  p: usize,
  m: usize,
  v: usize,
  g: usize,
  n: i32,
  now: f32,
  next: f32,
  w1: f32,
  beta2: f32,
  w2: f32,
  scale: f32,
  eps: f32,
): void {
  steps<Nadam>(p, m, v, 0, g, n, now, next, w1, beta2, w2, scale, eps);
}

@final
class Nadam {
  @inline
  four(
    p: usize,
    m: usize,
    v: usize,
    t: usize,
    g: usize,
    now: v128,
    next: v128,
    w1: v128,
    beta2: v128,
    w2: v128,
    scale: v128,
    eps: v128,
    n: usize,
  ): void {
    const gradient = loadFirst(g, n);
    const first = averaged(m, gradient, w1, n);
    const root = f32x4.sqrt(averagedSquare(v, gradient, beta2, w2, n));
    const change = f32x4.div(madd(first, next, f32x4.mul(gradient, now)), madd(root, scale, eps));
    storeFirst(p, f32x4.sub(loadFirst(p, n), change), n);
  }
}

/** θ ← decay · θ − lr · sgn(m + w₁(g − m)); m ← m + w₂(g − m), where w = 1 − β */
export function lion(p: usize, m: usize, g: usize, n: i32, lr: f32, decay: f32, w1: f32, w2: f32): void {
  steps<Lion>(p, m, 0, 0, g, n, lr, decay, w1, w2);
}

@final
class Lion {
  @inline
  four(
    p: usize,
    m: usize,
    t: usize,
    u: usize,
    g: usize,
    lr: v128,
    decay: v128,
    w1: v128,
    w2: v128,
    e: v128,
    f: v128,
    h: v128,
    n: usize,
  ): void {
    const gradient = loadFirst(g, n);
    const before = loadFirst(m, n);
    const change = f32x4.sub(gradient, before);
    const direction = signOf(madd(change, w1, before));
    storeFirst(m, madd(change, w2, before), n);
    storeFirst(p, nmadd(direction, lr, f32x4.mul(loadFirst(p, n), decay)), n);
  }
}
