/**
 * Normalization of rows: [rows, cols] dense. A weight or bias of address 0 is absent.
 * Row kernels may be split by rows and column kernels (`…WeightGrad`) by columns without changing a bit.
 */
import { centered, CenteredGradient } from "./centered";
import { firstLanes, get, mapRow, Product, put, sumRow, Value } from "./rows";
import { loadTail, madd, sumLanes } from "./simd";

/** Rows that one partial sum of a column covers: errors grow with this and with rows / this, not with rows. */
const BLOCK = 64;

/**
 * y = x · r · weight with r = 1 / √(mean(x²) + eps), saved as `rstd` [rows].
 */
export function rmsNorm(y: usize, rstd: usize, x: usize, weight: usize, rows: i32, cols: i32, eps: f32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const r: f32 = 1 / sqrt<f32>(sumRow<Product>(x, x, 0, cols, 0, 0) / <f32>cols + eps);
    store<f32>(rstd, r);
    affine(y, x, weight, 0, cols, 0, 0, r);
    x += bytes;
    y += bytes;
    rstd += 4;
  }
}

/** dx = r · (g − x̂ · mean(g · x̂)) with g = dy · weight, x̂ = x · r */
export function rmsNormGrad(dx: usize, dy: usize, x: usize, weight: usize, rstd: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const r = load<f32>(rstd);
    const slope: f32 = (alongRow(dy, weight, x, cols, 0, 0) * r) / <f32>cols;
    rowGrad(dx, dy, weight, x, cols, 0, 0, r, 0, slope);
    dx += bytes;
    dy += bytes;
    x += bytes;
    rstd += 4;
  }
}

/** dweight[j] = Σᵢ dy[i, j] · x[i, j] · rstd[i], of rows that are `row` elements apart */
export function rmsNormWeightGrad(dw: usize, dy: usize, x: usize, rstd: usize, rows: i32, cols: i32, row: i32): void {
  sumColumns<RmsTerm>(dw, dy, x, rstd, rows, cols, (<usize>row) << 2);
}

/**
 * y = (x − μ) · r · weight + bias with r = 1 / √(variance + eps).
 * `stats` [rows, 3] saves μ rounded, what the rounding lost, and r: a mean of 1000 loses nothing of a unit variance.
 */
export function layerNorm(
  y: usize,
  stats: usize,
  x: usize,
  weight: usize,
  bias: usize,
  rows: i32,
  cols: i32,
  eps: f32,
): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const mean: f32 = sumRow<Value>(x, 0, 0, cols, 0, 0) / <f32>cols;
    store<f32>(stats, mean);
    sumDeviations(stats + 4, x, cols, mean);
    const lost: f32 = load<f32>(stats, 4) / <f32>cols;
    const variance: f32 = max<f32>(load<f32>(stats, 8) / <f32>cols - lost * lost, 0);
    const r: f32 = 1 / sqrt<f32>(variance + eps);
    store<f32>(stats, lost, 4);
    store<f32>(stats, r, 8);
    affine(y, x, weight, bias, cols, mean, lost, r);
    x += bytes;
    y += bytes;
    stats += 12;
  }
}

/** dx = r · (g − mean(g) − x̂ · mean(g · x̂)) with g = dy · weight, x̂ = (x − μ) · r */
export function layerNormGrad(dx: usize, dy: usize, x: usize, weight: usize, stats: usize, rows: i32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const mean = load<f32>(stats);
    const lost = load<f32>(stats, 4);
    const r = load<f32>(stats, 8);
    const shift: f32 =
      (weight ? sumRow<Product>(dy, weight, 0, cols, 0, 0) : sumRow<Value>(dy, 0, 0, cols, 0, 0)) / <f32>cols;
    const slope: f32 = (alongRow(dy, weight, x, cols, mean, lost) * r) / <f32>cols;
    rowGrad(dx, dy, weight, x, cols, mean, lost, r, shift, slope);
    dx += bytes;
    dy += bytes;
    x += bytes;
    stats += 12;
  }
}

/** dweight[j] = Σᵢ dy[i, j] · x̂[i, j], of rows that are `row` elements apart */
export function layerNormWeightGrad(
  dw: usize,
  dy: usize,
  x: usize,
  stats: usize,
  rows: i32,
  cols: i32,
  row: i32,
): void {
  sumColumns<LayerTerm>(dw, dy, x, stats, rows, cols, (<usize>row) << 2);
}

/** sums[0] = Σ (x − mean), sums[1] = Σ (x − mean)², in one pass */
function sumDeviations(sums: usize, x: usize, cols: i32, mean: f32): void {
  const means = f32x4.splat(mean);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let q0 = s0;
  let q1 = s0;
  let q2 = s0;
  let q3 = s0;
  let left = <usize>cols;
  for (; left >= 16; left -= 16) {
    const a = f32x4.sub(v128.load(x), means);
    const b = f32x4.sub(v128.load(x, 16), means);
    const c = f32x4.sub(v128.load(x, 32), means);
    const d = f32x4.sub(v128.load(x, 48), means);
    s0 = f32x4.add(s0, a);
    s1 = f32x4.add(s1, b);
    s2 = f32x4.add(s2, c);
    s3 = f32x4.add(s3, d);
    q0 = madd(a, a, q0);
    q1 = madd(b, b, q1);
    q2 = madd(c, c, q2);
    q3 = madd(d, d, q3);
    x += 64;
  }
  for (; left >= 4; left -= 4) {
    const a = f32x4.sub(v128.load(x), means);
    s0 = f32x4.add(s0, a);
    q0 = madd(a, a, q0);
    x += 16;
  }
  if (left) {
    const a = firstLanes(f32x4.sub(loadTail(x, left), means), left);
    s1 = f32x4.add(s1, a);
    q1 = madd(a, a, q1);
  }
  store<f32>(sums, sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3))));
  store<f32>(sums, sumLanes(f32x4.add(f32x4.add(q0, q1), f32x4.add(q2, q3))), 4);
}

/** a · (b − μ) */
@final
class ProductWithCentered {
  @inline
  at(a: usize, b: usize, c: usize, mean: v128, lost: v128, n: usize): v128 {
    return f32x4.mul(get(a, n), centered(get(b, n), mean, lost));
  }
}

/** a · c · (b − μ) */
@final
class WeightedProductWithCentered {
  @inline
  at(a: usize, b: usize, c: usize, mean: v128, lost: v128, n: usize): v128 {
    return f32x4.mul(f32x4.mul(get(a, n), get(c, n)), centered(get(b, n), mean, lost));
  }
}

/** Σ dy · weight · (x − μ) */
function alongRow(dy: usize, weight: usize, x: usize, cols: i32, mean: f32, lost: f32): f32 {
  if (weight) return sumRow<WeightedProductWithCentered>(dy, x, weight, cols, mean, lost);
  return sumRow<ProductWithCentered>(dy, x, 0, cols, mean, lost);
}

/** (x − μ) · r */
@final
class Normal {
  @inline
  at(x: usize, w: usize, b: usize, mean: v128, lost: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.mul(centered(get(x, n), mean, lost), r);
  }
}

/** (x − μ) · r · weight */
@final
class ScaledNormal {
  @inline
  at(x: usize, w: usize, b: usize, mean: v128, lost: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.mul(f32x4.mul(centered(get(x, n), mean, lost), r), get(w, n));
  }
}

/** (x − μ) · r · weight + bias */
@final
class AffineNormal {
  @inline
  at(x: usize, w: usize, b: usize, mean: v128, lost: v128, r: v128, s: v128, t: v128, n: usize): v128 {
    return f32x4.add(f32x4.mul(f32x4.mul(centered(get(x, n), mean, lost), r), get(w, n)), get(b, n));
  }
}

/** y = (x − μ) · r · weight + bias; a bias comes with a weight. */
function affine(y: usize, x: usize, weight: usize, bias: usize, cols: i32, mean: f32, lost: f32, r: f32): void {
  if (bias) mapRow<AffineNormal>(y, x, weight, bias, cols, mean, lost, r);
  else if (weight) mapRow<ScaledNormal>(y, x, weight, 0, cols, mean, lost, r);
  else mapRow<Normal>(y, x, 0, 0, cols, mean, lost, r);
}

/** r · (dy · weight − shift − (x − μ) · slope) */
@final
class WeightedGradient {
  @inline
  at(dy: usize, x: usize, w: usize, mean: v128, lost: v128, r: v128, shift: v128, slope: v128, n: usize): v128 {
    const along = f32x4.mul(centered(get(x, n), mean, lost), slope);
    return f32x4.mul(r, f32x4.sub(f32x4.sub(f32x4.mul(get(dy, n), get(w, n)), shift), along));
  }
}

/** dx = r · (dy · weight − shift − x̂ · slope) */
function rowGrad(
  dx: usize,
  dy: usize,
  weight: usize,
  x: usize,
  cols: i32,
  mean: f32,
  lost: f32,
  r: f32,
  shift: f32,
  slope: f32,
): void {
  if (weight) mapRow<WeightedGradient>(dx, dy, x, weight, cols, mean, lost, r, shift, r * slope);
  else mapRow<CenteredGradient>(dx, dy, x, 0, cols, mean, lost, r, shift, r * slope);
}

/** dy · x̂ of one row, whose statistics are r alone. */
@final
class RmsTerm {
  @inline
  at(dy: usize, x: usize, stats: usize, n: usize): v128 {
    return f32x4.mul(get(dy, n), f32x4.mul(get(x, n), v128.load32_splat(stats)));
  }

  @inline
  statsBytes(): usize {
    return 4;
  }
}

/** dy · x̂ of one row, whose statistics are μ, what its rounding lost, and r. */
@final
class LayerTerm {
  @inline
  at(dy: usize, x: usize, stats: usize, n: usize): v128 {
    const d = centered(get(x, n), v128.load32_splat(stats), v128.load32_splat(stats, 4));
    return f32x4.mul(get(dy, n), f32x4.mul(d, v128.load32_splat(stats, 8)));
  }

  @inline
  statsBytes(): usize {
    return 12;
  }
}

/** dw[j] = Σᵢ term[i, j], strip by strip of columns, in blocks of rows. */
// @ts-ignore: decorator
@inline
function sumColumns<Term>(dw: usize, dy: usize, x: usize, stats: usize, rows: i32, cols: i32, row: usize): void {
  let j: usize = 0;
  for (const end = (<usize>cols & ~15) << 2; j < end; j += 64) sumStrip<Term>(dw + j, dy + j, x + j, stats, rows, row);
  for (const end = (<usize>cols & ~3) << 2; j < end; j += 16)
    sumColumn<Term>(dw + j, dy + j, x + j, stats, rows, row, 0);
  const tail = <usize>cols & 3;
  if (tail) sumColumn<Term>(dw + j, dy + j, x + j, stats, rows, row, tail);
}

/** Sixteen columns: one cache line of each row. */
// @ts-ignore: decorator
@inline
function sumStrip<Term>(dw: usize, dy: usize, x: usize, stats: usize, rows: i32, row: usize): void {
  const term = changetype<Term>(0);
  let t0 = f32x4.splat(0);
  let t1 = t0;
  let t2 = t0;
  let t3 = t0;
  while (rows > 0) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let i = min(rows, BLOCK); i > 0; i--) {
      // @ts-ignore: Term is one of the classes above
      s0 = f32x4.add(s0, term.at(dy, x, stats, 0));
      // @ts-ignore: Term is one of the classes above
      s1 = f32x4.add(s1, term.at(dy + 16, x + 16, stats, 0));
      // @ts-ignore: Term is one of the classes above
      s2 = f32x4.add(s2, term.at(dy + 32, x + 32, stats, 0));
      // @ts-ignore: Term is one of the classes above
      s3 = f32x4.add(s3, term.at(dy + 48, x + 48, stats, 0));
      dy += row;
      x += row;
      // @ts-ignore: Term is one of the classes above
      stats += term.statsBytes();
    }
    t0 = f32x4.add(t0, s0);
    t1 = f32x4.add(t1, s1);
    t2 = f32x4.add(t2, s2);
    t3 = f32x4.add(t3, s3);
    rows -= BLOCK;
  }
  v128.store(dw, t0);
  v128.store(dw, t1, 16);
  v128.store(dw, t2, 32);
  v128.store(dw, t3, 48);
}

/** Four columns, or the `n` of a tail. */
// @ts-ignore: decorator
@inline
function sumColumn<Term>(dw: usize, dy: usize, x: usize, stats: usize, rows: i32, row: usize, n: usize): void {
  const term = changetype<Term>(0);
  let t = f32x4.splat(0);
  while (rows > 0) {
    let s = f32x4.splat(0);
    for (let i = min(rows, BLOCK); i > 0; i--) {
      // @ts-ignore: Term is one of the classes above
      s = f32x4.add(s, term.at(dy, x, stats, n));
      dy += row;
      x += row;
      // @ts-ignore: Term is one of the classes above
      stats += term.statsBytes();
    }
    t = f32x4.add(t, s);
    rows -= BLOCK;
  }
  put(dw, t, n);
}
