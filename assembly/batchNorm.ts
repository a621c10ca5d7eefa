/**
 * Normalization of channels over images: x [images, channels, pixels] dense; with an `image`, some channels of it, so many
 * elements from one image to the next. Moments are of float64 sums of x − x₀, so a mean of 1000 loses nothing of a unit
 * variance. `stats` [channels, 3] saves the mean rounded, what the rounding lost, and 1 / √(variance + eps).
 */
import { centered, CenteredGradient } from "./centered";
import { get, mapRow } from "./rows";

/** Saves the statistics, and writes mean and (biased) variance as float64 pairs to `moments` [channels, 2]. */
export function batchNormStats(
  stats: usize,
  moments: usize,
  x: usize,
  images: i32,
  channels: i32,
  pixels: i32,
  image: i32,
  eps: f64,
): void {
  const plane = (<usize>pixels) << 2;
  const count = <f64>images * <f64>pixels;
  for (let c = 0; c < channels; c++) {
    const first = <f64>load<f32>(x);
    let sums = f64x2.splat(0);
    let squares = f64x2.splat(0);
    for (let n = 0; n < images; n++) {
      const row = x + ((<usize>n * <usize>image) << 2);
      const end = row + ((<usize>pixels & ~3) << 2);
      let at = row;
      for (; at < end; at += 16) {
        const low = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(at)), f64x2.splat(first));
        const high = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(at, 8)), f64x2.splat(first));
        sums = f64x2.add(sums, f64x2.add(low, high));
        squares = f64x2.add(squares, f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high)));
      }
      for (; at < row + plane; at += 4) {
        const d = <f64>load<f32>(at) - first;
        sums = f64x2.add(sums, f64x2(d, 0));
        squares = f64x2.add(squares, f64x2(d * d, 0));
      }
    }
    const shift = total(sums) / count;
    let variance = total(squares) / count - shift * shift;
    if (variance < 0) variance = 0;
    store<f64>(moments, first + shift);
    store<f64>(moments, variance, 8);
    saveStats(stats, first + shift, variance, eps);
    x += plane;
    stats += 12;
    moments += 16;
  }
}

/** The statistics of given means and variances [channels]. */
export function batchNormGivenStats(stats: usize, means: usize, variances: usize, channels: i32, eps: f64): void {
  for (let c = 0; c < channels; c++) {
    saveStats(stats, load<f32>(means), load<f32>(variances), eps);
    stats += 12;
    means += 4;
    variances += 4;
  }
}

/** running ← running + momentum · (of the batch − running), for the mean and for the variance · n / (n − 1) of n values */
export function batchNormUpdate(
  runningMean: usize,
  runningVar: usize,
  moments: usize,
  channels: i32,
  n: f64,
  momentum: f64,
): void {
  for (let c = 0; c < channels; c++) {
    move(runningMean, load<f64>(moments), momentum);
    move(runningVar, load<f64>(moments, 8) * (n / (n - 1)), momentum);
    moments += 16;
    runningMean += 4;
    runningVar += 4;
  }
}

/** y = (x − μ) · r · weight + bias */
export function batchNorm(
  y: usize,
  x: usize,
  weight: usize,
  bias: usize,
  stats: usize,
  images: i32,
  channels: i32,
  pixels: i32,
): void {
  const plane = (<usize>pixels) << 2;
  for (let n = 0; n < images; n++) {
    for (let c: usize = 0; c < <usize>channels; c++) {
      const own = stats + c * 12;
      const scale: f32 = load<f32>(own, 8) * load<f32>(weight + (c << 2));
      mapRow<Scaled>(y, x, 0, 0, pixels, load<f32>(own), load<f32>(own, 4), scale, load<f32>(bias + (c << 2)));
      x += plane;
      y += plane;
    }
  }
}

/** dweight = Σ dy · x̂ and dbias = Σ dy with x̂ = (x − μ) · r */
export function batchNormAffineGrad(
  dweight: usize,
  dbias: usize,
  dy: usize,
  x: usize,
  stats: usize,
  images: i32,
  channels: i32,
  pixels: i32,
  image: i32,
): void {
  const plane = (<usize>pixels) << 2;
  for (let c = 0; c < channels; c++) {
    const mean = <f64>load<f32>(stats) + <f64>load<f32>(stats, 4);
    let sums = f64x2.splat(0);
    let along = f64x2.splat(0);
    for (let n = 0; n < images; n++) {
      const offset = (<usize>n * <usize>image) << 2;
      const end = offset + ((<usize>pixels & ~1) << 2);
      let at = offset;
      for (; at < end; at += 8) {
        const g = f64x2.promote_low_f32x4(v128.load64_zero(dy + at));
        const d = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(x + at)), f64x2.splat(mean));
        sums = f64x2.add(sums, g);
        along = f64x2.add(along, f64x2.mul(g, d));
      }
      if (at < offset + plane) {
        const g = <f64>load<f32>(dy + at);
        sums = f64x2.add(sums, f64x2(g, 0));
        along = f64x2.add(along, f64x2(g * (<f64>load<f32>(x + at) - mean), 0));
      }
    }
    store<f32>(dweight, <f32>(total(along) * <f64>load<f32>(stats, 8)));
    store<f32>(dbias, <f32>total(sums));
    x += plane;
    dy += plane;
    stats += 12;
    dweight += 4;
    dbias += 4;
  }
}

/** dx = r · weight · (dy − dbias / n − x̂ · dweight / n) with n = `count`, which is ∞ where the statistics are given */
export function batchNormGrad(
  dx: usize,
  dy: usize,
  x: usize,
  weight: usize,
  stats: usize,
  dweight: usize,
  dbias: usize,
  images: i32,
  channels: i32,
  pixels: i32,
  count: f64,
): void {
  const plane = (<usize>pixels) << 2;
  for (let n = 0; n < images; n++) {
    for (let c: usize = 0; c < <usize>channels; c++) {
      const own = stats + c * 12;
      const r = load<f32>(own, 8);
      const shift = <f32>(<f64>load<f32>(dbias + (c << 2)) / count);
      const slope = <f32>((<f64>load<f32>(dweight + (c << 2)) / count) * <f64>r);
      const scale: f32 = r * load<f32>(weight + (c << 2));
      mapRow<CenteredGradient>(dx, dy, x, 0, pixels, load<f32>(own), load<f32>(own, 4), scale, shift, slope);
      dx += plane;
      dy += plane;
      x += plane;
    }
  }
}

/** (x − μ) · scale + bias */
@final
class Scaled {
  @inline
  at(x: usize, b: usize, c: usize, mean: v128, lost: v128, scale: v128, bias: v128, t: v128, n: usize): v128 {
    return f32x4.add(f32x4.mul(centered(get(x, n), mean, lost), scale), bias);
  }
}

// @ts-ignore: decorator
@inline
function saveStats(stats: usize, mean: f64, variance: f64, eps: f64): void {
  store<f32>(stats, <f32>mean);
  store<f32>(stats, <f32>(mean - <f64>(<f32>mean)), 4);
  store<f32>(stats, <f32>(1 / sqrt<f64>(variance + eps)), 8);
}

// @ts-ignore: decorator
@inline
function move(at: usize, target: f64, momentum: f64): void {
  const running = <f64>load<f32>(at);
  store<f32>(at, <f32>(running + momentum * (target - running)));
}

// @ts-ignore: decorator
@inline
function total(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}
