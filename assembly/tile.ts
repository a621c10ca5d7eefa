/**
 * The innermost part of the matrix product: tiles of C in registers, strips of tiles along a panel of B.
 * A panel is as wide as a tile: row p of it is what the products with column p of A take.
 */
import { madd } from "./simd";

/**
 * The large tile: rows × vectors of C in registers. Without FMA 2×16, whose 8 accumulators, operands and a product fit
 * the 15 registers of V8 11.3 (6×8 and 3×12 spill: 78 % of the ceiling). With FMA 6×8, whose 12 accumulators hide the
 * latency of 4 in two units (97 %; 9 or 8 accumulators 85 to 95 %).
 */
export const ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 2;
const VECTORS: i32 = ASC_FEATURE_RELAXED_SIMD ? 2 : 4;
export const WIDTH: i32 = VECTORS * 4;
/** The small tile, for last columns, narrow products and, with FMA, last rows: 4×8. */
const SMALL_ROWS: i32 = 4;
export const SMALL_WIDTH: i32 = 8;

/** The tile of a narrow panel: 8×4. */
export const NARROW_ROWS: i32 = 8;
export const NARROW_WIDTH: i32 = 4;

/** What the tiles of a strip have in common; strides in bytes. */
@unmanaged
export class Strip {
  cRow: usize;
  aRow: usize;
  aCol: usize;
  /** From the rows of one large tile to the next's. */
  aTile: usize;
  /** Whether A comes from `packStrips`. */
  inStrips: bool;
  bRow: usize;
  depth: i32;
  alpha: f32;
  /** What is added to the products: C itself, or a bias, whose rows are 0 bytes apart; 0 for nothing. */
  base: usize;
  baseRow: usize;
}

/** Bytes for a strip and behind it, from the 64th, the sums of one tile. */
export const STRIP_BYTES: usize = 256;

/** Bytes of a row of sums. */
const SUM_ROW: usize = (<usize>WIDTH) << 2;
const SMALL_SUM_ROW: usize = (<usize>SMALL_WIDTH) << 2;

// @ts-ignore: decorator
@inline
function sumsOf(s: Strip): usize {
  return changetype<usize>(s) + 64;
}

/**
 * y[r, j] = Σₚ a[r, p]·panel[p, j]; rows beyond m repeat the last. A function of its own that stores nothing but the
 * sums: V8 11.3 then loads operands where they are used, else all of them first, and spills.
 */
// @ts-ignore: decorator
@inline
function tile(
  rows: i32,
  vectors: i32,
  inStrip: bool,
  s: Strip,
  y: usize,
  yRow: usize,
  a: usize,
  panel: usize,
  m: i32,
): void {
  const aRow = inStrip ? 4 : s.aRow;
  const aCol = inStrip ? (<usize>rows) << 2 : s.aCol;
  const bRow = s.bRow;
  let a0 = a;
  let a1 = a0 + (m > 1 ? aRow : 0);
  let a2 = a1 + (m > 2 ? aRow : 0);
  let a3 = a2 + (m > 3 ? aRow : 0);
  let a4 = a3 + (m > 4 ? aRow : 0);
  let a5 = a4 + (m > 5 ? aRow : 0);
  let b = panel;
  let x00 = f32x4.splat(0),
    x01 = f32x4.splat(0),
    x02 = f32x4.splat(0),
    x03 = f32x4.splat(0);
  let x10 = f32x4.splat(0),
    x11 = f32x4.splat(0),
    x12 = f32x4.splat(0),
    x13 = f32x4.splat(0);
  let x20 = f32x4.splat(0),
    x21 = f32x4.splat(0),
    x30 = f32x4.splat(0),
    x31 = f32x4.splat(0);
  let x40 = f32x4.splat(0),
    x41 = f32x4.splat(0),
    x50 = f32x4.splat(0),
    x51 = f32x4.splat(0);
  const end = b + bRow * s.depth;
  while (b != end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = vectors > 2 ? v128.load(b, 32) : b0;
    const b3 = vectors > 2 ? v128.load(b, 48) : b0;
    const y0 = v128.load32_splat(a0);
    x00 = madd(y0, b0, x00);
    x01 = madd(y0, b1, x01);
    if (vectors > 2) {
      x02 = madd(y0, b2, x02);
      x03 = madd(y0, b3, x03);
    }
    const y1 = inStrip ? v128.load32_splat(a0, 4) : v128.load32_splat(a1);
    x10 = madd(y1, b0, x10);
    x11 = madd(y1, b1, x11);
    if (vectors > 2) {
      x12 = madd(y1, b2, x12);
      x13 = madd(y1, b3, x13);
    }
    if (rows > 2) {
      const y2 = inStrip ? v128.load32_splat(a0, 8) : v128.load32_splat(a2);
      x20 = madd(y2, b0, x20);
      x21 = madd(y2, b1, x21);
      const y3 = inStrip ? v128.load32_splat(a0, 12) : v128.load32_splat(a3);
      x30 = madd(y3, b0, x30);
      x31 = madd(y3, b1, x31);
    }
    if (rows > 4) {
      const y4 = inStrip ? v128.load32_splat(a0, 16) : v128.load32_splat(a4);
      x40 = madd(y4, b0, x40);
      x41 = madd(y4, b1, x41);
      const y5 = inStrip ? v128.load32_splat(a0, 20) : v128.load32_splat(a5);
      x50 = madd(y5, b0, x50);
      x51 = madd(y5, b1, x51);
    }
    a0 += aCol;
    a1 += aCol;
    if (rows > 2) {
      a2 += aCol;
      a3 += aCol;
    }
    if (rows > 4) {
      a4 += aCol;
      a5 += aCol;
    }
    b += bRow;
  }
  v128.store(y, x00);
  v128.store(y, x01, 16);
  if (vectors > 2) {
    v128.store(y, x02, 32);
    v128.store(y, x03, 48);
  }
  y += yRow;
  v128.store(y, x10);
  v128.store(y, x11, 16);
  if (vectors > 2) {
    v128.store(y, x12, 32);
    v128.store(y, x13, 48);
  }
  if (rows > 2) {
    y += yRow;
    v128.store(y, x20);
    v128.store(y, x21, 16);
    y += yRow;
    v128.store(y, x30);
    v128.store(y, x31, 16);
  }
  if (rows > 4) {
    y += yRow;
    v128.store(y, x40);
    v128.store(y, x41, 16);
    y += yRow;
    v128.store(y, x50);
    v128.store(y, x51, 16);
  }
}

function largeTile(s: Strip, y: usize, yRow: usize, a: usize, panel: usize, m: i32): void {
  tile(ROWS, VECTORS, false, s, y, yRow, a, panel, m);
}

/**
 * `largeTile` for rows that `packStrips` laid side by side: one address in place of six. It must be called twice, or the
 * optimizer inlines it where V8 spills.
 */
function stripTile(s: Strip, y: usize, yRow: usize, a: usize, panel: usize): void {
  tile(ROWS, VECTORS, true, s, y, yRow, a, panel, ROWS);
}

function smallTile(s: Strip, y: usize, yRow: usize, a: usize, panel: usize, m: i32): void {
  tile(SMALL_ROWS, 2, false, s, y, yRow, a, panel, m);
}

/** c = base + α·sums for the first `m` rows of a tile. */
// @ts-ignore: decorator
@inline
function storeTile(rows: i32, vectors: i32, s: Strip, c: usize, base: usize, m: i32): void {
  const alpha = f32x4.splat(s.alpha);
  const sums = sumsOf(s);
  const row = (<usize>vectors) << 4;
  const cRow = s.cRow;
  const baseRow = s.baseRow;
  storeRow(vectors, c, base, sums, alpha);
  if (m > 1) storeRow(vectors, (c += cRow), (base += baseRow), sums + row, alpha);
  if (rows > 2 && m > 2) storeRow(vectors, (c += cRow), (base += baseRow), sums + 2 * row, alpha);
  if (rows > 2 && m > 3) storeRow(vectors, (c += cRow), (base += baseRow), sums + 3 * row, alpha);
  if (rows > 4 && m > 4) storeRow(vectors, (c += cRow), (base += baseRow), sums + 4 * row, alpha);
  if (rows > 4 && m > 5) storeRow(vectors, (c += cRow), (base += baseRow), sums + 5 * row, alpha);
}

// @ts-ignore: decorator
@inline
function storeRow(vectors: i32, c: usize, base: usize, sums: usize, alpha: v128): void {
  let x0 = f32x4.mul(alpha, v128.load(sums));
  let x1 = f32x4.mul(alpha, v128.load(sums, 16));
  let x2 = f32x4.mul(alpha, v128.load(sums, 32));
  let x3 = f32x4.mul(alpha, v128.load(sums, 48));
  if (base) {
    x0 = f32x4.add(v128.load(base), x0);
    x1 = f32x4.add(v128.load(base, 16), x1);
    if (vectors > 2) {
      x2 = f32x4.add(v128.load(base, 32), x2);
      x3 = f32x4.add(v128.load(base, 48), x3);
    }
  }
  v128.store(c, x0);
  v128.store(c, x1, 16);
  if (vectors > 2) {
    v128.store(c, x2, 32);
    v128.store(c, x3, 48);
  }
}

/** Whether C is the sums as they are, so that a whole tile of them needs no second step. */
// @ts-ignore: decorator
@inline
function isPlain(s: Strip): bool {
  return !s.base && s.alpha == 1;
}

/** C = base + α·A·B for `m` rows and a panel as wide as the large tile. */
export function largeStrip(s: Strip, c: usize, a: usize, panel: usize, m: i32): void {
  const sums = sumsOf(s);
  const plain = isPlain(s);
  let base = s.base;
  for (; m >= ROWS && !isForSmall(s, m); m -= ROWS) {
    const y = plain ? c : sums;
    const yRow = plain ? s.cRow : SUM_ROW;
    if (ASC_FEATURE_RELAXED_SIMD && s.inStrips) stripTile(s, y, yRow, a, panel);
    else largeTile(s, y, yRow, a, panel, ROWS);
    if (!plain) storeTile(ROWS, VECTORS, s, c, base, ROWS);
    a += s.aTile;
    base += <usize>ROWS * s.baseRow;
    c += <usize>ROWS * s.cRow;
  }
  if (isForSmall(s, m)) {
    s.base = base;
    smallStrip(s, c, a, panel, m);
  } else if (m) {
    if (ASC_FEATURE_RELAXED_SIMD && s.inStrips) stripTile(s, sums, SUM_ROW, a, panel);
    else largeTile(s, sums, SUM_ROW, a, panel, m);
    storeTile(ROWS, VECTORS, s, c, base, m);
  }
}

/** Rows that take fewer products by 4×8 tiles than by 6×8. */
// @ts-ignore: decorator
@inline
function isForSmall(s: Strip, m: i32): bool {
  return ASC_FEATURE_RELAXED_SIMD && (m <= 4 || (!s.inStrips && (m == 7 || m == 8)));
}

/** The same for a panel as wide as the small tile. */
export function smallStrip(s: Strip, c: usize, a: usize, panel: usize, m: i32): void {
  const sums = sumsOf(s);
  const plain = isPlain(s);
  let base = s.base;
  for (; m >= SMALL_ROWS; m -= SMALL_ROWS) {
    smallTile(s, plain ? c : sums, plain ? s.cRow : SMALL_SUM_ROW, a, panel, SMALL_ROWS);
    if (!plain) storeTile(SMALL_ROWS, 2, s, c, base, SMALL_ROWS);
    base += <usize>SMALL_ROWS * s.baseRow;
    a += <usize>SMALL_ROWS * s.aRow;
    c += <usize>SMALL_ROWS * s.cRow;
  }
  if (m) {
    smallTile(s, sums, SMALL_SUM_ROW, a, panel, m);
    storeTile(SMALL_ROWS, 2, s, c, base, m);
  }
}

/**
 * y[r] = Σₚ a[r, p]·panel[p] for `m` contiguous rows and a narrow panel. The last tile reaches back where it lacks rows:
 * there must be up to seven before `a`, and as much room before `y`, where m < 8.
 */
export function narrowStrip(s: Strip, y: usize, a: usize, panel: usize, m: i32): void {
  for (; m >= NARROW_ROWS; m -= NARROW_ROWS) {
    narrowTile(y, a, panel, s.aRow, s.depth);
    a += <usize>NARROW_ROWS * s.aRow;
    y += (<usize>(NARROW_ROWS * NARROW_WIDTH)) << 2;
  }
  if (!m) return;
  const back = <usize>(NARROW_ROWS - m);
  narrowTile(y - back * ((<usize>NARROW_WIDTH) << 2), a - back * s.aRow, panel, s.aRow, s.depth);
}

/**
 * One address for all rows, and two products with it: eight addresses do not fit the registers of V8 11.3 (40 instead of
 * 86 % of the ceiling). A branch behind the loop makes it spill, too: hence the odd product comes first.
 */
function narrowTile(y: usize, a: usize, b: usize, aRow: usize, depth: i32): void {
  let x0 = f32x4.splat(0),
    x1 = f32x4.splat(0),
    x2 = f32x4.splat(0),
    x3 = f32x4.splat(0),
    x4 = f32x4.splat(0),
    x5 = f32x4.splat(0),
    x6 = f32x4.splat(0),
    x7 = f32x4.splat(0);
  const end = a + ((<usize>depth) << 2);
  if (depth & 1) {
    const b0 = v128.load(b);
    let from = a;
    x0 = madd(v128.load32_splat(from), b0, x0);
    x1 = madd(v128.load32_splat((from += aRow)), b0, x1);
    x2 = madd(v128.load32_splat((from += aRow)), b0, x2);
    x3 = madd(v128.load32_splat((from += aRow)), b0, x3);
    x4 = madd(v128.load32_splat((from += aRow)), b0, x4);
    x5 = madd(v128.load32_splat((from += aRow)), b0, x5);
    x6 = madd(v128.load32_splat((from += aRow)), b0, x6);
    x7 = madd(v128.load32_splat(from + aRow), b0, x7);
    a += 4;
    b += 16;
  }
  for (; a != end; a += 8) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let from = a;
    x0 = addTwo(x0, from, b0, b1);
    x1 = addTwo(x1, (from += aRow), b0, b1);
    x2 = addTwo(x2, (from += aRow), b0, b1);
    x3 = addTwo(x3, (from += aRow), b0, b1);
    x4 = addTwo(x4, (from += aRow), b0, b1);
    x5 = addTwo(x5, (from += aRow), b0, b1);
    x6 = addTwo(x6, (from += aRow), b0, b1);
    x7 = addTwo(x7, from + aRow, b0, b1);
    b += 32;
  }
  v128.store(y, x0);
  v128.store(y, x1, 16);
  v128.store(y, x2, 32);
  v128.store(y, x3, 48);
  v128.store(y, x4, 64);
  v128.store(y, x5, 80);
  v128.store(y, x6, 96);
  v128.store(y, x7, 112);
}

// @ts-ignore: decorator
@inline
function addTwo(x: v128, a: usize, b0: v128, b1: v128): v128 {
  return madd(v128.load32_splat(a, 4), b1, madd(v128.load32_splat(a), b0, x));
}
