/**
 * Products on tiles of 8 lanes, the parts that attention's two passes are made of. Every product has 4×8 accumulators:
 * 8 vectors, which with the loads of a step fit V8's 15 registers. 2×16 would be as fast, but compute more of what a
 * causal mask hides: 23 % of 64 keys, instead of 11 %. What a step reads of four rows lies together, since every other
 * address would be one more addition in each. Steps are not unrolled: V8 would load for all of them first, and spill.
 */
import { loadTail, madd, storeTail } from "./simd";

export const LANES = 8;
export const LOG2E: f32 = 1.44269504;

// @ts-ignore: decorator
@inline
export function bytes(elements: i32): usize {
  return (<usize>elements) << 2;
}

/** Of a tile of 8 lanes; rows go in fours. */
// @ts-ignore: decorator
@inline
export function tileBytes(rows: i32): usize {
  return (<usize>((rows + 3) & ~3)) << 5;
}

/** `d` rounded up to what `gather` and `spread` take. */
// @ts-ignore: decorator
@inline
export function wide(d: i32): i32 {
  return (d + 7) & ~7;
}

/** The address of entry [b][h]. */
// @ts-ignore: decorator
@inline
export function entry(x: usize, b: i32, batchStride: i32, h: i32, headStride: i32): usize {
  return x + bytes(b) * batchStride + bytes(h) * headStride;
}

/** s[r][8] = Σ_d x[r][d] · t[d][8] with x in panels; rows go in fours, those of s after the last have no meaning. */
export function dots(s: usize, x: usize, t: usize, rows: i32, d: i32): void {
  const end = t + ((<usize>d) << 5);
  for (const stop = s + ((<usize>rows) << 5); s < stop; s += 128) {
    let s00 = f32x4.splat(0);
    let s01 = s00;
    let s10 = s00;
    let s11 = s00;
    let s20 = s00;
    let s21 = s00;
    let s30 = s00;
    let s31 = s00;
    for (let y = t; y < end; y += 32) {
      const a0 = v128.load32_splat(x);
      const a1 = v128.load32_splat(x, 4);
      const a2 = v128.load32_splat(x, 8);
      const a3 = v128.load32_splat(x, 12);
      const y0 = v128.load(y);
      const y1 = v128.load(y, 16);
      s00 = madd(a0, y0, s00);
      s01 = madd(a0, y1, s01);
      s10 = madd(a1, y0, s10);
      s11 = madd(a1, y1, s11);
      s20 = madd(a2, y0, s20);
      s21 = madd(a2, y1, s21);
      s30 = madd(a3, y0, s30);
      s31 = madd(a3, y1, s31);
      x += 16;
    }
    v128.store(s, s00);
    v128.store(s, s01, 16);
    v128.store(s, s10, 32);
    v128.store(s, s11, 48);
    v128.store(s, s20, 64);
    v128.store(s, s21, 80);
    v128.store(s, s30, 96);
    v128.store(s, s31, 112);
  }
}

/** y[lane][wide] += Σ_r s[r][lane] · x[r][wide], r < low for lanes 0 to 3 and skip ≤ r < rows for lanes 4 to 7. */
export function gather(y: usize, s: usize, x: usize, low: i32, skip: i32, rows: i32, width: i32, xRow: usize): void {
  const row = bytes(width);
  let end = s + ((<usize>low) << 5);
  for (let half = 0; half < 2; half++) {
    for (let c: usize = 0; c < row; c += 32) add4x8(true, y + c, s, end, x + c, row, xRow);
    y += row << 2;
    end = s + ((<usize>rows) << 5) + 16;
    s += ((<usize>skip) << 5) + 16;
    x += xRow * skip;
  }
}

/** y[4][8] += Σ s[4] · x[8]; the four of s are lanes of a row, or one lane of four rows. */
// @ts-ignore: decorator
@inline
function add4x8(inLanes: bool, y: usize, s: usize, end: usize, x: usize, row: usize, xRow: usize): void {
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
  for (; s < end; s += inLanes ? 32 : 4) {
    const a0 = v128.load32_splat(s);
    const a1 = inLanes ? v128.load32_splat(s, 4) : v128.load32_splat(s, 32);
    const a2 = inLanes ? v128.load32_splat(s, 8) : v128.load32_splat(s, 64);
    const a3 = inLanes ? v128.load32_splat(s, 12) : v128.load32_splat(s, 96);
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    y00 = madd(a0, x0, y00);
    y01 = madd(a0, x1, y01);
    y10 = madd(a1, x0, y10);
    y11 = madd(a1, x1, y11);
    y20 = madd(a2, x0, y20);
    y21 = madd(a2, x1, y21);
    y30 = madd(a3, x0, y30);
    y31 = madd(a3, x1, y31);
    x += xRow;
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

/** y[r][wide] += Σ_j s[r][j] · x[j][wide] over the 8 lanes j; rows go in fours. */
export function spread(y: usize, s: usize, x: usize, rows: i32, width: i32, xRow: usize): void {
  const row = bytes(width);
  for (const end = y + row * rows; y < end; y += row << 2) {
    for (let c: usize = 0; c < row; c += 32) add4x8(false, y + c, s, s + 32, x + c, row, xRow);
    s += 128;
  }
}

/** y[c][r] = x[r][c] · scale */
export function transpose(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize, scale: f32): void {
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

/** t[c][r] = x[r][c] · scale for up to 8 rows of x; lanes of absent rows are 0. */
export function packTile(t: usize, x: usize, rows: i32, d: i32, xRow: usize, scale: f32): void {
  if (rows < LANES) clear(t, (<usize>d) << 5);
  transpose(t, x, rows, d, 32, xRow, scale);
}

/** Panels of four rows each, y[r / 4][c][r % 4] = x[r][c] · scale: `dots` takes four rows from one address. */
export function packPanels(y: usize, x: usize, rows: i32, d: i32, xRow: usize, scale: f32): void {
  for (let r = 0; r < rows; r += 4) {
    transpose(y, x, min(4, rows - r), d, 16, xRow, scale);
    x += xRow << 2;
    y += (<usize>d) << 4;
  }
}

/** Of the panels of so many rows. */
// @ts-ignore: decorator
@inline
export function panelBytes(rows: i32, d: i32): usize {
  return bytes(((rows + 3) & ~3) * d);
}

/** Zeros, in sixteens: a loop, since `memory.fill` is a call out of the module. */
export function clear(y: usize, size: usize): void {
  for (const end = y + size; y < end; y += 16) v128.store(y, f32x4.splat(0));
}

/** y[r][c] = x[r][c] · scale */
export function copyRows(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize, scale: f32): void {
  const by = f32x4.splat(scale);
  for (let r = 0; r < rows; r++) {
    copyRow(y, x, cols, by);
    x += xRow;
    y += yRow;
  }
}

/** y[r][c] = x[r][c] · by[r] */
export function scaleRows(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize, by: usize): void {
  for (const end = by + bytes(rows); by < end; by += 4) {
    copyRow(y, x, cols, v128.load32_splat(by));
    x += xRow;
    y += yRow;
  }
}

// @ts-ignore: decorator
@inline
function copyRow(y: usize, x: usize, cols: i32, by: v128): void {
  const tail = cols & 3;
  const end = bytes(cols & ~3);
  for (let c: usize = 0; c < end; c += 16) v128.store(y + c, f32x4.mul(v128.load(x + c), by));
  if (tail) storeTail(y + end, f32x4.mul(loadTail(x + end, tail), by), tail);
}

/** s[j][8 queries]: −∞ for key j where it comes after query `lane` + offset, and in the row after an odd last. */
export function hideKeys(s: usize, rows: i32, offset: i32): void {
  for (let j = min(rows, max(offset + 1, 0)), even = rows + (rows & 1); j < even; j++) {
    const first = i32x4.splat(j < rows ? j - offset : LANES);
    hide(s + ((<usize>j) << 5), i32x4.lt_s(i32x4(0, 1, 2, 3), first), i32x4.lt_s(i32x4(4, 5, 6, 7), first));
  }
}

/** s[i][8 keys]: −∞ where key `lane` comes after query i + offset, or is not there at all. */
export function hideLanes(s: usize, rows: i32, offset: i32, keys: i32): void {
  const all = keys < LANES ? rows : min(rows, LANES - 1 - offset);
  for (let i = 0; i < all; i++) {
    const last = i32x4.splat(min(i + offset, keys - 1));
    hide(s + ((<usize>i) << 5), i32x4.gt_s(i32x4(0, 1, 2, 3), last), i32x4.gt_s(i32x4(4, 5, 6, 7), last));
  }
}

/** −∞ in the lanes of a row that the masks say. */
// @ts-ignore: decorator
@inline
function hide(s: usize, low: v128, high: v128): void {
  const hidden = f32x4.splat(-Infinity);
  v128.store(s, v128.bitselect(hidden, v128.load(s), low));
  v128.store(s, v128.bitselect(hidden, v128.load(s, 16), high), 16);
}

/** s[r][lane] += mask · log2 e */
export function addMask(s: usize, mask: usize, rows: i32, lanes: i32, rowStride: usize, laneStride: usize): void {
  for (let r = 0; r < rows; r++) {
    let m = mask;
    for (let l = 0; l < lanes; l++) {
      store<f32>(s + bytes(l), load<f32>(s + bytes(l)) + load<f32>(m) * LOG2E);
      m += laneStride;
    }
    s += 32;
    mask += rowStride;
  }
}

/** Whether rows lie so far apart that they share few cache sets: 35 → 28 GFLOP/s at 1024 rows of 64, 512 apart. */
// @ts-ignore: decorator
@inline
export function scattered(rows: i32, cols: i32, stride: i32): bool {
  return stride > cols && bytes(rows) * stride > 65536;
}
