/**
 * C = (keep ? C : 0) + bias + α·a·B for one row a and a B that lies in codes by dense columns: eight of them at a time,
 * transposed as bytes. Memory is the limit, and codes are less of it; so each value is made in registers, of the bits
 * that `dequantize` gives, and used once. Each element is the sequence of operations that matmul.ts describes.
 */
import { addRows } from "./matvec";
import { INT4, INT8, NF4, nestedScale } from "./quant";
import { BYTE_UNIT, bookOf, Codes } from "./quantDecode";
import { highBytes, highWords, lookup, lowBytes, lowWords, madd } from "./simd";

/** Columns at a time, and rows of B that are read at once: rows of codes must consist of whole such pieces. */
const EIGHT: i32 = 8;

/** Whether `rowByCodes` can read B: columns of whole blocks, blocks of whole pieces. */
export function suitsRowByCodes(q: Codes, k: i32, n: i32): bool {
  return n >= EIGHT && q.block % EIGHT == 0 && k % q.block == 0;
}

/** `sums` has room for 8 sums, scales and zero points and, behind them, 8 × 8 values. */
export function rowByCodes(
  c: usize,
  a: usize,
  q: Codes,
  bias: usize,
  sums: usize,
  k: i32,
  n: i32,
  kc: i32,
  alpha: f32,
  keep: bool,
): void {
  if (bias) {
    addRows(c, bias, 1, n, 0, 0, 1, keep);
    keep = true;
  }
  for (let j = 0; j < n; j += EIGHT) {
    // The last eight overlap those before: their sums are made again, but not added.
    const first = min(j, n - EIGHT);
    for (let p = 0; p < k; p += kc) {
      eightSums(sums, a, q, first * k, k, p, min(p + kc, k));
      addRows(
        c + ((<usize>j) << 2),
        sums + ((<usize>(j - first)) << 2),
        1,
        EIGHT - j + first,
        0,
        0,
        alpha,
        keep || p > 0,
      );
    }
  }
}

/** sums[j] = Σ a[p]·B[p, j] for p from `from` to `to`; column j begins at code `start` + j·k. */
function eightSums(sums: usize, a: usize, q: Codes, start: i32, k: i32, from: i32, to: i32): void {
  v128.store(sums, f32x4.splat(0));
  v128.store(sums, f32x4.splat(0), 16);
  // Pieces begin at multiples of 8, blocks of k at multiples of 4.
  const head = min((from + EIGHT - 1) & -EIGHT, to);
  if (from < head) fewRows(sums, a, q, start, k, from, head);
  let p = head;
  for (const last = to & -EIGHT; p < last; ) {
    const end = min(last, p + q.block - (p % q.block));
    scalesOf(sums, q, (start + p) / q.block, k / q.block);
    const at = a + ((<usize>p) << 2);
    if (q.scheme == INT8) addBytes(sums, at, q.codes + start + p, k, end - p);
    else addNibbles(sums, at, q.codes + ((start + p) >> 1), k >> 1, end - p, bookOf(q.scheme));
    p = end;
  }
  if (p < to) fewRows(sums, a, q, start, k, p, to);
}

/** Writes the scales and zero points of eight columns, `blocks` apart, where the first is in block `b`. */
function scalesOf(sums: usize, q: Codes, b: i32, blocks: i32): void {
  for (const end = sums + 32; sums < end; sums += 4) {
    const scale = q.scheme == NF4 ? nestedScale(q.scales, q.extra, b) : load<f32>(q.scales + ((<usize>b) << 2));
    store<f32>(sums, scale, 32);
    store<f32>(sums, q.scheme == INT4 ? <f32>load<u8>(q.extra + b) : 0, 64);
    b += blocks;
  }
}

/** sums += a·B for at most seven rows of B. */
function fewRows(sums: usize, a: usize, q: Codes, start: i32, k: i32, from: i32, to: i32): void {
  const values = sums + 96;
  for (let j = 0; j < EIGHT; ++j) q.decode(values + ((<usize>j) << 5), start + j * k + from, to - from);
  for (let p = from; p < to; ++p) {
    const y = load<f32>(a + ((<usize>p) << 2));
    for (let j: usize = 0; j < 8; ++j) {
      const w = load<f32>(values + (j << 5) + ((<usize>(p - from)) << 2));
      v128.store32_lane(
        sums + (j << 2),
        madd(f32x4.splat(y), f32x4.splat(w), f32x4.splat(load<f32>(sums + (j << 2)))),
        0,
      );
    }
  }
}

/** sums += a·B for `depth` (a multiple of 8) rows of B; columns of codes are `column` bytes apart. */
function addBytes(sums: usize, a: usize, codes: usize, column: usize, depth: i32): void {
  let x0 = v128.load(sums);
  let x1 = v128.load(sums, 16);
  const s0 = f32x4.mul(v128.load(sums, 32), f32x4.splat(BYTE_UNIT));
  const s1 = f32x4.mul(v128.load(sums, 48), f32x4.splat(BYTE_UNIT));
  const zero = i32x4.splat(0);
  for (const end = codes + <usize>depth; codes < end; codes += 8) {
    const more = codes + 4 * column;
    const low0 = lowBytes(v128.load64_zero(codes), v128.load64_zero(codes + column));
    const high0 = lowBytes(v128.load64_zero(codes + 2 * column), v128.load64_zero(codes + 3 * column));
    const low1 = lowBytes(v128.load64_zero(more), v128.load64_zero(more + column));
    const high1 = lowBytes(v128.load64_zero(more + 2 * column), v128.load64_zero(more + 3 * column));
    let t0 = lowWords(low0, high0);
    let t1 = lowWords(low1, high1);
    let w0 = lowBytes(zero, t0);
    let w1 = lowBytes(zero, t1);
    let y = v128.load32_splat(a);
    x0 = madd(y, value(lowWords(zero, w0), s0), x0);
    x1 = madd(y, value(lowWords(zero, w1), s1), x1);
    y = v128.load32_splat(a, 4);
    x0 = madd(y, value(highWords(zero, w0), s0), x0);
    x1 = madd(y, value(highWords(zero, w1), s1), x1);
    w0 = highBytes(zero, t0);
    w1 = highBytes(zero, t1);
    y = v128.load32_splat(a, 8);
    x0 = madd(y, value(lowWords(zero, w0), s0), x0);
    x1 = madd(y, value(lowWords(zero, w1), s1), x1);
    y = v128.load32_splat(a, 12);
    x0 = madd(y, value(highWords(zero, w0), s0), x0);
    x1 = madd(y, value(highWords(zero, w1), s1), x1);
    t0 = highWords(low0, high0);
    t1 = highWords(low1, high1);
    w0 = lowBytes(zero, t0);
    w1 = lowBytes(zero, t1);
    y = v128.load32_splat(a, 16);
    x0 = madd(y, value(lowWords(zero, w0), s0), x0);
    x1 = madd(y, value(lowWords(zero, w1), s1), x1);
    y = v128.load32_splat(a, 20);
    x0 = madd(y, value(highWords(zero, w0), s0), x0);
    x1 = madd(y, value(highWords(zero, w1), s1), x1);
    w0 = highBytes(zero, t0);
    w1 = highBytes(zero, t1);
    y = v128.load32_splat(a, 24);
    x0 = madd(y, value(lowWords(zero, w0), s0), x0);
    x1 = madd(y, value(lowWords(zero, w1), s1), x1);
    y = v128.load32_splat(a, 28);
    x0 = madd(y, value(highWords(zero, w0), s0), x0);
    x1 = madd(y, value(highWords(zero, w1), s1), x1);
    a += 32;
  }
  v128.store(sums, x0);
  v128.store(sums, x1, 16);
}

// @ts-ignore: decorator
@inline
function value(bytes: v128, unit: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(bytes), unit);
}

// @ts-ignore: decorator
@inline
function addOne(x: v128, a: usize, values: v128, scales: v128): v128 {
  return madd(v128.load32_splat(a), f32x4.mul(values, scales), x);
}

/** The same as `addBytes` for codes of 4 bits. */
function addNibbles(sums: usize, a: usize, codes: usize, column: usize, depth: i32, book: usize): void {
  let x0 = v128.load(sums);
  let x1 = v128.load(sums, 16);
  const s0 = v128.load(sums, 32);
  const s1 = v128.load(sums, 48);
  const z0 = v128.load(sums, 64);
  const z1 = v128.load(sums, 80);
  for (const end = codes + (<usize>depth >> 1); codes < end; codes += 4) {
    x0 = addEightNibbles(x0, a, codes, column, s0, z0, book);
    x1 = addEightNibbles(x1, a, codes + 4 * column, column, s1, z1, book);
    a += 32;
  }
  v128.store(sums, x0);
  v128.store(sums, x1, 16);
}

// @ts-ignore: decorator
@inline
function addEightNibbles(x: v128, a: usize, codes: usize, column: usize, scales: v128, zeros: v128, book: usize): v128 {
  const b0 = v128.load32_zero(codes);
  const b1 = v128.load32_zero(codes + column);
  const b2 = v128.load32_zero(codes + 2 * column);
  const b3 = v128.load32_zero(codes + 3 * column);
  const bytes = lowWords(lowBytes(b0, b1), lowBytes(b2, b3));
  const even = v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
  const odd = v128.and(bytes, i8x16.splat(15));
  const p0 = v128.load(book);
  const p1 = v128.load(book, 16);
  const p2 = v128.load(book, 32);
  const p3 = v128.load(book, 48);
  const e0 = lookup(p0, even);
  const e1 = lookup(p1, even);
  const e2 = lookup(p2, even);
  const e3 = lookup(p3, even);
  const o0 = lookup(p0, odd);
  const o1 = lookup(p1, odd);
  const o2 = lookup(p2, odd);
  const o3 = lookup(p3, odd);
  let l = lowBytes(e0, e1);
  let h = lowBytes(e2, e3);
  let m = lowBytes(o0, o1);
  let k = lowBytes(o2, o3);
  x = addOne(x, a, f32x4.sub(lowWords(l, h), zeros), scales);
  x = addOne(x, a + 4, f32x4.sub(lowWords(m, k), zeros), scales);
  x = addOne(x, a + 8, f32x4.sub(highWords(l, h), zeros), scales);
  x = addOne(x, a + 12, f32x4.sub(highWords(m, k), zeros), scales);
  l = highBytes(e0, e1);
  h = highBytes(e2, e3);
  m = highBytes(o0, o1);
  k = highBytes(o2, o3);
  x = addOne(x, a + 16, f32x4.sub(lowWords(l, h), zeros), scales);
  x = addOne(x, a + 20, f32x4.sub(lowWords(m, k), zeros), scales);
  x = addOne(x, a + 24, f32x4.sub(highWords(l, h), zeros), scales);
  return addOne(x, a + 28, f32x4.sub(highWords(m, k), zeros), scales);
}
