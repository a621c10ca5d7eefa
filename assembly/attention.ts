/**
 * Fused scaled-dot-product attention: y = softmax(scale · q kᵀ + mask) v, without ever keeping a [Tq, Tk] matrix.
 *
 * Work is cut into tiles of 8 lanes: forward, a lane is a query, so that the running maximum and sum of the softmax are
 * whole vectors; backward, a lane is a key. Probabilities are powers of two: keys are scaled by scale · log2 e, and
 * `lse` holds log2 Σ 2^s of each query, or +∞ where a query sees no key (its output is 0).
 *
 * q and k have rows of `d` elements, v of `e`; a row's elements are contiguous, every other stride is free and counts
 * elements. Query i sees the keys j ≤ i + offset; offset = tk hides none. A call does the items [begin, end), where an
 * item is one key-value head of one batch entry with the query heads that share it, in a workspace of its own.
 */
import { log, log2e, probability } from "./math";
import { loadTail, madd, sumLanes } from "./simd";
import {
  addMask,
  bytes,
  clear,
  copyRows,
  dots,
  entry,
  gather,
  hideKeys,
  LANES,
  LOG2E,
  packPanels,
  packTile,
  panelBytes,
  scaleRows,
  scattered,
  tileBytes,
  wide,
} from "./attentionTiles";

/** Keys per round of the online softmax. */
const KEYS = 256;
/** Below so many queries each goes by itself. */
const FEW = 5;
/** Below every score, and finite: no ∞ − ∞ in a row without visible keys. */
const LOWEST: f32 = -3.4028234e38;

/** top' = max(top, s), s = 2^(s − top'), shrink = 2^(top − top'), sum = sum · shrink + Σ s */
function softmaxRound(s: usize, top: usize, sum: usize, shrink: usize, rows: i32): void {
  const end = s + ((<usize>rows) << 5);
  let m0 = v128.load(top);
  let m1 = v128.load(top, 16);
  for (let y = s; y < end; y += 32) {
    m0 = f32x4.pmax(m0, v128.load(y));
    m1 = f32x4.pmax(m1, v128.load(y, 16));
  }
  const shrink0 = probability(f32x4.sub(v128.load(top), m0));
  const shrink1 = probability(f32x4.sub(v128.load(top, 16), m1));
  v128.store(shrink, shrink0);
  v128.store(shrink, shrink1, 16);
  v128.store(top, m0);
  v128.store(top, m1, 16);
  let sum0 = f32x4.mul(v128.load(sum), shrink0);
  let sum1 = f32x4.mul(v128.load(sum, 16), shrink1);
  for (; s < end; s += 64) {
    const p0 = probability(f32x4.sub(v128.load(s), m0));
    const p1 = probability(f32x4.sub(v128.load(s, 16), m1));
    const p2 = probability(f32x4.sub(v128.load(s, 32), m0));
    const p3 = probability(f32x4.sub(v128.load(s, 48), m1));
    v128.store(s, p0);
    v128.store(s, p1, 16);
    v128.store(s, p2, 32);
    v128.store(s, p3, 48);
    sum0 = f32x4.add(f32x4.add(sum0, p0), p2);
    sum1 = f32x4.add(f32x4.add(sum1, p1), p3);
  }
  v128.store(sum, sum0);
  v128.store(sum, sum1, 16);
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
  clear(sumY, bytes(wide(e)));
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
    const shrink = f32x4.extract_lane(probability(f32x4.sub(f32x4.splat(top), most)), 0);
    let total = f32x4.splat(0);
    for (let x = s; x < end; x += 16) {
      const p = probability(f32x4.sub(v128.load(x), most));
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
  vRow: usize,
  maskRow: usize,
  maskKey: usize,
  offset: i32,
): void {
  const width = wide(e);
  const qT = work;
  const sumY = qT + tileBytes(d);
  const s = sumY + tileBytes(width);
  const top = s + tileBytes(KEYS);
  const sum = top + 32;
  const shrink = sum + 32;
  packTile(qT, q, queries, d, qRow, 1);
  clear(sumY, tileBytes(width));
  clear(sum, 32);
  v128.store(top, f32x4.splat(LOWEST));
  v128.store(top, f32x4.splat(LOWEST), 16);
  for (let j = 0; j < visible; j += KEYS) {
    const n = min(KEYS, visible - j);
    dots(s, k, qT, n, d);
    if (mask) {
      addMask(s, mask, n, queries, maskKey, maskRow);
      mask += maskKey * KEYS;
    }
    hideKeys(s, n, offset - j);
    softmaxRound(s, top, sum, shrink, n);
    if (j > 0) scaleRows(sumY, sumY, LANES, width, bytes(width), bytes(width), shrink);
    gather(sumY, s, v, max(0, min(n, offset - j + 4)), 0, n, width, vRow);
    k += bytes(KEYS * d);
    v += vRow * KEYS;
  }
  for (let c: usize = 0; c < 32; c += 16) {
    const total = v128.load(sum + c);
    v128.store(top + c, lseOf(v128.load(top + c), total));
    v128.store(shrink + c, inverse(total));
  }
  copyRows(lse, top, 1, queries, 0, 0, 1);
  scaleRows(y, sumY, queries, e, yRow, bytes(width), shrink);
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

// @ts-ignore: decorator
@inline
function tileWorkspace(d: i32, e: i32): usize {
  return tileBytes(d) + tileBytes(wide(e)) + tileBytes(KEYS) + 96;
}

/** Bytes of workspace for `attention`. */
export function attentionWorkspace(tk: i32, d: i32, e: i32): i32 {
  return <i32>(tileWorkspace(d, e) + panelBytes(tk, d) + bytes(tk * wide(e)));
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
  const few = tq < FEW;
  const panels = work + tileWorkspace(d, e);
  const vCopy = panels + panelBytes(tk, d);
  const copies = wide(e) != e || (group * tq >= 64 && scattered(tk, e, vRow));
  for (let item = begin; item < end; item++) {
    const b = item / kvHeads;
    const kvHead = item % kvHeads;
    const ki = entry(k, b, kBatch, kvHead, kHead);
    let vi = entry(v, b, vBatch, kvHead, vHead);
    let vStep = bytes(vRow);
    if (!few) packPanels(panels, ki, tk, d, bytes(kRow), scale * LOG2E);
    if (!few && copies) {
      copyRows(vCopy, vi, tk, e, bytes(wide(e)), vStep, 1);
      vi = vCopy;
      vStep = bytes(wide(e));
    }
    for (let h = kvHead * group; h < (kvHead + 1) * group; h++) {
      for (let i = 0; i < tq; i += few ? 1 : LANES) {
        const yi = entry(y, b, yBatch, h, yHead) + bytes(i) * yRow;
        const qi = entry(q, b, qBatch, h, qHead) + bytes(i) * qRow;
        const lsei = entry(lse, b, heads * tq, h, tq) + bytes(i);
        const maski = mask ? entry(mask, b, maskBatch, h, maskHead) + bytes(i) * maskRow : 0;
        if (few) {
          const visible = min(tk, i + offset + 1);
          forwardRow(yi, lsei, qi, ki, vi, maski, work, visible, d, e, bytes(kRow), vStep, bytes(maskKey), scale);
        } else {
          const queries = min(LANES, tq - i);
          const visible = min(tk, i + queries + offset);
          forwardTile(
            yi,
            lsei,
            qi,
            panels,
            vi,
            maski,
            work,
            queries,
            visible,
            d,
            e,
            bytes(yRow),
            bytes(qRow),
            vStep,
            bytes(maskRow),
            bytes(maskKey),
            i + offset,
          );
        }
      }
    }
  }
}
