/**
 * C = (keep ? C : 0) + bias + α·A·B for so few rows of A that B is read once, from memory, and packing would only
 * delay it. Each element is the sequence of operations that matmul.ts describes; `kc` is the depth of a block.
 */
import { loadTail, madd, storeTail } from "./simd";

export const FEW_ROWS: i32 = 4;
/** Columns at a time: sums of four rows that stay in the first-level cache or near. */
export const FEW_COLUMNS: i32 = 4096;

/** B's rows are contiguous: sums grow row by row. `sums` has room for m rows of FEW_COLUMNS at the most. */
export function rowsByRows(
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  sums: usize,
  m: i32,
  k: i32,
  n: i32,
  kc: i32,
  cRow: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  alpha: f32,
  keep: bool,
): void {
  const toRow = (<usize>cRow) << 2;
  const fromRow = (<usize>aRow) << 2;
  const fromCol = (<usize>aCol) << 2;
  if (bias) {
    addRows(c, bias, m, n, toRow, 0, 1, keep);
    keep = true;
  }
  for (let j = 0; j < n; j += FEW_COLUMNS) {
    const cols = min(FEW_COLUMNS, n - j);
    for (let p = 0; p == 0 || p < k; p += kc) {
      const from = a + <usize>p * fromCol;
      const rows = b + ((<usize>p * <usize>bRow + <usize>j) << 2);
      sumRows(sums, from, rows, m, min(kc, k - p), cols, fromRow, fromCol, (<usize>bRow) << 2);
      addRows(c + ((<usize>j) << 2), sums, m, cols, toRow, sumRow(cols), alpha, keep || p > 0);
    }
  }
}

/** Bytes from one row of sums to the next. */
// @ts-ignore: decorator
@inline
function sumRow(n: i32): usize {
  return (<usize>(n + 3) & ~3) << 2;
}

/** sums[i, j] = Σₚ a[i, p]·b[p, j]; strides in bytes. */
function sumRows(sums: usize, a: usize, b: usize, m: i32, k: i32, n: i32, aRow: usize, aCol: usize, bRow: usize): void {
  const row = sumRow(n);
  memory.fill(sums, 0, <usize>m * row);
  for (; k >= 4; k -= 4) {
    for (let i = 0; i < m; ++i) addFour(sums + <usize>i * row, a + <usize>i * aRow, b, n, aCol, bRow);
    a += 4 * aCol;
    b += 4 * bRow;
  }
  for (; k; --k) {
    for (let i = 0; i < m; ++i) addOne(sums + <usize>i * row, a + <usize>i * aRow, b, n);
    a += aCol;
    b += bRow;
  }
}

/** s[j] += Σ a[p]·b[p, j] over four p */
function addFour(s: usize, a: usize, b: usize, n: i32, aCol: usize, bRow: usize): void {
  const y0 = v128.load32_splat(a);
  const y1 = v128.load32_splat(a + aCol);
  const y2 = v128.load32_splat(a + 2 * aCol);
  const y3 = v128.load32_splat(a + 3 * aCol);
  let b1 = b + bRow;
  let b2 = b1 + bRow;
  let b3 = b2 + bRow;
  const end = s + ((<usize>n & ~3) << 2);
  for (; s != end; s += 16) {
    let x = madd(y0, v128.load(b), v128.load(s));
    x = madd(y1, v128.load(b1), x);
    x = madd(y2, v128.load(b2), x);
    v128.store(s, madd(y3, v128.load(b3), x));
    b += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
  }
  const tail = <usize>n & 3;
  if (!tail) return;
  let x = madd(y0, loadTail(b, tail), v128.load(s));
  x = madd(y1, loadTail(b1, tail), x);
  x = madd(y2, loadTail(b2, tail), x);
  v128.store(s, madd(y3, loadTail(b3, tail), x));
}

/** s[j] += a·b[j] */
function addOne(s: usize, a: usize, b: usize, n: i32): void {
  const y = v128.load32_splat(a);
  const end = s + ((<usize>n & ~3) << 2);
  for (; s != end; s += 16, b += 16) v128.store(s, madd(y, v128.load(b), v128.load(s)));
  const tail = <usize>n & 3;
  if (tail) v128.store(s, madd(y, loadTail(b, tail), v128.load(s)));
}

/** One row of A, and B's columns are contiguous: eight at a time, transposed in registers. `sums` has room for 8. */
export function rowByColumns(
  c: usize,
  a: usize,
  b: usize,
  bias: usize,
  sums: usize,
  k: i32,
  n: i32,
  kc: i32,
  aCol: i32,
  bCol: i32,
  alpha: f32,
  keep: bool,
): void {
  const fromCol = (<usize>aCol) << 2;
  const column = (<usize>bCol) << 2;
  if (bias) {
    addRows(c, bias, 1, n, 0, 0, 1, keep);
    keep = true;
  }
  for (let j = 0; j < n; j += 8) {
    const cols = min(8, n - j);
    for (let p = 0; p == 0 || p < k; p += kc) {
      eightSums(sums, a + <usize>p * fromCol, b + ((<usize>p) << 2), min(kc, k - p), cols, fromCol, column);
      addRows(c, sums, 1, cols, 0, 0, alpha, keep || p > 0);
    }
    c += 32;
    b += 8 * column;
  }
}

/** sums[j] = Σₚ a[p]·b[p, j]; columns beyond `cols` repeat the last. Strides in bytes. */
function eightSums(sums: usize, a: usize, b: usize, depth: i32, cols: i32, aCol: usize, bCol: usize): void {
  let b0 = b;
  let b1 = b0 + (cols > 1 ? bCol : 0);
  let b2 = b1 + (cols > 2 ? bCol : 0);
  let b3 = b2 + (cols > 3 ? bCol : 0);
  let b4 = b3 + (cols > 4 ? bCol : 0);
  let b5 = b4 + (cols > 5 ? bCol : 0);
  let b6 = b5 + (cols > 6 ? bCol : 0);
  let b7 = b6 + (cols > 7 ? bCol : 0);
  let x0 = f32x4.splat(0);
  let x1 = f32x4.splat(0);
  for (; depth >= 4; depth -= 4) {
    const u0 = v128.load(b0),
      u1 = v128.load(b1),
      u2 = v128.load(b2),
      u3 = v128.load(b3);
    const v0 = v128.load(b4),
      v1 = v128.load(b5),
      v2 = v128.load(b6),
      v3 = v128.load(b7);
    const p0 = v128.shuffle<f32>(u0, u1, 0, 4, 1, 5),
      p1 = v128.shuffle<f32>(u2, u3, 0, 4, 1, 5);
    const q0 = v128.shuffle<f32>(v0, v1, 0, 4, 1, 5),
      q1 = v128.shuffle<f32>(v2, v3, 0, 4, 1, 5);
    const r0 = v128.shuffle<f32>(u0, u1, 2, 6, 3, 7),
      r1 = v128.shuffle<f32>(u2, u3, 2, 6, 3, 7);
    const s0 = v128.shuffle<f32>(v0, v1, 2, 6, 3, 7),
      s1 = v128.shuffle<f32>(v2, v3, 2, 6, 3, 7);
    let y = v128.load32_splat(a);
    x0 = madd(y, v128.shuffle<i64>(p0, p1, 0, 2), x0);
    x1 = madd(y, v128.shuffle<i64>(q0, q1, 0, 2), x1);
    y = v128.load32_splat(a + aCol);
    x0 = madd(y, v128.shuffle<i64>(p0, p1, 1, 3), x0);
    x1 = madd(y, v128.shuffle<i64>(q0, q1, 1, 3), x1);
    y = v128.load32_splat(a + 2 * aCol);
    x0 = madd(y, v128.shuffle<i64>(r0, r1, 0, 2), x0);
    x1 = madd(y, v128.shuffle<i64>(s0, s1, 0, 2), x1);
    y = v128.load32_splat(a + 3 * aCol);
    x0 = madd(y, v128.shuffle<i64>(r0, r1, 1, 3), x0);
    x1 = madd(y, v128.shuffle<i64>(s0, s1, 1, 3), x1);
    a += 4 * aCol;
    b0 += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
    b4 += 16;
    b5 += 16;
    b6 += 16;
    b7 += 16;
  }
  for (; depth; --depth) {
    const y = v128.load32_splat(a);
    x0 = madd(y, gather(b0, b1, b2, b3), x0);
    x1 = madd(y, gather(b4, b5, b6, b7), x1);
    a += aCol;
    b0 += 4;
    b1 += 4;
    b2 += 4;
    b3 += 4;
    b4 += 4;
    b5 += 4;
    b6 += 4;
    b7 += 4;
  }
  v128.store(sums, x0);
  v128.store(sums, x1, 16);
}

// @ts-ignore: decorator
@inline
function gather(b0: usize, b1: usize, b2: usize, b3: usize): v128 {
  const low = v128.load32_lane(b1, v128.load32_zero(b0), 1);
  return v128.load32_lane(b3, v128.load32_lane(b2, low, 2), 3);
}

/** y[r, j] = (keep ? y[r, j] : 0) + α·x[r, j]; rows of x are `xRow` bytes apart, 0 for a row that repeats. */
export function addRows(
  y: usize,
  x: usize,
  rows: i32,
  cols: i32,
  yRow: usize,
  xRow: usize,
  alpha: f32,
  keep: bool,
): void {
  const scale = f32x4.splat(alpha);
  const body = (<usize>(cols & ~3)) << 2;
  const tail = <usize>cols & 3;
  for (; rows; --rows) {
    for (let o: usize = 0; o < body; o += 16) {
      const v = f32x4.mul(scale, v128.load(x + o));
      v128.store(y + o, keep ? f32x4.add(v128.load(y + o), v) : v);
    }
    if (tail) {
      const v = f32x4.mul(scale, loadTail(x + body, tail));
      storeTail(y + body, keep ? f32x4.add(loadTail(y + body, tail), v) : v, tail);
    }
    y += yRow;
    x += xRow;
  }
}
