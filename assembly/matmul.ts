/**
 * C = α·A·B as a packed matrix product: B in panels as wide as the register tile, blocks of k that stay in cache.
 *
 * Whatever m, n, batch, strides and path are, an element is the same sequence of operations: products added in the
 * order of p within a block of k, block sums added to C in order. So a row's bits don't depend on the rows beside it.
 */
import { copyStrided } from "./copy";
import { addRows, addTurned, FEW, fewRows, fewRowsWorkspace, rowsByColumns, SIXTEEN } from "./matvec";
import { Codes } from "./quantDecode";
import { rowByCodes, suitsRowByCodes } from "./quantMatvec";
import { packStrips } from "./strips";
import {
  largeStrip,
  NARROW_ROWS,
  NARROW_WIDTH,
  narrowStrip,
  ROWS,
  SMALL_WIDTH,
  STRIP_BYTES,
  Strip,
  smallStrip,
  WIDTH,
} from "./tile";

/** Rows of A that stay in the second-level cache while every panel of B passes. */
const MC: i32 = 192;
/** Depth of a block: a panel of B (24 KiB) stays in the first-level cache. */
const KC: i32 = ASC_FEATURE_RELAXED_SIMD ? 768 : 384;
/** Columns of B packed while all rows of A pass, so that A is packed once for that many. */
const NC: i32 = 768;

/** Columns of B packed at a time: 8 panels, while their rows are in reach. */
const GROUP: i32 = 8 * WIDTH;

/** The width of the panel that begins where `left` columns are left; `least` is narrow or small. */
// @ts-ignore: decorator
@inline
function panelWidth(left: i32, least: i32): i32 {
  return left > SMALL_WIDTH ? WIDTH : left > least ? SMALL_WIDTH : least;
}

/** `cols` columns of B as panels one after the other, each row by row; missing columns of the last are 0. */
function packPanels(y: usize, b: usize, depth: i32, cols: i32, bRow: i32, bCol: i32, least: i32): void {
  let j = 0;
  if (bCol == 1) {
    j = (cols / WIDTH) * WIDTH;
    splitRows(y, b, depth, j, (<usize>bRow) << 2);
  }
  while (j < cols) {
    const width = panelWidth(cols - j, least);
    const panel = y + ((<usize>j * <usize>depth) << 2);
    if (cols - j < width) memory.fill(panel, 0, (<usize>(width * depth)) << 2);
    copyStrided(panel, b + ((<usize>j * <usize>bCol) << 2), depth, min(width, cols - j), width, 1, bRow, bCol);
    j += width;
  }
}

/** The same for whole panels of contiguous rows, which are read along: memory is slow in pieces of a panel's width. */
function splitRows(y: usize, b: usize, depth: i32, cols: i32, bRow: usize): void {
  const panel = (<usize>(depth * WIDTH)) << 2;
  for (; depth; --depth) {
    let to = y;
    for (const end = b + ((<usize>cols) << 2); b != end; b += WIDTH << 2) {
      v128.store(to, v128.load(b));
      v128.store(to, v128.load(b, 16), 16);
      if (WIDTH > 8) {
        v128.store(to, v128.load(b, 32), 32);
        v128.store(to, v128.load(b, 48), 48);
      }
      to += panel;
    }
    y += WIDTH << 2;
    b += bRow - ((<usize>cols) << 2);
  }
}

/** The same from codes: `start` is the element that begins the part of B. */
function packCodes(y: usize, b: Codes, start: i32, depth: i32, cols: i32, bRow: i32, bCol: i32): void {
  const scratch = b.scratch;
  if (bCol == 1) {
    for (let p = 0; p < depth; ++p) b.decode(scratch + ((<usize>(p * cols)) << 2), start + p * bRow, cols);
    packPanels(y, scratch, depth, cols, cols, 1, SMALL_WIDTH);
  } else {
    for (let j = 0; j < cols; ++j) b.decode(scratch + ((<usize>(j * depth)) << 2), start + j * bCol, depth);
    packPanels(y, scratch, depth, cols, 1, depth, SMALL_WIDTH);
  }
}

/** `n` cut into equal blocks of at most `most`, each a multiple of `unit` but for the last. */
// @ts-ignore: decorator
@inline
function balanced(n: i32, most: i32, unit: i32): i32 {
  const blocks = (n + most - 1) / most;
  return (((n + blocks - 1) / blocks + unit - 1) / unit) * unit;
}

/** Whether B, where it lies, stays in the second-level cache: 1 MiB. */
// @ts-ignore: decorator
@inline
function isSmall(k: i32, n: i32): bool {
  return <i64>k * <i64>n <= 1 << 18;
}

/** Whether `fewRows` is the faster: a B that stays in the first-level cache is as good for tiles (bench/matvec). */
// @ts-ignore: decorator
@inline
function suitsFewRows(m: i32, k: i32, n: i32): bool {
  return m == 1 ? n >= 16 : m <= FEW && n >= 8 && (m < 4 || k * n > 16384);
}

/** Whether columns of B, read where they lie, are faster than packed: 64×784×512 82 → 90 % of the ceiling. */
// @ts-ignore: decorator
@inline
function suitsTurning(m: i32, k: i32): bool {
  return m <= FEW || (m <= TURNED && k >= 256);
}

/** Most rows that are taken for columns. */
const TURNED: i32 = 128;

/** What `balanced` gives at the most, for n and for any part of it. */
// @ts-ignore: decorator
@inline
function atMost(n: i32, most: i32, unit: i32): i32 {
  return min(most, ((max(n, 1) + unit - 1) / unit) * unit);
}

/**
 * Bytes of scratch that `matmul` needs for a product of these extents or of any part of it: the strip, the last columns
 * of C, a block of A and the panels of B.
 */
export function matmulWorkspace(m: i32, k: i32, n: i32): i32 {
  const depth = atMost(k, KC, 4);
  const rows = atMost(m, MC, 12);
  const cols = atMost(n, NC, 48);
  const packed = rows * WIDTH + rows * depth + (cols + WIDTH) * depth;
  const turned = 2 * atMost(n, MC, 12) * WIDTH + (atMost(min(m, TURNED), NC, 48) + WIDTH) * depth;
  return <i32>STRIP_BYTES + 4 * max(max(packed, turned), fewRowsWorkspace(m, k, depth));
}

/** Bytes of scratch that `matmulCodes` needs: those of `matmul`, where the codes lie, and a group of B's columns. */
export function matmulCodesWorkspace(m: i32, k: i32, n: i32): i32 {
  return CODES_BYTES + 4 * min(n, GROUP) * balanced(max(k, 1), KC, 4) + matmulWorkspace(m, k, n);
}

const CODES_BYTES: i32 = 64;

/**
 * The same bits as `matmul` with B in float32: C = (accumulate ? C : 0) + bias + α·A·B for a B that lies in codes, with
 * dense rows (bCol = 1) or dense columns (bRow = 1), decoded while it is packed. `extra` as in `dequantize`
 */
export function matmulCodes(
  c: usize,
  a: usize,
  codes: usize,
  scales: usize,
  extra: usize,
  bias: usize,
  work: usize,
  m: i32,
  k: i32,
  n: i32,
  cRow: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
  block: i32,
  scheme: i32,
  alpha: f32,
  accumulate: i32,
): void {
  if (m <= 0 || n <= 0) return;
  const b = changetype<Codes>(work);
  b.codes = codes;
  b.scales = scales;
  b.extra = extra;
  b.block = block;
  b.scheme = scheme;
  b.scratch = work + CODES_BYTES;
  const rest = b.scratch + ((<usize>(min(n, GROUP) * balanced(max(k, 1), KC, 4))) << 2);
  products(c, a, 0, b, bias, rest, 1, m, k, n, 0, cRow, 0, aRow, aCol, bRow, bCol, alpha, accumulate != 0);
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
  // One packing of B serves every product that reads it.
  const together = bBatch == 0 ? batch : 1;
  for (; batch > 0; batch -= together) {
    products(
      c,
      a,
      b,
      null,
      bias,
      work,
      together,
      m,
      k,
      n,
      cBatch,
      cRow,
      aBatch,
      aRow,
      aCol,
      bRow,
      bCol,
      alpha,
      accumulate != 0,
    );
    c += (<usize>cBatch) << 2;
    a += (<usize>aBatch) << 2;
    b += (<usize>bBatch) << 2;
  }
}

/** `batch` products with one B: at `b`, or in `codes` with `b` as the offset 0. */
function products(
  c: usize,
  a: usize,
  b: usize,
  codes: Codes | null,
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
  bRow: i32,
  bCol: i32,
  alpha: f32,
  accumulate: bool,
): void {
  const kc = balanced(max(k, 1), KC, 4);
  if (batch == 1 && !codes) {
    const keep = accumulate || bias != 0;
    const isNN = bCol == 1 && suitsFewRows(m, k, n);
    const isNT = bRow == 1 && n >= NARROW_ROWS && suitsTurning(m, k);
    if (bias && (isNN || isNT)) addRows(c, bias, m, n, (<usize>cRow) << 2, 0, 1, accumulate);
    if (isNN) {
      fewRows(c, a, b, work, m, k, n, kc, cRow, aRow, aCol, bRow, alpha, keep);
      return;
    }
    if (isNT && m <= 2 && n >= SIXTEEN) {
      rowsByColumns(c, a, b, work, m, k, n, kc, cRow, aRow, aCol, bCol, alpha, keep);
      return;
    }
    // Cᵀ = Bᵀ·Aᵀ: few rows are panels that cost little to pack, and B is read where it lies.
    if (isNT) {
      packed(c, b, a, null, 0, work, 1, n, k, m, 0, 1, cRow, 0, bCol, bRow, aCol, aRow, alpha, keep);
      return;
    }
  }
  if (codes && m == 1 && aCol == 1 && bRow == 1 && suitsRowByCodes(codes, k, n)) {
    rowByCodes(c, a, codes, bias, work, k, n, kc, alpha, accumulate);
    return;
  }
  packed(
    c,
    a,
    b,
    codes,
    bias,
    work,
    batch,
    m,
    k,
    n,
    cBatch,
    cRow,
    1,
    aBatch,
    aRow,
    aCol,
    bRow,
    bCol,
    alpha,
    accumulate,
  );
}

/** `products` by panels of B. C has dense rows, or dense columns that are `cCol` apart. */
function packed(
  c: usize,
  a: usize,
  b: usize,
  codes: Codes | null,
  bias: usize,
  work: usize,
  batch: i32,
  m: i32,
  k: i32,
  n: i32,
  cBatch: i32,
  cRow: i32,
  cCol: i32,
  aBatch: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
  alpha: f32,
  accumulate: bool,
): void {
  const kc = balanced(max(k, 1), KC, 4);
  const mc = balanced(m, MC, 12);
  const nc = balanced(n, NC, 48);
  // Rows far apart are copied for many columns' sake; measured at k ≥ 1024: 1024³ 97 → 100 % of the ceiling. Where sums
  // are short, tiles that begin sooner are: 1024 × 8 × 64 to 172 take 5 to 10 % less.
  const dense = ASC_FEATURE_RELAXED_SIMD && k <= 16 ? 24 : 480;
  const copyA = n > (aCol == 1 ? dense : 16);
  const least = !copyA && aCol == 1 && cCol != 1 ? NARROW_WIDTH : SMALL_WIDTH;
  // A tile walks from a panel's first row to its end: rows that repeat (stride 0) must be packed.
  const directB = cCol == 1 && !codes && bCol == 1 && bRow != 0 && isSmall(k, n) && (m < 32 || k * n <= 16384);
  // Panels that no other rows meet are packed where those before them lay, which is in the cache.
  const span = batch == 1 && m <= mc ? GROUP : nc;
  const s = changetype<Strip>(work);
  const part = work + STRIP_BYTES;
  const turned = part + ((<usize>(mc * WIDTH)) << 2);
  const blockA = turned + (cCol == 1 ? 0 : (<usize>(mc * WIDTH)) << 2);
  const panels = blockA + (copyA ? (<usize>(mc * kc)) << 2 : 0);
  s.inStrips = ASC_FEATURE_RELAXED_SIMD && copyA;
  s.aRow = (<usize>(s.inStrips ? 1 : copyA ? kc : aRow)) << 2;
  s.aCol = (<usize>(s.inStrips ? ROWS : copyA ? 1 : aCol)) << 2;
  for (let j0 = 0; j0 < n; j0 += nc) {
    const j1 = min(j0 + nc, n);
    for (let p0 = 0; p0 == 0 || p0 < k; p0 += kc) {
      const depth = min(kc, k - p0);
      s.depth = depth;
      s.aTile = <usize>ROWS * (s.inStrips ? (<usize>depth) << 2 : s.aRow);
      for (let t = 0; t < batch; ++t) {
        for (let i0 = 0; i0 < m; i0 += mc) {
          const rows = min(mc, m - i0);
          let from = a + ((<usize>t * <usize>aBatch + <usize>i0 * <usize>aRow + <usize>p0 * <usize>aCol) << 2);
          if (copyA) {
            if (s.inStrips) packStrips(blockA, from, rows, depth, (<usize>aRow) << 2, (<usize>aCol) << 2);
            else copyStrided(blockA, from, rows, depth, kc, 1, aRow, aCol);
            from = blockA;
          }
          for (let j = j0; j < j1; ) {
            const width = panelWidth(j1 - j, least);
            const cols = min(width, j1 - j);
            const whole = cols == width && cCol == 1;
            const to = c + ((<usize>t * <usize>cBatch + <usize>i0 * <usize>cRow + <usize>j * <usize>cCol) << 2);
            let panel = b + ((<usize>p0 * <usize>bRow + <usize>j * <usize>bCol) << 2);
            s.bRow = (<usize>bRow) << 2;
            if (!directB || cols < width) {
              const packed = panels + ((<usize>(((j - j0) % span) * depth)) << 2);
              const begins = directB || (j - j0) % GROUP == 0;
              if (begins && t + i0 == 0) {
                const group = min(GROUP, j1 - j);
                if (codes) packCodes(packed, codes, panel >> 2, depth, group, bRow, bCol);
                else packPanels(packed, panel, depth, group, bRow, bCol, least);
              }
              panel = packed;
              s.bRow = (<usize>width) << 2;
            }
            let keep = p0 > 0 || accumulate;
            const offset = bias && p0 == 0 ? bias + ((<usize>j) << 2) : 0;
            if (offset && (keep || !whole)) {
              addRows(to, offset, rows, cols, (<usize>cRow) << 2, 0, 1, keep);
              keep = true;
            }
            s.cRow = (<usize>(whole ? cRow : width)) << 2;
            s.alpha = whole ? alpha : 1;
            s.base = whole ? (keep ? to : offset) : 0;
            s.baseRow = whole && keep ? s.cRow : 0;
            if (width == NARROW_WIDTH) narrowStrip(s, part, from, panel, rows);
            else if (width == WIDTH) largeStrip(s, whole ? to : part, from, panel, rows);
            else smallStrip(s, whole ? to : part, from, panel, rows);
            if (cCol != 1) addTurned(to, part, turned, rows, cols, width, cCol, alpha, keep);
            else if (!whole) addRows(to, part, rows, cols, (<usize>cRow) << 2, (<usize>width) << 2, alpha, keep);
            j += width;
          }
        }
      }
    }
  }
}
