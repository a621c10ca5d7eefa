/**
 * C = (keep ? C : 0) + bias + α·A·B for so few rows of A that B is read once, from memory, and packing would only
 * delay it. Each element is the sequence of operations that matmul.ts describes; `kc` is the depth of a block.
 */
import { copyStrided } from "./copy";
import { loadTail, madd, storeTail } from "./simd";

/** Rows of A that are few. */
export const FEW: i32 = 24;
/** Sums at a time, as floats: they stay in the first-level cache beside the rows of B. */
const SUMS: i32 = 4096;
/** Columns side by side in a row of sums. */
const EIGHT: i32 = 8;

/** Floats of scratch for `fewRows`: A, the sums and the columns of B beyond whole eights. */
export function fewRowsWorkspace(m: i32, k: i32, kc: i32): i32 {
  return min(m, FEW) * k + SUMS + EIGHT * kc;
}

/** B's rows are contiguous: sums grow row by row, four rows of B at a time. */
export function fewRows(
  c: usize,
  a: usize,
  b: usize,
  work: usize,
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
  const sums = work + ((<usize>(m * k)) << 2);
  const edge = sums + ((<usize>SUMS) << 2);
  const isPacked = m == 1 && aCol == 1;
  if (!isPacked) packFours(work, a, m, k, (<usize>aRow) << 2, (<usize>aCol) << 2);
  const left = isPacked ? a : work;
  const most = (SUMS / m) & -EIGHT;
  const body = m == 1 ? n : n & -EIGHT;
  for (let j = 0; j < n; ) {
    const cols = j < body ? min(most, body - j) : n - j;
    for (let p = 0; p == 0 || p < k; p += kc) {
      const depth = min(kc, k - p);
      let from = b + ((<usize>p * <usize>bRow + <usize>j) << 2);
      let row = (<usize>bRow) << 2;
      if (j == body) {
        memory.fill(edge, 0, (<usize>(EIGHT * depth)) << 2);
        copyStrided(edge, from, depth, cols, EIGHT, 1, bRow, 1);
        from = edge;
        row = EIGHT << 2;
      }
      memory.fill(sums, 0, (<usize>(m * ((cols + EIGHT - 1) & -EIGHT))) << 2);
      sumRows(sums, left + ((<usize>(p * m)) << 2), from, m, depth, cols, row);
      addSums(c + ((<usize>j) << 2), sums, m, cols, (<usize>cRow) << 2, alpha, keep || p > 0);
    }
    j += cols;
  }
}

/** Four columns of A side by side, row after row; then those that remain, each a column. Strides in bytes. */
function packFours(y: usize, a: usize, m: i32, k: i32, aRow: usize, aCol: usize): void {
  for (; k >= 4; k -= 4) {
    let x = a;
    for (let i = m; i; --i) {
      v128.store(y, aCol == 4 ? v128.load(x) : gather(x, x + aCol, x + 2 * aCol, x + 3 * aCol));
      x += aRow;
      y += 16;
    }
    a += 4 * aCol;
  }
  for (; k; --k) {
    for (let i: usize = 0; i < <usize>m; ++i) {
      store<u32>(y, load<u32>(a + i * aRow));
      y += 4;
    }
    a += aCol;
  }
}

/** sums[e, i, j] += Σₚ a[i, p]·b[p, e, j] for j < 8; `a` as packed, `bRow` in bytes. */
function sumRows(sums: usize, a: usize, b: usize, m: i32, depth: i32, cols: i32, bRow: usize): void {
  const eights = (cols + EIGHT - 1) / EIGHT;
  for (; depth >= 4; depth -= 4) {
    if (m == 1) addFour(sums, a, b, cols, bRow);
    else addFours(sums, a, b, m, eights, bRow);
    a += (<usize>m) << 4;
    b += bRow << 2;
  }
  for (; depth; --depth) {
    if (m == 1) addOne(sums, a, b, cols);
    else addOnes(sums, a, b, m, eights);
    a += (<usize>m) << 2;
    b += bRow;
  }
}

/** s[j] += Σ a[p]·b[p, j] over four p */
function addFour(s: usize, a: usize, b: usize, n: i32, bRow: usize): void {
  const y0 = v128.load32_splat(a);
  const y1 = v128.load32_splat(a, 4);
  const y2 = v128.load32_splat(a, 8);
  const y3 = v128.load32_splat(a, 12);
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

/** Four rows of B for every row of A: 4×8 of B stay in registers. */
function addFours(s: usize, a: usize, b: usize, m: i32, eights: i32, bRow: usize): void {
  const end = a + ((<usize>m) << 4);
  for (; eights; --eights) {
    let from = b;
    const b0 = v128.load(from),
      c0 = v128.load(from, 16);
    from += bRow;
    const b1 = v128.load(from),
      c1 = v128.load(from, 16);
    from += bRow;
    const b2 = v128.load(from),
      c2 = v128.load(from, 16);
    from += bRow;
    const b3 = v128.load(from),
      c3 = v128.load(from, 16);
    for (let x = a; x != end; x += 16) {
      let y = v128.load32_splat(x);
      let s0 = madd(y, b0, v128.load(s));
      let s1 = madd(y, c0, v128.load(s, 16));
      y = v128.load32_splat(x, 4);
      s0 = madd(y, b1, s0);
      s1 = madd(y, c1, s1);
      y = v128.load32_splat(x, 8);
      s0 = madd(y, b2, s0);
      s1 = madd(y, c2, s1);
      y = v128.load32_splat(x, 12);
      v128.store(s, madd(y, b3, s0));
      v128.store(s, madd(y, c3, s1), 16);
      s += 32;
    }
    b += 32;
  }
}

/** One row of B. */
function addOnes(s: usize, a: usize, b: usize, m: i32, eights: i32): void {
  const end = a + ((<usize>m) << 2);
  for (; eights; --eights) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    for (let x = a; x != end; x += 4) {
      const y = v128.load32_splat(x);
      v128.store(s, madd(y, b0, v128.load(s)));
      v128.store(s, madd(y, b1, v128.load(s, 16)), 16);
      s += 32;
    }
    b += 32;
  }
}

/** c[i, j] = (keep ? c[i, j] : 0) + α·sums[e, i, j] */
function addSums(c: usize, sums: usize, m: i32, cols: i32, cRow: usize, alpha: f32, keep: bool): void {
  const step = m == 1 ? cols : EIGHT;
  for (; cols > 0; cols -= step) {
    addRows(c, sums, m, min(step, cols), cRow, EIGHT << 2, alpha, keep);
    c += EIGHT << 2;
    sums += (<usize>(m * EIGHT)) << 2;
  }
}

/** c[i, j] = (keep ? c[i, j] : 0) + α·x[i, j], where c's columns are dense; `turned` has room for cols × rows. */
export function addTurned(
  c: usize,
  x: usize,
  turned: usize,
  rows: i32,
  cols: i32,
  xRow: i32,
  cCol: i32,
  alpha: f32,
  keep: bool,
): void {
  copyStrided(turned, x, cols, rows, rows, 1, 1, xRow);
  addRows(c, turned, cols, rows, (<usize>cCol) << 2, (<usize>rows) << 2, alpha, keep);
}

/** The fewest columns of B that `rowsByColumns` takes. */
export const SIXTEEN: i32 = 16;

/** One row of A or two, and B's columns are contiguous: sixteen or eight at a time, transposed in registers. */
export function rowsByColumns(
  c: usize,
  a: usize,
  b: usize,
  work: usize,
  m: i32,
  k: i32,
  n: i32,
  kc: i32,
  cRow: i32,
  aRow: i32,
  aCol: i32,
  bCol: i32,
  alpha: f32,
  keep: bool,
): void {
  const column = (<usize>bCol) << 2;
  if (aCol != 1) {
    const rows = work + ((<usize>SIXTEEN) << 2);
    copyStrided(rows, a, m, k, k, 1, aRow, aCol);
    a = rows;
    aRow = k;
  }
  const step = m == 1 ? SIXTEEN : EIGHT;
  for (let j = 0; j < n; j += step) {
    // The last columns overlap those before: their sums are made again, but not added.
    const first = min(j, n - step);
    for (let p = 0; p == 0 || p < k; p += kc) {
      const left = a + ((<usize>p) << 2);
      const right = b + <usize>first * column + ((<usize>p) << 2);
      const depth = min(kc, k - p);
      if (m == 1) sixteenSums(work, left, right, depth, column);
      else twiceEightSums(work, left, right, depth, (<usize>aRow) << 2, column);
      addRows(
        c + ((<usize>j) << 2),
        work + ((<usize>(j - first)) << 2),
        m,
        min(step, n - j),
        (<usize>cRow) << 2,
        EIGHT << 2,
        alpha,
        keep || p > 0,
      );
    }
  }
}

/**
 * sums[j] = Σₚ a[p]·b[p, j], `bCol` in bytes. Four chains of sums hide the latency: with two it is half as fast in the
 * second-level cache. What is no four comes first, since a branch behind the loop makes V8 11.3 spill.
 */
function sixteenSums(sums: usize, a: usize, b: usize, depth: i32, bCol: usize): void {
  const four = bCol << 2;
  const twoCols = bCol << 1;
  const threeCols = bCol + twoCols;
  let b1 = b + four;
  let b2 = b1 + four;
  let b3 = b2 + four;
  let x0 = f32x4.splat(0),
    x1 = f32x4.splat(0),
    x2 = f32x4.splat(0),
    x3 = f32x4.splat(0);
  const end = a + ((<usize>depth) << 2);
  for (const head = a + ((<usize>depth & 3) << 2); a != head; a += 4) {
    const y = v128.load32_splat(a);
    x0 = madd(y, gather(b, b + bCol, b + twoCols, b + threeCols), x0);
    x1 = madd(y, gather(b1, b1 + bCol, b1 + twoCols, b1 + threeCols), x1);
    x2 = madd(y, gather(b2, b2 + bCol, b2 + twoCols, b2 + threeCols), x2);
    x3 = madd(y, gather(b3, b3 + bCol, b3 + twoCols, b3 + threeCols), x3);
    b += 4;
    b1 += 4;
    b2 += 4;
    b3 += 4;
  }
  for (; a != end; a += 16) {
    const y0 = v128.load32_splat(a);
    const y1 = v128.load32_splat(a, 4);
    const y2 = v128.load32_splat(a, 8);
    const y3 = v128.load32_splat(a, 12);
    x0 = addSquare(x0, y0, y1, y2, y3, b, bCol, twoCols, threeCols);
    x1 = addSquare(x1, y0, y1, y2, y3, b1, bCol, twoCols, threeCols);
    x2 = addSquare(x2, y0, y1, y2, y3, b2, bCol, twoCols, threeCols);
    x3 = addSquare(x3, y0, y1, y2, y3, b3, bCol, twoCols, threeCols);
    b += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
  }
  v128.store(sums, x0);
  v128.store(sums, x1, 16);
  v128.store(sums, x2, 32);
  v128.store(sums, x3, 48);
}

/** x[j] + Σ y[p]·b[p, j] over four p and four columns. */
// @ts-ignore: decorator
@inline
function addSquare(
  x: v128,
  y0: v128,
  y1: v128,
  y2: v128,
  y3: v128,
  b: usize,
  bCol: usize,
  twoCols: usize,
  threeCols: usize,
): v128 {
  const u0 = v128.load(b),
    u1 = v128.load(b + bCol),
    u2 = v128.load(b + twoCols),
    u3 = v128.load(b + threeCols);
  const p0 = v128.shuffle<f32>(u0, u1, 0, 4, 1, 5),
    p1 = v128.shuffle<f32>(u2, u3, 0, 4, 1, 5);
  const q0 = v128.shuffle<f32>(u0, u1, 2, 6, 3, 7),
    q1 = v128.shuffle<f32>(u2, u3, 2, 6, 3, 7);
  x = madd(y0, v128.shuffle<i64>(p0, p1, 0, 2), x);
  x = madd(y1, v128.shuffle<i64>(p0, p1, 1, 3), x);
  x = madd(y2, v128.shuffle<i64>(q0, q1, 0, 2), x);
  return madd(y3, v128.shuffle<i64>(q0, q1, 1, 3), x);
}

/** sums[i, j] = Σₚ a[i, p]·b[p, j] for two rows and eight columns; strides in bytes. */
function twiceEightSums(sums: usize, a: usize, b: usize, depth: i32, aRow: usize, bCol: usize): void {
  const twoCols = bCol << 1;
  const threeCols = bCol + twoCols;
  let a1 = a + aRow;
  let b1 = b + (bCol << 2);
  let x00 = f32x4.splat(0),
    x01 = f32x4.splat(0),
    x10 = f32x4.splat(0),
    x11 = f32x4.splat(0);
  const end = a + ((<usize>depth) << 2);
  for (const head = a + ((<usize>depth & 3) << 2); a != head; a += 4) {
    const y0 = v128.load32_splat(a);
    const y1 = v128.load32_splat(a1);
    const u = gather(b, b + bCol, b + twoCols, b + threeCols);
    const v = gather(b1, b1 + bCol, b1 + twoCols, b1 + threeCols);
    x00 = madd(y0, u, x00);
    x01 = madd(y0, v, x01);
    x10 = madd(y1, u, x10);
    x11 = madd(y1, v, x11);
    a1 += 4;
    b += 4;
    b1 += 4;
  }
  for (; a != end; a += 16) {
    const u0 = v128.load(b),
      u1 = v128.load(b + bCol),
      u2 = v128.load(b + twoCols),
      u3 = v128.load(b + threeCols);
    const p0 = v128.shuffle<f32>(u0, u1, 0, 4, 1, 5),
      p1 = v128.shuffle<f32>(u2, u3, 0, 4, 1, 5),
      q0 = v128.shuffle<f32>(u0, u1, 2, 6, 3, 7),
      q1 = v128.shuffle<f32>(u2, u3, 2, 6, 3, 7);
    let t0 = v128.shuffle<i64>(p0, p1, 0, 2),
      t1 = v128.shuffle<i64>(p0, p1, 1, 3),
      t2 = v128.shuffle<i64>(q0, q1, 0, 2),
      t3 = v128.shuffle<i64>(q0, q1, 1, 3);
    x00 = addFourProducts(x00, a, t0, t1, t2, t3);
    x10 = addFourProducts(x10, a1, t0, t1, t2, t3);
    const v0 = v128.load(b1),
      v1 = v128.load(b1 + bCol),
      v2 = v128.load(b1 + twoCols),
      v3 = v128.load(b1 + threeCols);
    const r0 = v128.shuffle<f32>(v0, v1, 0, 4, 1, 5),
      r1 = v128.shuffle<f32>(v2, v3, 0, 4, 1, 5),
      s0 = v128.shuffle<f32>(v0, v1, 2, 6, 3, 7),
      s1 = v128.shuffle<f32>(v2, v3, 2, 6, 3, 7);
    t0 = v128.shuffle<i64>(r0, r1, 0, 2);
    t1 = v128.shuffle<i64>(r0, r1, 1, 3);
    t2 = v128.shuffle<i64>(s0, s1, 0, 2);
    t3 = v128.shuffle<i64>(s0, s1, 1, 3);
    x01 = addFourProducts(x01, a, t0, t1, t2, t3);
    x11 = addFourProducts(x11, a1, t0, t1, t2, t3);
    a1 += 16;
    b += 16;
    b1 += 16;
  }
  v128.store(sums, x00);
  v128.store(sums, x01, 16);
  v128.store(sums, x10, 32);
  v128.store(sums, x11, 48);
}

/** x + Σ a[p]·t[p] over four p */
// @ts-ignore: decorator
@inline
function addFourProducts(x: v128, a: usize, t0: v128, t1: v128, t2: v128, t3: v128): v128 {
  x = madd(v128.load32_splat(a), t0, x);
  x = madd(v128.load32_splat(a, 4), t1, x);
  x = madd(v128.load32_splat(a, 8), t2, x);
  return madd(v128.load32_splat(a, 12), t3, x);
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
