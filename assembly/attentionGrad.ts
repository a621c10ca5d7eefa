/**
 * The backward pass of attention.ts: probabilities are made again from `lse`, and with delta = Σ dy · y of each query
 * ds = p · (dy vᵀ − delta), so that dq = ds k, dk = dsᵀ q and dv = pᵀ dy. A lane is a key.
 */
import { probability } from "./math";
import { loadTail, madd, sumLanes } from "./simd";
import {
  addMask,
  bytes,
  copyRows,
  dots,
  entry,
  gather,
  hideLanes,
  LANES,
  LOG2E,
  packTile,
  spread,
  tileBytes,
  transpose,
  wide,
} from "./attentionTiles";

/** Queries per round. */
const QUERIES = 64;
const LN2: f32 = 0.69314718;

/** p = 2^(p − lse), ds = p · (ds − delta): scores to probabilities, their gradients to those of the scores. */
function probabilities(p: usize, ds: usize, lse: usize, delta: usize, rows: i32): void {
  for (let r = 0; r < rows; r++) {
    const rowLse = v128.load32_splat(lse);
    const rowDelta = v128.load32_splat(delta);
    for (let c: usize = 0; c < 64; c += 16) {
      const y = probability(f32x4.sub(v128.load(p + c), rowLse));
      v128.store(p + c, y);
      v128.store(ds + c, f32x4.mul(y, f32x4.sub(v128.load(ds + c), rowDelta)));
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
