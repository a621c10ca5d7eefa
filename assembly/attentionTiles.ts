/**
 * Products on tiles of 16 lanes, the parts that attention's two passes are made of. Every product has 2×16 accumulators:
 * 8 vectors, which with the loads of a step fit V8's 15 registers.
 */
import { loadTail, madd, storeTail } from "./simd";

export const LANES = 16;
export const LOG2E: f32 = 1.44269504;

// @ts-ignore: decorator
@inline
export function bytes(elements: i32): usize {
  return (<usize>elements) << 2;
}

/** Of a tile of 16 lanes; rows go in pairs. */
// @ts-ignore: decorator
@inline
export function tileBytes(rows: i32): usize {
  return (<usize>(rows + (rows & 1))) << 6;
}

/** `d` rounded up to what `spread` takes. */
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

/** s[r][16] = Σ_d x[r][d] · t[d][16]; rows go in pairs, so an odd last row of s is followed by one of no meaning. */
export function dots(s: usize, x: usize, t: usize, rows: i32, d: i32, xRow: usize): void {
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
export function gather(t: usize, x: usize, p: usize, rows: i32, d: i32, xRow: usize): void {
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
export function spread(y: usize, s: usize, x: usize, rows: i32, width: i32): void {
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

/** t[c][r] = x[r][c] for up to 16 rows of x; lanes of absent rows are 0. */
export function packTile(t: usize, x: usize, rows: i32, d: i32, xRow: usize, scale: f32): void {
  if (rows < LANES) memory.fill(t, 0, (<usize>d) << 6);
  transpose(t, x, rows, d, 64, xRow, scale);
}

/** y[r][c] = x[r][c] · scale */
export function copyRows(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize, scale: f32): void {
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
export function hideKeys(s: usize, rows: i32, offset: i32): void {
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
export function hideLanes(s: usize, rows: i32, offset: i32, keys: i32): void {
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
export function addMask(s: usize, mask: usize, rows: i32, lanes: i32, rowStride: usize, laneStride: usize): void {
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

/** Whether rows lie so far apart that they share few cache sets: 35 → 28 GFLOP/s at 1024 rows of 64, 512 apart. */
// @ts-ignore: decorator
@inline
export function scattered(rows: i32, cols: i32, stride: i32): bool {
  return stride > cols && bytes(rows) * stride > 65536;
}
