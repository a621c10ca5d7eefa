/**
 * Fused scaled-dot-product attention: y = softmax(scale · q kᵀ + mask) v, without ever keeping a [Tq, Tk] matrix.
 *
 * Work is cut into tiles of 16 lanes: forward, a lane is a query, so that the running maximum and sum of the softmax
 * are whole vectors; backward, a lane is a key, so that dk and dv grow in registers over the queries. Either way the
 * other side's rows are read element by element from where they lie, and every product has 2×16 accumulators: 8
 * vectors, which with the loads of a step fit V8's 15 registers. Probabilities are powers of two: q is scaled by
 * scale · log2 e, and `lse` holds log2 Σ 2^s of each query, or +∞ where a query sees no key (its output is 0).
 *
 * q and k have rows of `d` elements, v of `e`; a row's elements are contiguous, every other stride is free and counts
 * elements. Query i sees the keys j ≤ i + offset; offset = tk hides none. A call does the items [begin, end), where an
 * item is one key-value head of one batch entry with the query heads that share it, in a workspace of its own.
 */
import { exp2, log, log2e } from "./math";
import { loadTail, madd, storeTail, sumLanes } from "./simd";

const LANES = 16;
/** Keys per round of the online softmax. */
const KEYS = 256;
/** Below so many queries each goes by itself. */
const FEW = 5;
/** Queries per round of the backward pass. */
const QUERIES = 64;
/** Below every score, and finite: no ∞ − ∞ in a row without visible keys. */
const LOWEST: f32 = -3.4028234e38;
const LOG2E: f32 = 1.44269504;
const LN2: f32 = 0.69314718;

// @ts-ignore: decorator
@inline
function bytes(elements: i32): usize {
  return (<usize>elements) << 2;
}

/** Of a tile of 16 lanes; rows go in pairs. */
// @ts-ignore: decorator
@inline
function tileBytes(rows: i32): usize {
  return (<usize>(rows + (rows & 1))) << 6;
}

/** `d` rounded up to what `spread` takes. */
// @ts-ignore: decorator
@inline
function wide(d: i32): i32 {
  return (d + 7) & ~7;
}

/** The address of entry [b][h]. */
// @ts-ignore: decorator
@inline
function entry(x: usize, b: i32, batchStride: i32, h: i32, headStride: i32): usize {
  return x + bytes(b) * batchStride + bytes(h) * headStride;
}

/** s[r][16] = Σ_d x[r][d] · t[d][16]; rows go in pairs, so an odd last row of s is followed by one of no meaning. */
function dots(s: usize, x: usize, t: usize, rows: i32, d: i32, xRow: usize): void {
  for (let r = 0; r < rows; r += 2) {
    let x0 = x;
    let x1 = r + 1 < rows ? x + xRow : x;
    const end = x0 + bytes(d);
    let y = t;
    let s00 = f32x4.splat(0);
    let s01 = s00;
    let s02 = s00;
    let s03 = s00;
    let s10 = s00;
    let s11 = s00;
    let s12 = s00;
    let s13 = s00;
    while (x0 < end) {
      const a = v128.load32_splat(x0);
      const b = v128.load32_splat(x1);
      const y0 = v128.load(y);
      const y1 = v128.load(y, 16);
      const y2 = v128.load(y, 32);
      const y3 = v128.load(y, 48);
      s00 = madd(a, y0, s00);
      s10 = madd(b, y0, s10);
      s01 = madd(a, y1, s01);
      s11 = madd(b, y1, s11);
      s02 = madd(a, y2, s02);
      s12 = madd(b, y2, s12);
      s03 = madd(a, y3, s03);
      s13 = madd(b, y3, s13);
      x0 += 4;
      x1 += 4;
      y += 64;
    }
    v128.store(s, s00);
    v128.store(s, s01, 16);
    v128.store(s, s02, 32);
    v128.store(s, s03, 48);
    v128.store(s, s10, 64);
    v128.store(s, s11, 80);
    v128.store(s, s12, 96);
    v128.store(s, s13, 112);
    s += 128;
    x += xRow << 1;
  }
}

/** t[d][16] += Σ_r x[r][d] · p[r][16]; columns of x go in pairs, an odd last one fills a row of t of no meaning. */
function gather(t: usize, x: usize, p: usize, rows: i32, d: i32, xRow: usize): void {
  const end = p + ((<usize>rows) << 6);
  for (let c = 0; c < d; c += 2) {
    let x0 = x;
    let x1 = c + 1 < d ? x + 4 : x;
    let y = p;
    let t00 = v128.load(t);
    let t01 = v128.load(t, 16);
    let t02 = v128.load(t, 32);
    let t03 = v128.load(t, 48);
    let t10 = v128.load(t, 64);
    let t11 = v128.load(t, 80);
    let t12 = v128.load(t, 96);
    let t13 = v128.load(t, 112);
    while (y < end) {
      const a = v128.load32_splat(x0);
      const b = v128.load32_splat(x1);
      const y0 = v128.load(y);
      const y1 = v128.load(y, 16);
      const y2 = v128.load(y, 32);
      const y3 = v128.load(y, 48);
      t00 = madd(a, y0, t00);
      t10 = madd(b, y0, t10);
      t01 = madd(a, y1, t01);
      t11 = madd(b, y1, t11);
      t02 = madd(a, y2, t02);
      t12 = madd(b, y2, t12);
      t03 = madd(a, y3, t03);
      t13 = madd(b, y3, t13);
      x0 += xRow;
      x1 += xRow;
      y += 64;
    }
    v128.store(t, t00);
    v128.store(t, t01, 16);
    v128.store(t, t02, 32);
    v128.store(t, t03, 48);
    v128.store(t, t10, 64);
    v128.store(t, t11, 80);
    v128.store(t, t12, 96);
    v128.store(t, t13, 112);
    t += 128;
    x += 8;
  }
}

/** y[r][wide] += Σ_j s[r][j] · x[j][wide] over the 16 lanes j; rows go in fours. */
function spread(y: usize, s: usize, x: usize, rows: i32, width: i32): void {
  const row = bytes(width);
  for (const end = y + row * rows; y < end; y += row << 2) {
    let c: usize = 0;
    for (; c < bytes(width & ~15); c += 64) {
      spread2x16(y + c, s, x + c, row);
      spread2x16(y + c + (row << 1), s + 128, x + c, row);
    }
    if (width & 8) spread4x8(y + c, s, x + c, row);
    s += 256;
  }
}

// @ts-ignore: decorator
@inline
function spread2x16(y: usize, s: usize, x: usize, row: usize): void {
  const z = y + row;
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y02 = v128.load(y, 32);
  let y03 = v128.load(y, 48);
  let y10 = v128.load(z);
  let y11 = v128.load(z, 16);
  let y12 = v128.load(z, 32);
  let y13 = v128.load(z, 48);
  for (const end = s + 64; s < end; s += 4) {
    const a = v128.load32_splat(s);
    const b = v128.load32_splat(s, 64);
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    y00 = madd(a, x0, y00);
    y10 = madd(b, x0, y10);
    y01 = madd(a, x1, y01);
    y11 = madd(b, x1, y11);
    y02 = madd(a, x2, y02);
    y12 = madd(b, x2, y12);
    y03 = madd(a, x3, y03);
    y13 = madd(b, x3, y13);
    x += row;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y, y02, 32);
  v128.store(y, y03, 48);
  v128.store(z, y10);
  v128.store(z, y11, 16);
  v128.store(z, y12, 32);
  v128.store(z, y13, 48);
}

// @ts-ignore: decorator
@inline
function spread4x8(y: usize, s: usize, x: usize, row: usize): void {
  const y1 = y + row;
  const y2 = y1 + row;
  const y3 = y2 + row;
  let y00 = v128.load(y);
  let y01 = v128.load(y, 16);
  let y10 = v128.load(y1);
  let y11 = v128.load(y1, 16);
  let y20 = v128.load(y2);
  let y21 = v128.load(y2, 16);
  let y30 = v128.load(y3);
  let y31 = v128.load(y3, 16);
  for (const end = s + 64; s < end; s += 4) {
    const a = v128.load32_splat(s);
    const b = v128.load32_splat(s, 64);
    const c = v128.load32_splat(s, 128);
    const d = v128.load32_splat(s, 192);
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    y00 = madd(a, x0, y00);
    y01 = madd(a, x1, y01);
    y10 = madd(b, x0, y10);
    y11 = madd(b, x1, y11);
    y20 = madd(c, x0, y20);
    y21 = madd(c, x1, y21);
    y30 = madd(d, x0, y30);
    y31 = madd(d, x1, y31);
    x += row;
  }
  v128.store(y, y00);
  v128.store(y, y01, 16);
  v128.store(y1, y10);
  v128.store(y1, y11, 16);
  v128.store(y2, y20);
  v128.store(y2, y21, 16);
  v128.store(y3, y30);
  v128.store(y3, y31, 16);
}

/** y[c][r] = x[r][c] · scale */
function transpose(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize, scale: f32): void {
  const by = f32x4.splat(scale);
  const blockRows = rows & ~3;
  const blockCols = cols & ~3;
  for (let r = 0; r < blockRows; r += 4) {
    for (let c = 0; c < blockCols; c += 4) {
      let from = x + xRow * r + bytes(c);
      const x0 = f32x4.mul(v128.load(from), by);
      const x1 = f32x4.mul(v128.load((from += xRow)), by);
      const x2 = f32x4.mul(v128.load((from += xRow)), by);
      const x3 = f32x4.mul(v128.load((from += xRow)), by);
      const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
      const low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
      const high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      let to = y + yRow * c + bytes(r);
      v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
      v128.store((to += yRow), v128.shuffle<f64>(low01, low23, 1, 3));
      v128.store((to += yRow), v128.shuffle<f64>(high01, high23, 0, 2));
      v128.store((to += yRow), v128.shuffle<f64>(high01, high23, 1, 3));
    }
  }
  for (let r = 0; r < rows; r++) {
    for (let c = r < blockRows ? blockCols : 0; c < cols; c++) {
      store<f32>(y + yRow * c + bytes(r), load<f32>(x + xRow * r + bytes(c)) * scale);
    }
  }
}

/** t[c][r] = x[r][c] for up to 16 rows of x; lanes of absent rows are 0. */
function packTile(t: usize, x: usize, rows: i32, d: i32, xRow: usize, scale: f32): void {
  if (rows < LANES) memory.fill(t, 0, (<usize>d) << 6);
  transpose(t, x, rows, d, 64, xRow, scale);
}

/** y[r][c] = x[r][c] · scale */
function copyRows(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize, scale: f32): void {
  const by = f32x4.splat(scale);
  const tail = cols & 3;
  for (let r = 0; r < rows; r++) {
    const end = bytes(cols & ~3);
    for (let c: usize = 0; c < end; c += 16) v128.store(y + c, f32x4.mul(v128.load(x + c), by));
    if (tail) storeTail(y + end, f32x4.mul(loadTail(x + end, tail), by), tail);
    x += xRow;
    y += yRow;
  }
}

/** s[j][16 queries]: −∞ for key j where it comes after query `lane` + offset. */
function hideKeys(s: usize, rows: i32, offset: i32): void {
  const hidden = f32x4.splat(-Infinity);
  for (let j = max(offset + 1, 0); j < rows; j++) {
    const first = i32x4.splat(j - offset);
    let y = s + ((<usize>j) << 6);
    let lane = i32x4(0, 1, 2, 3);
    for (let c = 0; c < 4; c++) {
      v128.store(y, v128.bitselect(hidden, v128.load(y), i32x4.lt_s(lane, first)));
      lane = i32x4.add(lane, i32x4.splat(4));
      y += 16;
    }
  }
}

/** s[i][16 keys]: −∞ where key `lane` comes after query i + offset, or is not there at all. */
function hideLanes(s: usize, rows: i32, offset: i32, keys: i32): void {
  const hidden = f32x4.splat(-Infinity);
  const all = keys < LANES ? rows : min(rows, LANES - 1 - offset);
  for (let i = 0; i < all; i++) {
    const last = i32x4.splat(min(i + offset, keys - 1));
    let lane = i32x4(0, 1, 2, 3);
    for (let c = 0; c < 4; c++) {
      v128.store(s, v128.bitselect(hidden, v128.load(s), i32x4.gt_s(lane, last)));
      lane = i32x4.add(lane, i32x4.splat(4));
      s += 16;
    }
  }
}

/** s[r][lane] += mask · log2 e */
function addMask(s: usize, mask: usize, rows: i32, lanes: i32, rowStride: usize, laneStride: usize): void {
  for (let r = 0; r < rows; r++) {
    let m = mask;
    for (let l = 0; l < lanes; l++) {
      store<f32>(s + bytes(l), load<f32>(s + bytes(l)) + load<f32>(m) * LOG2E);
      m += laneStride;
    }
    s += 64;
    mask += rowStride;
  }
}

/** top' = max(top, s), s = 2^(s − top'), sum = sum · 2^(top − top') + Σ s, and as much for the first `e` rows of yT. */
function softmaxRound(s: usize, top: usize, sum: usize, yT: usize, rows: i32, e: i32): void {
  const height = (<usize>rows) << 6;
  let m0 = v128.load(top);
  let m1 = v128.load(top, 16);
  let m2 = v128.load(top, 32);
  let m3 = v128.load(top, 48);
  for (let y = s, end = s + height; y < end; y += 64) {
    m0 = f32x4.pmax(m0, v128.load(y));
    m1 = f32x4.pmax(m1, v128.load(y, 16));
    m2 = f32x4.pmax(m2, v128.load(y, 32));
    m3 = f32x4.pmax(m3, v128.load(y, 48));
  }
  softmaxColumn(s, top, sum, yT, m0, height, e);
  softmaxColumn(s + 16, top + 16, sum + 16, yT + 16, m1, height, e);
  softmaxColumn(s + 32, top + 32, sum + 32, yT + 32, m2, height, e);
  softmaxColumn(s + 48, top + 48, sum + 48, yT + 48, m3, height, e);
}

function softmaxColumn(s: usize, top: usize, sum: usize, yT: usize, most: v128, height: usize, e: i32): void {
  const shrink = exp2(f32x4.sub(v128.load(top), most));
  let total = f32x4.mul(v128.load(sum), shrink);
  for (const end = s + height; s < end; s += 64) {
    const p = exp2(f32x4.sub(v128.load(s), most));
    v128.store(s, p);
    total = f32x4.add(total, p);
  }
  v128.store(top, most);
  v128.store(sum, total);
  for (const end = yT + ((<usize>e) << 6); yT < end; yT += 64) v128.store(yT, f32x4.mul(v128.load(yT), shrink));
}

/** s[j] = Σ_c q[c] · k[j][c] for `n` keys, in fours; what s lacks of a last vector is −∞. */
function rowScores(s: usize, q: usize, k: usize, n: i32, d: i32, kRow: usize): void {
  const end = bytes(d & ~3);
  const tail = d & 3;
  for (let j = 0; j < n; j += 4) {
    const k0 = k;
    const k1 = j + 1 < n ? k + kRow : k;
    const k2 = j + 2 < n ? k1 + kRow : k;
    const k3 = j + 3 < n ? k2 + kRow : k;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let c: usize = 0; c < end; c += 16) {
      const x = v128.load(q + c);
      s0 = madd(x, v128.load(k0 + c), s0);
      s1 = madd(x, v128.load(k1 + c), s1);
      s2 = madd(x, v128.load(k2 + c), s2);
      s3 = madd(x, v128.load(k3 + c), s3);
    }
    if (tail) {
      const x = v128.load(q + end);
      s0 = madd(x, loadTail(k0 + end, tail), s0);
      s1 = madd(x, loadTail(k1 + end, tail), s1);
      s2 = madd(x, loadTail(k2 + end, tail), s2);
      s3 = madd(x, loadTail(k3 + end, tail), s3);
    }
    const s01 = f32x4.add(v128.shuffle<f32>(s0, s1, 0, 4, 1, 5), v128.shuffle<f32>(s0, s1, 2, 6, 3, 7));
    const s23 = f32x4.add(v128.shuffle<f32>(s2, s3, 0, 4, 1, 5), v128.shuffle<f32>(s2, s3, 2, 6, 3, 7));
    v128.store(s, f32x4.add(v128.shuffle<f64>(s01, s23, 0, 2), v128.shuffle<f64>(s01, s23, 1, 3)));
    s += 16;
    k += kRow << 2;
  }
  for (let j = n; j & 3; j++) {
    s -= 4;
    store<f32>(s, -Infinity);
  }
}

/** y[c] = y[c] · shrink + Σ_j p[j] · v[j][c] */
function rowGather(y: usize, p: usize, v: usize, n: i32, e: i32, vRow: usize, shrink: f32): void {
  const fours = p + bytes(n & ~3);
  const end = p + bytes(n);
  for (let c = 0; c < e; c += 4) {
    const tail = min(e - c, 4);
    let x = v + bytes(c);
    let at = p;
    let y0 = f32x4.mul(v128.load(y), f32x4.splat(shrink));
    if (tail == 4) {
      let y1 = f32x4.splat(0);
      let y2 = y1;
      let y3 = y1;
      for (; at < fours; at += 16) {
        y0 = madd(v128.load32_splat(at), v128.load(x), y0);
        y1 = madd(v128.load32_splat(at, 4), v128.load((x += vRow)), y1);
        y2 = madd(v128.load32_splat(at, 8), v128.load((x += vRow)), y2);
        y3 = madd(v128.load32_splat(at, 12), v128.load((x += vRow)), y3);
        x += vRow;
      }
      y0 = f32x4.add(f32x4.add(y0, y1), f32x4.add(y2, y3));
    }
    for (; at < end; at += 4) {
      y0 = madd(v128.load32_splat(at), tail == 4 ? v128.load(x) : loadTail(x, tail), y0);
      x += vRow;
    }
    v128.store(y, y0);
    y += 16;
  }
}

/** One query: lanes are keys for its scores, and elements of v for its output. */
function forwardRow(
  y: usize,
  lse: usize,
  q: usize,
  k: usize,
  v: usize,
  mask: usize,
  work: usize,
  visible: i32,
  d: i32,
  e: i32,
  kRow: usize,
  vRow: usize,
  maskKey: usize,
  scale: f32,
): void {
  const scaledQ = work;
  const sumY = scaledQ + tileBytes(d);
  const s = sumY + tileBytes(e);
  store<v128>(scaledQ + bytes(d & ~3), f32x4.splat(0));
  copyRows(scaledQ, q, 1, d, 0, 0, scale * LOG2E);
  memory.fill(sumY, 0, tileBytes(e));
  let top = LOWEST;
  let sum: f32 = 0;
  for (let j = 0; j < visible; j += KEYS) {
    const n = min(KEYS, visible - j);
    rowScores(s, scaledQ, k, n, d, kRow);
    if (mask) {
      for (let i = 0; i < n; i++) {
        store<f32>(s + bytes(i), load<f32>(s + bytes(i)) + load<f32>(mask) * LOG2E);
        mask += maskKey;
      }
    }
    const end = s + bytes((n + 3) & ~3);
    let most = f32x4.splat(top);
    for (let x = s; x < end; x += 16) most = f32x4.pmax(most, v128.load(x));
    most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
    most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
    const shrink = f32x4.extract_lane(exp2(f32x4.sub(f32x4.splat(top), most)), 0);
    let total = f32x4.splat(0);
    for (let x = s; x < end; x += 16) {
      const p = exp2(f32x4.sub(v128.load(x), most));
      v128.store(x, p);
      total = f32x4.add(total, p);
    }
    top = f32x4.extract_lane(most, 0);
    sum = sum * shrink + sumLanes(total);
    rowGather(sumY, s, v, n, e, vRow, shrink);
    k += kRow * KEYS;
    v += vRow * KEYS;
  }
  copyRows(y, sumY, 1, e, 0, 0, f32x4.extract_lane(inverse(f32x4.splat(sum)), 0));
  v128.store32_lane(lse, lseOf(f32x4.splat(top), f32x4.splat(sum)), 0);
}

function forwardTile(
  y: usize,
  lse: usize,
  q: usize,
  k: usize,
  v: usize,
  mask: usize,
  work: usize,
  queries: i32,
  visible: i32,
  d: i32,
  e: i32,
  yRow: usize,
  qRow: usize,
  kRow: usize,
  vRow: usize,
  maskRow: usize,
  maskKey: usize,
  offset: i32,
  scale: f32,
): void {
  const qT = work;
  const yT = qT + tileBytes(d);
  const s = yT + tileBytes(e);
  const top = s + tileBytes(KEYS);
  const sum = top + 64;
  packTile(qT, q, queries, d, qRow, scale * LOG2E);
  memory.fill(yT, 0, tileBytes(e));
  for (let c: usize = 0; c < 64; c += 16) {
    v128.store(top + c, f32x4.splat(LOWEST));
    v128.store(sum + c, f32x4.splat(0));
  }
  for (let j = 0; j < visible; j += KEYS) {
    const n = min(KEYS, visible - j);
    dots(s, k, qT, n, d, kRow);
    if (mask) {
      addMask(s, mask, n, queries, maskKey, maskRow);
      mask += maskKey * KEYS;
    }
    hideKeys(s, n, offset - j);
    softmaxRound(s, top, sum, yT, n, j > 0 ? e : 0);
    gather(yT, v, s, n, e, vRow);
    k += kRow * KEYS;
    v += vRow * KEYS;
  }
  for (let c: usize = 0; c < 64; c += 16) {
    const total = v128.load(sum + c);
    v128.store(top + c, lseOf(v128.load(top + c), total));
    scaleColumn(yT + c, inverse(total), e);
  }
  copyRows(lse, top, 1, queries, 0, 0, 1);
  transpose(y, yT, e, queries, yRow, 64, 1);
}

/** log2 Σ 2^s from the greatest score and the sum relative to it; +∞ where there was no key */
// @ts-ignore: decorator
@inline
function lseOf(top: v128, sum: v128): v128 {
  return v128.bitselect(f32x4.splat(Infinity), madd(log(sum), log2e(), top), isZero(sum));
}

/** 1/x, but 0 for 0 */
// @ts-ignore: decorator
@inline
function inverse(x: v128): v128 {
  return v128.andnot(f32x4.div(f32x4.splat(1), x), isZero(x));
}

// @ts-ignore: decorator
@inline
function isZero(x: v128): v128 {
  return f32x4.eq(x, f32x4.splat(0));
}

/** t[c][4] ·= by */
// @ts-ignore: decorator
@inline
function scaleColumn(t: usize, by: v128, rows: i32): void {
  for (const end = t + ((<usize>rows) << 6); t < end; t += 64) v128.store(t, f32x4.mul(v128.load(t), by));
}

// @ts-ignore: decorator
@inline
function tileWorkspace(d: i32, e: i32): usize {
  return tileBytes(d) + tileBytes(e) + tileBytes(KEYS) + 128;
}

/** Bytes of workspace for `attention`. */
export function attentionWorkspace(tk: i32, d: i32, e: i32): i32 {
  return <i32>(tileWorkspace(d, e) + bytes(tk * (d + e)));
}

/** y = softmax(scale · q kᵀ + mask) v and lse[b][h][i] = log2 Σ_j 2^s, s = log2 e · (scale · q kᵀ + mask) */
export function attention(
  y: usize,
  lse: usize,
  q: usize,
  k: usize,
  v: usize,
  mask: usize,
  work: usize,
  begin: i32,
  end: i32,
  heads: i32,
  kvHeads: i32,
  tq: i32,
  tk: i32,
  d: i32,
  e: i32,
  yBatch: i32,
  yHead: i32,
  yRow: i32,
  qBatch: i32,
  qHead: i32,
  qRow: i32,
  kBatch: i32,
  kHead: i32,
  kRow: i32,
  vBatch: i32,
  vHead: i32,
  vRow: i32,
  maskBatch: i32,
  maskHead: i32,
  maskRow: i32,
  maskKey: i32,
  offset: i32,
  scale: f32,
): void {
  const group = heads / kvHeads;
  const kCopy = work + tileWorkspace(d, e);
  const vCopy = kCopy + bytes(tk * d);
  const many = group * tq >= 64;
  for (let item = begin; item < end; item++) {
    const b = item / kvHeads;
    const kvHead = item % kvHeads;
    let ki = entry(k, b, kBatch, kvHead, kHead);
    let vi = entry(v, b, vBatch, kvHead, vHead);
    let kStep = bytes(kRow);
    let vStep = bytes(vRow);
    if (many && scattered(tk, d, kRow)) {
      copyRows(kCopy, ki, tk, d, bytes(d), kStep, 1);
      ki = kCopy;
      kStep = bytes(d);
    }
    if (many && scattered(tk, e, vRow)) {
      copyRows(vCopy, vi, tk, e, bytes(e), vStep, 1);
      vi = vCopy;
      vStep = bytes(e);
    }
    for (let h = kvHead * group; h < (kvHead + 1) * group; h++) {
      for (let i = 0; i < tq; i += tq < FEW ? 1 : LANES) {
        const yi = entry(y, b, yBatch, h, yHead) + bytes(i) * yRow;
        const qi = entry(q, b, qBatch, h, qHead) + bytes(i) * qRow;
        const lsei = entry(lse, b, heads * tq, h, tq) + bytes(i);
        const maski = mask ? entry(mask, b, maskBatch, h, maskHead) + bytes(i) * maskRow : 0;
        if (tq < FEW) {
          const visible = min(tk, i + offset + 1);
          forwardRow(yi, lsei, qi, ki, vi, maski, work, visible, d, e, kStep, vStep, bytes(maskKey), scale);
        } else {
          const queries = min(LANES, tq - i);
          const visible = min(tk, i + queries + offset);
          forwardTile(
            yi,
            lsei,
            qi,
            ki,
            vi,
            maski,
            work,
            queries,
            visible,
            d,
            e,
            bytes(yRow),
            bytes(qRow),
            kStep,
            vStep,
            bytes(maskRow),
            bytes(maskKey),
            i + offset,
            scale,
          );
        }
      }
    }
  }
}

/** Whether rows lie so far apart that they share few cache sets: 35 → 28 GFLOP/s at 1024 rows of 64, 512 apart. */
// @ts-ignore: decorator
@inline
function scattered(rows: i32, cols: i32, stride: i32): bool {
  return stride > cols && bytes(rows) * stride > 65536;
}

/** p = 2^(p − lse), ds = p · (ds − delta): scores to probabilities, their gradients to those of the scores. */
function probabilities(p: usize, ds: usize, lse: usize, delta: usize, rows: i32): void {
  for (let r = 0; r < rows; r++) {
    const rowLse = v128.load32_splat(lse);
    const rowDelta = v128.load32_splat(delta);
    for (let c: usize = 0; c < 64; c += 16) {
      const probability = exp2(f32x4.sub(v128.load(p + c), rowLse));
      v128.store(p + c, probability);
      v128.store(ds + c, f32x4.mul(probability, f32x4.sub(v128.load(ds + c), rowDelta)));
    }
    p += 64;
    ds += 64;
    lse += 4;
    delta += 4;
  }
}

/** delta[r] = Σ_c dy[r][c] · y[r][c] */
function rowDots(delta: usize, dy: usize, y: usize, rows: i32, cols: i32, dyRow: usize, yRow: usize): void {
  const tail = cols & 3;
  const end = bytes(cols & ~3);
  for (let r = 0; r < rows; r++) {
    let sum = tail ? f32x4.mul(loadTail(dy + end, tail), loadTail(y + end, tail)) : f32x4.splat(0);
    for (let c: usize = 0; c < end; c += 16) sum = madd(v128.load(dy + c), v128.load(y + c), sum);
    store<f32>(delta + bytes(r), sumLanes(sum));
    dy += dyRow;
    y += yRow;
  }
}

/** Bytes of workspace for `attentionGrad` with `group` query heads to a key-value head. */
export function attentionGradWorkspace(group: i32, tq: i32, d: i32, e: i32): i32 {
  const tiles: usize = (tileBytes(d) + tileBytes(e) + tileBytes(QUERIES)) << 1;
  const heads: usize = headBytes(tq, d) * group;
  return <i32>(tiles + bytes(LANES * wide(d)) + heads);
}

/** What the backward pass keeps of a query head: scaled queries, dq, delta. */
// @ts-ignore: decorator
@inline
function headBytes(tq: i32, d: i32): usize {
  return bytes(tq * d) + bytes((tq + 3) * wide(d)) + bytes(tq);
}

/** Gradients of `attention`; delta = rowsum(dy · y) stands for the softmax's own sum, probabilities come back from lse. */
export function attentionGrad(
  dq: usize,
  dk: usize,
  dv: usize,
  dy: usize,
  y: usize,
  lse: usize,
  q: usize,
  k: usize,
  v: usize,
  mask: usize,
  work: usize,
  begin: i32,
  end: i32,
  heads: i32,
  kvHeads: i32,
  tq: i32,
  tk: i32,
  d: i32,
  e: i32,
  dqBatch: i32,
  dqHead: i32,
  dqRow: i32,
  dkBatch: i32,
  dkHead: i32,
  dkRow: i32,
  dvBatch: i32,
  dvHead: i32,
  dvRow: i32,
  dyBatch: i32,
  dyHead: i32,
  dyRow: i32,
  yBatch: i32,
  yHead: i32,
  yRow: i32,
  qBatch: i32,
  qHead: i32,
  qRow: i32,
  kBatch: i32,
  kHead: i32,
  kRow: i32,
  vBatch: i32,
  vHead: i32,
  vRow: i32,
  maskBatch: i32,
  maskHead: i32,
  maskRow: i32,
  maskKey: i32,
  offset: i32,
  scale: f32,
): void {
  const group = heads / kvHeads;
  const kT = work;
  const vT = kT + tileBytes(d);
  const dkT = vT + tileBytes(e);
  const dvT = dkT + tileBytes(d);
  const p = dvT + tileBytes(e);
  const ds = p + tileBytes(QUERIES);
  const kTile = ds + tileBytes(QUERIES);
  const scaledQ = kTile + bytes(LANES * wide(d));
  const sumDq = scaledQ + bytes(group * tq * d);
  const delta = sumDq + bytes(group * (tq + 3) * wide(d));
  for (let item = begin; item < end; item++) {
    const b = item / kvHeads;
    const kvHead = item % kvHeads;
    const first = kvHead * group;
    memory.fill(sumDq, 0, delta - sumDq);
    for (let g = 0; g < group; g++) {
      const qi = entry(q, b, qBatch, first + g, qHead);
      copyRows(scaledQ + bytes(g * tq * d), qi, tq, d, bytes(d), bytes(qRow), scale * LOG2E);
      const dyi = entry(dy, b, dyBatch, first + g, dyHead);
      const yi = entry(y, b, yBatch, first + g, yHead);
      rowDots(delta + bytes(g * tq), dyi, yi, tq, e, bytes(dyRow), bytes(yRow));
    }
    for (let j = 0; j < tk; j += LANES) {
      const keys = min(LANES, tk - j);
      const kj = entry(k, b, kBatch, kvHead, kHead) + bytes(j) * kRow;
      const vj = entry(v, b, vBatch, kvHead, vHead) + bytes(j) * vRow;
      packTile(kT, kj, keys, d, bytes(kRow), 1);
      packTile(vT, vj, keys, e, bytes(vRow), 1);
      memory.fill(kTile, 0, scaledQ - kTile);
      copyRows(kTile, kj, keys, d, bytes(wide(d)), bytes(kRow), 1);
      memory.fill(dkT, 0, p - dkT);
      for (let g = 0; g < group; g++) {
        const h = first + g;
        for (let i = max(0, j - offset); i < tq; i += QUERIES) {
          const n = min(QUERIES, tq - i);
          const qi = scaledQ + bytes((g * tq + i) * d);
          const dyi = entry(dy, b, dyBatch, h, dyHead) + bytes(i) * dyRow;
          const lsei = entry(lse, b, heads * tq, h, tq) + bytes(i);
          dots(p, qi, kT, n, d, bytes(d));
          if (mask) {
            const maski = entry(mask, b, maskBatch, h, maskHead) + bytes(i) * maskRow + bytes(j) * maskKey;
            addMask(p, maski, n, keys, bytes(maskRow), bytes(maskKey));
          }
          hideLanes(p, n, i + offset - j, keys);
          dots(ds, dyi, vT, n, e, bytes(dyRow));
          probabilities(p, ds, lsei, delta + bytes(g * tq + i), n);
          gather(dvT, dyi, p, n, e, bytes(dyRow));
          gather(dkT, qi, ds, n, d, bytes(d));
          spread(sumDq + bytes((g * (tq + 3) + i) * wide(d)), ds, kTile, n, wide(d));
        }
      }
      const dkj = entry(dk, b, dkBatch, kvHead, dkHead) + bytes(j) * dkRow;
      const dvj = entry(dv, b, dvBatch, kvHead, dvHead) + bytes(j) * dvRow;
      transpose(dkj, dkT, d, keys, bytes(dkRow), 64, LN2);
      transpose(dvj, dvT, e, keys, bytes(dvRow), 64, 1);
    }
    for (let g = 0; g < group; g++) {
      const dqi = entry(dq, b, dqBatch, first + g, dqHead);
      copyRows(dqi, sumDq + bytes(g * (tq + 3) * wide(d)), tq, d, bytes(dqRow), bytes(wide(d)), scale);
    }
  }
}
