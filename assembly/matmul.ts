/**
 * C = α·A·B as a packed matrix product: B in panels as wide as the register tile, A by rows, blocks of k that stay in cache.
 *
 * Every element is the same sequence of operations whatever m, n, batch, strides and packing are: products added in
 * the order of p within a block of k, block sums added to C in order. So a row's bits don't depend on the rows beside it.
 */
import { copyStrided } from "./copy";
import { loadTail, madd, storeTail } from "./simd";

/** Rows of A that stay in the second-level cache while every panel of B passes. */
const MC: i32 = 192;
/** Depth of a block: a panel of B (16 KiB) stays in the first-level cache. */
const KC: i32 = 256;
/** Columns of B packed at a time: 1 MiB. */
const NC: i32 = 1008;

// The register tile. V8 11.3 loads a loop body's operands first, so accumulators + operands + a temporary must fit 15
// registers: 2×16 without FMA. 3×12 has the ninth accumulator that hides FMA's latency of 4.
const ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 3 : 2;
const VECTORS: i32 = ASC_FEATURE_RELAXED_SIMD ? 3 : 4;
const WIDTH: i32 = VECTORS * 4;
/** The tile for the last columns, and for narrow products: 4×8. */
const NARROW: i32 = 8;

// @ts-ignore: decorator
@inline
function emit(c: usize, x: v128, alpha: v128, bias: usize, keep: bool): void {
  let base = f32x4.splat(0);
  if (keep) base = v128.load(c);
  if (bias) base = f32x4.add(base, v128.load(bias));
  v128.store(c, madd(alpha, x, base));
}

// @ts-ignore: decorator
@inline
function emitTail(c: usize, x: v128, alpha: v128, bias: usize, keep: bool, n: i32): void {
  if (n <= 0) return;
  if (n >= 4) return emit(c, x, alpha, bias, keep);
  let base = f32x4.splat(0);
  if (keep) base = loadTail(c, n);
  if (bias) base = f32x4.add(base, loadTail(bias, n));
  storeTail(c, madd(alpha, x, base), n);
}

/** `cols` columns of one row of C from up to four vectors of sums. */
// @ts-ignore: decorator
@inline
function emitRow(
  vectors: i32,
  c: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  alpha: v128,
  bias: usize,
  keep: bool,
  cols: i32,
): void {
  if (cols == vectors * 4) {
    emit(c, x0, alpha, bias, keep);
    emit(c + 16, x1, alpha, bias ? bias + 16 : 0, keep);
    if (vectors > 2) emit(c + 32, x2, alpha, bias ? bias + 32 : 0, keep);
    if (vectors > 3) emit(c + 48, x3, alpha, bias ? bias + 48 : 0, keep);
  } else {
    emitTail(c, x0, alpha, bias, keep, cols);
    emitTail(c + 16, x1, alpha, bias ? bias + 16 : 0, keep, cols - 4);
    if (vectors > 2) emitTail(c + 32, x2, alpha, bias ? bias + 32 : 0, keep, cols - 8);
    if (vectors > 3) emitTail(c + 48, x3, alpha, bias ? bias + 48 : 0, keep, cols - 12);
  }
}

/** A strip of C, m × cols, from m rows of A and one panel of B, by tiles of `rows` × `vectors` vectors. Strides in bytes. */
// @ts-ignore: decorator
@inline
function strip(
  rows: i32,
  vectors: i32,
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  m: i32,
  k: i32,
  cols: i32,
  cRow: usize,
  aRow: usize,
  aCol: usize,
  bRow: usize,
  scale: f32,
  keep: bool,
): void {
  const alpha = f32x4.splat(scale);
  for (; m > 0; m -= rows) {
    const last = m - 1;
    let a0 = a;
    let a1 = a + aRow * <usize>min(last, 1);
    let a2 = a + aRow * <usize>min(last, 2);
    let a3 = a + aRow * <usize>min(last, 3);
    let q = b;
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
      x22 = f32x4.splat(0),
      x23 = f32x4.splat(0);
    let x30 = f32x4.splat(0),
      x31 = f32x4.splat(0),
      x32 = f32x4.splat(0),
      x33 = f32x4.splat(0);
    for (let p = k; p; --p) {
      const b0 = v128.load(q);
      const b1 = v128.load(q, 16);
      const b2 = vectors > 2 ? v128.load(q, 32) : b0;
      const b3 = vectors > 3 ? v128.load(q, 48) : b0;
      const y0 = v128.load32_splat(a0);
      x00 = madd(y0, b0, x00);
      x01 = madd(y0, b1, x01);
      if (vectors > 2) x02 = madd(y0, b2, x02);
      if (vectors > 3) x03 = madd(y0, b3, x03);
      const y1 = v128.load32_splat(a1);
      x10 = madd(y1, b0, x10);
      x11 = madd(y1, b1, x11);
      if (vectors > 2) x12 = madd(y1, b2, x12);
      if (vectors > 3) x13 = madd(y1, b3, x13);
      if (rows > 2) {
        const y2 = v128.load32_splat(a2);
        x20 = madd(y2, b0, x20);
        x21 = madd(y2, b1, x21);
        if (vectors > 2) x22 = madd(y2, b2, x22);
        if (vectors > 3) x23 = madd(y2, b3, x23);
      }
      if (rows > 3) {
        const y3 = v128.load32_splat(a3);
        x30 = madd(y3, b0, x30);
        x31 = madd(y3, b1, x31);
        if (vectors > 2) x32 = madd(y3, b2, x32);
        if (vectors > 3) x33 = madd(y3, b3, x33);
      }
      q += bRow;
      a0 += aCol;
      a1 += aCol;
      if (rows > 2) a2 += aCol;
      if (rows > 3) a3 += aCol;
    }
    emitRow(vectors, c, x00, x01, x02, x03, alpha, bias, keep, cols);
    if (last > 0) emitRow(vectors, c + cRow, x10, x11, x12, x13, alpha, bias, keep, cols);
    if (rows > 2 && last > 1) emitRow(vectors, c + 2 * cRow, x20, x21, x22, x23, alpha, bias, keep, cols);
    if (rows > 3 && last > 2) emitRow(vectors, c + 3 * cRow, x30, x31, x32, x33, alpha, bias, keep, cols);
    a += <usize>rows * aRow;
    c += <usize>rows * cRow;
  }
}

function wideStrip(
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  m: i32,
  k: i32,
  cols: i32,
  cRow: usize,
  aRow: usize,
  aCol: usize,
  bRow: usize,
  alpha: f32,
  keep: bool,
): void {
  strip(ROWS, VECTORS, c, a, b, bias, m, k, cols, cRow, aRow, aCol, bRow, alpha, keep);
}

function narrowStrip(
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  m: i32,
  k: i32,
  cols: i32,
  cRow: usize,
  aRow: usize,
  aCol: usize,
  bRow: usize,
  alpha: f32,
  keep: bool,
): void {
  strip(4, 2, c, a, b, bias, m, k, cols, cRow, aRow, aCol, bRow, alpha, keep);
}

/** `n` cut into equal blocks of at most `most`, each a multiple of `unit` but for the last. */
// @ts-ignore: decorator
@inline
function balanced(n: i32, most: i32, unit: i32): i32 {
  const blocks = (n + most - 1) / most;
  return (((n + blocks - 1) / blocks + unit - 1) / unit) * unit;
}

// @ts-ignore: decorator
@inline
function panelWidth(left: i32): i32 {
  if (left <= NARROW) return NARROW;
  return WIDTH == 12 && left > 12 && left <= 16 ? NARROW : WIDTH;
}

/** Bytes of scratch that `matmul` needs. */
export function matmulWorkspace(m: i32, k: i32, n: i32): i32 {
  const depth = balanced(max(k, 1), KC, 4);
  return 4 * depth * (balanced(m, MC, 12) + balanced(n, NC, 48) + WIDTH);
}

/** C[b,i,j] = (accumulate ? C[b,i,j] : 0) + bias[j] + α·Σₚ A[b,i,p]·B[b,p,j]; without `bias`, 0 for it */
export function matmul(
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  work: usize,
  batch: i32,
  m: i32,
  k: i32,
  n: i32,
  cBatch: i32,
  cRow: i32,
  aBatch: i32,
  aRow: i32,
  aCol: i32,
  bBatch: i32,
  bRow: i32,
  bCol: i32,
  alpha: f32,
  accumulate: i32,
): void {
  if (m <= 0 || n <= 0) return;
  const together = bBatch == 0 ? batch : 1;
  for (; batch > 0; batch -= together) {
    product(
      c,
      a,
      b,
      bias,
      work,
      together,
      m,
      k,
      n,
      (<usize>cBatch) << 2,
      (<usize>cRow) << 2,
      (<usize>aBatch) << 2,
      (<usize>aRow) << 2,
      (<usize>aCol) << 2,
      (<usize>bRow) << 2,
      (<usize>bCol) << 2,
      alpha,
      accumulate,
    );
    c += (<usize>cBatch) << 2;
    a += (<usize>aBatch) << 2;
    b += (<usize>bBatch) << 2;
  }
}

function product(
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  work: usize,
  batch: i32,
  m: i32,
  k: i32,
  n: i32,
  cBatch: usize,
  cRow: usize,
  aBatch: usize,
  aRow: usize,
  aCol: usize,
  bRow: usize,
  bCol: usize,
  alpha: f32,
  accumulate: i32,
): void {
  const mc = balanced(m, MC, 12),
    kc = balanced(max(k, 1), KC, 4),
    nc = balanced(n, NC, 48);
  const copyA = aCol != 4 && n > 16;
  const reuse = batch > 1 || m > mc;
  const directB = bCol == 4 && (m < 32 || (k <= 128 && n <= 128));
  const panels = work + (copyA ? (<usize>(mc * kc)) << 2 : 0);
  for (let j0 = 0; j0 < n; j0 += nc) {
    const j1 = min(j0 + nc, n);
    for (let p0 = 0; p0 == 0 || p0 < k; p0 += kc) {
      const depth = min(kc, k - p0);
      const keep = p0 > 0 || accumulate != 0;
      for (let t = 0; t < batch; ++t) {
        for (let i0 = 0; i0 < m; i0 += mc) {
          const rows = min(mc, m - i0);
          let from = a + <usize>t * aBatch + <usize>i0 * aRow + <usize>p0 * aCol;
          let fromRow = aRow,
            fromCol = aCol;
          if (copyA) {
            copyStrided(work, from, rows, depth, kc, 1, <i32>(aRow >> 2), <i32>(aCol >> 2));
            from = work;
            fromRow = (<usize>kc) << 2;
            fromCol = 4;
          }
          for (let j = j0; j < j1; ) {
            const width = panelWidth(j1 - j);
            const cols = min(width, j1 - j);
            let panel = b + <usize>p0 * bRow + <usize>j * bCol;
            let panelRow = bRow;
            if (!directB || cols < width) {
              const packed = panels + (reuse ? (<usize>((j - j0) * depth)) << 2 : 0);
              if (t + i0 == 0) {
                if (cols < width) memory.fill(packed, 0, (<usize>(width * depth)) << 2);
                copyStrided(packed, panel, depth, cols, width, 1, <i32>(bRow >> 2), <i32>(bCol >> 2));
              }
              panel = packed;
              panelRow = (<usize>width) << 2;
            }
            const to = c + <usize>t * cBatch + <usize>i0 * cRow + ((<usize>j) << 2);
            const add = bias && p0 == 0 ? bias + ((<usize>j) << 2) : 0;
            if (width == WIDTH)
              wideStrip(to, from, panel, add, rows, depth, cols, cRow, fromRow, fromCol, panelRow, alpha, keep);
            else narrowStrip(to, from, panel, add, rows, depth, cols, cRow, fromRow, fromCol, panelRow, alpha, keep);
            j += width;
          }
        }
      }
    }
  }
}
