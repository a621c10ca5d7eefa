/**
 * The backward pass of attention.ts: probabilities are made again from `lse`, and with delta = Σ dy · y of each query
 * ds = p · (dy vᵀ − delta), so that dq = ds k, dk = dsᵀ q and dv = pᵀ dy. A lane is a key.
 */
import { probability } from "./math";
import { loadTail, madd, sumLanes } from "./simd";
import {
  addMask,
  bytes,
  clear,
  copyRows,
  dots,
  entry,
  gather,
  hideLanes,
  LANES,
  LOG2E,
  packPanels,
  packTile,
  panelBytes,
  scattered,
  spread,
  tileBytes,
  wide,
} from "./attentionTiles";

/** Queries per round. */
const QUERIES = 64;

/** p = 2^(p − lse), ds = p · (ds − delta): to probabilities, and to the gradients of scores; rows go in pairs. */
function probabilities(p: usize, ds: usize, lse: usize, delta: usize, rows: i32): void {
  for (const end = p + ((<usize>rows) << 5); p < end; p += 64) {
    const lse0 = v128.load32_splat(lse);
    const lse1 = v128.load32_splat(lse, 4);
    const p0 = probability(f32x4.sub(v128.load(p), lse0));
    const p1 = probability(f32x4.sub(v128.load(p, 16), lse0));
    const p2 = probability(f32x4.sub(v128.load(p, 32), lse1));
    const p3 = probability(f32x4.sub(v128.load(p, 48), lse1));
    v128.store(p, p0);
    v128.store(p, p1, 16);
    v128.store(p, p2, 32);
    v128.store(p, p3, 48);
    const delta0 = v128.load32_splat(delta);
    const delta1 = v128.load32_splat(delta, 4);
    v128.store(ds, f32x4.mul(p0, f32x4.sub(v128.load(ds), delta0)));
    v128.store(ds, f32x4.mul(p1, f32x4.sub(v128.load(ds, 16), delta0)), 16);
    v128.store(ds, f32x4.mul(p2, f32x4.sub(v128.load(ds, 32), delta1)), 32);
    v128.store(ds, f32x4.mul(p3, f32x4.sub(v128.load(ds, 48), delta1)), 48);
    ds += 64;
    lse += 8;
    delta += 8;
  }
}

/** delta[r] = scale · Σ_c x[r][c] · y[r][c] */
function rowDots(delta: usize, x: usize, y: usize, rows: i32, cols: i32, xRow: usize, yRow: usize, scale: f32): void {
  const tail = cols & 3;
  const end = bytes(cols & ~3);
  for (let r = 0; r < rows; r++) {
    let sum = tail ? f32x4.mul(loadTail(x + end, tail), loadTail(y + end, tail)) : f32x4.splat(0);
    for (let c: usize = 0; c < end; c += 16) sum = madd(v128.load(x + c), v128.load(y + c), sum);
    store<f32>(delta + bytes(r), sumLanes(sum) * scale);
    x += xRow;
    y += yRow;
  }
}

/** Bytes of workspace for `attentionGrad` with `group` query heads to a key-value head. */
export function attentionGradWorkspace(group: i32, tq: i32, d: i32, e: i32): i32 {
  const tiles = tileBytes(d) + tileBytes(e) + tileBytes(QUERIES) * 2 + tileBytes(wide(d)) * 2 + tileBytes(wide(e));
  return <i32>(tiles + headBytes(tq, d, e) * group);
}

/** What is kept of a query head: lse, delta, dq, q and dy in panels, copies of both if they cannot be read in place. */
// @ts-ignore: decorator
@inline
function headBytes(tq: i32, d: i32, e: i32): usize {
  return panelBytes(tq, 2) + panelBytes(tq, d) + panelBytes(tq, e) + rowBytes(tq, d) * 2 + rowBytes(tq, e);
}

/** Of rows in fours, as wide as `gather` and `spread` take. */
// @ts-ignore: decorator
@inline
function rowBytes(rows: i32, cols: i32): usize {
  return panelBytes(rows, wide(cols));
}

/**
 * Gradients of `attention`; delta = rowsum(dy · y) stands for the softmax's own sum, probabilities come back from lse.
 * v and delta are scaled, so that dq and dk need not be.
 */
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
  const dWide = wide(d);
  const eWide = wide(e);
  const dRow = bytes(dWide);
  const eRow = bytes(eWide);
  const kT = work;
  const vT = kT + tileBytes(d);
  const p = vT + tileBytes(e);
  const ds = p + tileBytes(QUERIES);
  const dkTile = ds + tileBytes(QUERIES);
  const dvTile = dkTile + tileBytes(dWide);
  const kTile = dvTile + tileBytes(eWide);
  const kept = kTile + tileBytes(dWide);
  // Where a head's parts are, after its lse, which goes in pairs.
  const headSize = headBytes(tq, d, e);
  const delta = panelBytes(tq, 1);
  const sumDq = delta + panelBytes(tq, 1);
  const panels = sumDq + rowBytes(tq, d);
  const dyPanels = panels + panelBytes(tq, d);
  const copy = dyPanels + panelBytes(tq, e);
  const dyCopy = copy + rowBytes(tq, d);
  const copies = dWide != d || scattered(tq, d, qRow);
  const dyCopies = eWide != e || scattered(tq, e, dyRow);
  const qStep = copies ? dRow : bytes(qRow);
  const dyStep = dyCopies ? eRow : bytes(dyRow);
  for (let item = begin; item < end; item++) {
    const b = item / kvHeads;
    const kvHead = item % kvHeads;
    const first = kvHead * group;
    for (let g = 0; g < group; g++) {
      const head = kept + headSize * g;
      const qi = entry(q, b, qBatch, first + g, qHead);
      const yi = entry(y, b, yBatch, first + g, yHead);
      const dyi = entry(dy, b, dyBatch, first + g, dyHead);
      copyRows(head, entry(lse, b, heads * tq, first + g, tq), 1, tq, 0, 0, 1);
      rowDots(head + delta, dyi, yi, tq, e, bytes(dyRow), bytes(yRow), scale);
      clear(head + sumDq, rowBytes(tq, d));
      packPanels(head + panels, qi, tq, d, bytes(qRow), 1);
      packPanels(head + dyPanels, dyi, tq, e, bytes(dyRow), 1);
      if (copies) copyRows(head + copy, qi, tq, d, dRow, bytes(qRow), 1);
      if (dyCopies) copyRows(head + dyCopy, dyi, tq, e, eRow, bytes(dyRow), 1);
    }
    for (let j = 0; j < tk; j += LANES) {
      const keys = min(LANES, tk - j);
      const vj = entry(v, b, vBatch, kvHead, vHead) + bytes(j) * vRow;
      let kj = entry(k, b, kBatch, kvHead, kHead) + bytes(j) * kRow;
      let kStep = bytes(kRow);
      packTile(kT, kj, keys, d, kStep, scale * LOG2E);
      packTile(vT, vj, keys, e, bytes(vRow), scale);
      if (keys < LANES || dWide != d) {
        clear(kTile, tileBytes(dWide));
        copyRows(kTile, kj, keys, d, dRow, kStep, 1);
        kj = kTile;
        kStep = dRow;
      }
      clear(dkTile, kTile - dkTile);
      for (let g = 0; g < group; g++) {
        const h = first + g;
        const head = kept + headSize * g;
        const q0 = copies ? head + copy : entry(q, b, qBatch, h, qHead);
        const dy0 = dyCopies ? head + dyCopy : entry(dy, b, dyBatch, h, dyHead);
        for (let i = max(0, j - offset) & ~3; i < tq; i += QUERIES) {
          const n = min(QUERIES, tq - i);
          dots(p, head + panels + bytes(i * d), kT, n, d);
          if (mask) {
            const maski = entry(mask, b, maskBatch, h, maskHead) + bytes(i) * maskRow + bytes(j) * maskKey;
            addMask(p, maski, n, keys, bytes(maskRow), bytes(maskKey));
          }
          hideLanes(p, n, i + offset - j, keys);
          dots(ds, head + dyPanels + bytes(i * e), vT, n, e);
          probabilities(p, ds, head + bytes(i), head + delta + bytes(i), n);
          const skip = max(0, min(n, j + 4 - i - offset));
          gather(dvTile, p, dy0 + dyStep * i, n, skip, n, eWide, dyStep);
          gather(dkTile, ds, q0 + qStep * i, n, skip, n, dWide, qStep);
          spread(head + sumDq + dRow * i, ds, kj, n, dWide, kStep);
        }
      }
      const dkj = entry(dk, b, dkBatch, kvHead, dkHead) + bytes(j) * dkRow;
      const dvj = entry(dv, b, dvBatch, kvHead, dvHead) + bytes(j) * dvRow;
      copyRows(dkj, dkTile, keys, d, bytes(dkRow), dRow, 1);
      copyRows(dvj, dvTile, keys, e, bytes(dvRow), eRow, 1);
    }
    for (let g = 0; g < group; g++) {
      const dqi = entry(dq, b, dqBatch, first + g, dqHead);
      copyRows(dqi, kept + headSize * g + sumDq, tq, d, bytes(dqRow), dRow, 1);
    }
  }
}
