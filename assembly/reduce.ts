/**
 * Reductions of x [outer, n, inner] over its middle extent to y [outer, inner]. Rows of x are `xRow` elements apart and
 * outer parts `xOuter`; inner elements are dense. The order of additions depends on n alone.
 */
import { narrow, widenHigh, widenLow } from "./math64";
import { loadFirst, loadTail, storeTail } from "./simd";

/** Floats added up in float32 before their sum goes on in float64: no lane adds more than 32. */
const BLOCK: i32 = 512;

/** Columns reduced together: their float64 sums, 8 KiB at `work`, stay in the first-level cache. */
const PANEL: i32 = 1024;

/** y = Σ x / divisor; `work` is scratch of 8 KiB */
export function sum(
  y: usize,
  work: usize,
  x: usize,
  outer: i32,
  n: i32,
  inner: i32,
  xOuter: i32,
  xRow: i32,
  divisor: f64,
): void {
  for (let o = 0; o < outer; o++) {
    if (inner == 1 && xRow == 1) store<f32>(y, <f32>(sumRow(x, n) / divisor));
    else sumColumns(y, work, x, n, inner, (<usize>xRow) << 2, divisor);
    x += (<usize>xOuter) << 2;
    y += (<usize>inner) << 2;
  }
}

/** y = Π x, multiplied in float64 */
export function prod(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  const row = (<usize>xRow) << 2;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      store<f32>(y, <f32>product(x + ((<usize>i) << 2), n, row));
      y += 4;
    }
    x += (<usize>xOuter) << 2;
  }
}

/** dx[r, c] = dy[r] · the product of the other elements of row r; x and dx [rows, n] dense */
export function prodGrad(dx: usize, dy: usize, x: usize, rows: i32, n: i32): void {
  for (let r = 0; r < rows; r++) {
    const g = <f64>load<f32>(dy + ((<usize>r) << 2));
    const zero = firstZero(x, n);
    if (zero < 0) quotientsOf(dx, g * product(x, n, 4), x, n);
    else {
      const at = (<usize>zero) << 2;
      memory.fill(dx, 0, (<usize>n) << 2);
      store<f32>(dx + at, <f32>(g * product(x, zero, 4) * product(x + at + 4, n - zero - 1, 4)));
    }
    dx += (<usize>n) << 2;
    x += (<usize>n) << 2;
  }
}

// @ts-ignore: decorator
@inline
function product(x: usize, n: i32, row: usize): f64 {
  let total: f64 = 1;
  for (let i = 0; i < n; i++) {
    total *= <f64>load<f32>(x);
    x += row;
  }
  return total;
}

/** y = total / x */
// @ts-ignore: decorator
@inline
function quotientsOf(y: usize, total: f64, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    store<f32>(y, <f32>(total / <f64>load<f32>(x)));
    x += 4;
    y += 4;
  }
}

// @ts-ignore: decorator
@inline
function firstZero(x: usize, n: i32): i32 {
  for (let i = 0; i < n; i++) {
    if (load<f32>(x) == 0) return i;
    x += 4;
  }
  return -1;
}

/** y = Σ x of int32, modulo 2³² */
export function sumInt32(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      let total = 0;
      let from = x + ((<usize>j) << 2);
      for (let i = 0; i < n; i++) {
        total += load<i32>(from);
        from += (<usize>xRow) << 2;
      }
      store<i32>(y, total);
      y += 4;
    }
    x += (<usize>xOuter) << 2;
  }
}

/** parts[b] = Σ of the b-th 512 numbers of x, in float64: `sumParts` makes of them what `sum` makes of x. */
export function sumBlocks(parts: usize, x: usize, n: i32): void {
  for (; n > 0; n -= BLOCK) {
    store<f64>(parts, sumBlock(x, min(BLOCK, n)));
    parts += 8;
    x += BLOCK << 2;
  }
}

/** parts[b] = Σ of the squares of the b-th 512 numbers of x, in float64 */
export function sumBlocksOfSquares(parts: usize, x: usize, n: i32): void {
  for (; n > 0; n -= BLOCK) {
    store<f64>(parts, sumSquares(x, min(BLOCK, n)));
    parts += 8;
    x += BLOCK << 2;
  }
}

/** Σ parts, float64, in their order */
export function sumParts(parts: usize, count: i32): f64 {
  let total: f64 = 0;
  for (; count > 0; count--) {
    total += load<f64>(parts);
    parts += 8;
  }
  return total;
}

// @ts-ignore: decorator
@inline
function sumSquares(x: usize, n: i32): f64 {
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  const end = x + ((<usize>n & ~3) << 2);
  while (x < end) {
    const low = f64x2.promote_low_f32x4(v128.load64_zero(x));
    const high = f64x2.promote_low_f32x4(v128.load64_zero(x, 8));
    a = f64x2.add(a, f64x2.mul(low, low));
    b = f64x2.add(b, f64x2.mul(high, high));
    x += 16;
  }
  let total = sumLanes64(f64x2.add(a, b));
  for (let i = n & ~3; i < n; i++) {
    const v = <f64>load<f32>(x);
    total += v * v;
    x += 4;
  }
  return total;
}

// @ts-ignore: decorator
@inline
function sumLanes64(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

function sumRow(x: usize, n: i32): f64 {
  let total: f64 = 0;
  for (let i = 0; i < n; i += BLOCK) {
    total += sumBlock(x, min(BLOCK, n - i));
    x += BLOCK << 2;
  }
  return total;
}

// @ts-ignore: decorator
@inline
function sumBlock(x: usize, n: i32): f64 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  const end16 = x + ((<usize>n & ~15) << 2);
  while (x < end16) {
    a = f32x4.add(a, v128.load(x));
    b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32));
    d = f32x4.add(d, v128.load(x, 48));
    x += 64;
  }
  const end4 = x + ((<usize>n & 12) << 2);
  while (x < end4) {
    a = f32x4.add(a, v128.load(x));
    x += 16;
  }
  const tail = <usize>n & 3;
  if (tail) b = f32x4.add(b, loadTail(x, tail));
  const all = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  return sumLanes64(f64x2.add(widenLow(all), widenHigh(all)));
}

function sumColumns(y: usize, work: usize, x: usize, n: i32, inner: i32, row: usize, divisor: f64): void {
  for (let j = 0; j < inner; j += PANEL) {
    const columns = min(PANEL, inner - j);
    memory.fill(work, 0, (<usize>((columns + 3) & ~3)) << 3);
    let rows = x;
    for (let i = 0; i < n >> 3; i++) {
      addEightRows(work, rows, row, columns);
      rows += row << 3;
    }
    for (let i = n & ~7; i < n; i++) {
      addRow(work, rows, columns);
      rows += row;
    }
    divideColumns(y, work, columns, divisor);
    x += PANEL << 2;
    y += PANEL << 2;
  }
}

/** work[0…3] += v, in float64. */
// @ts-ignore: decorator
@inline
function addTo(work: usize, v: v128): void {
  v128.store(work, f64x2.add(v128.load(work), widenLow(v)));
  v128.store(work, f64x2.add(v128.load(work, 16), widenHigh(v)), 16);
}

// @ts-ignore: decorator
@inline
function eightRows(x: usize, row: usize, n: usize): v128 {
  const x4 = x + (row << 2);
  const ab = f32x4.add(loadFirst(x, n), loadFirst(x + row, n));
  const cd = f32x4.add(loadFirst(x + 2 * row, n), loadFirst(x + 3 * row, n));
  const ef = f32x4.add(loadFirst(x4, n), loadFirst(x4 + row, n));
  const gh = f32x4.add(loadFirst(x4 + 2 * row, n), loadFirst(x4 + 3 * row, n));
  return f32x4.add(f32x4.add(ab, cd), f32x4.add(ef, gh));
}

// @ts-ignore: decorator
@inline
function addEightRows(work: usize, x: usize, row: usize, columns: i32): void {
  const end = x + ((<usize>columns & ~3) << 2);
  while (x < end) {
    addTo(work, eightRows(x, row, 0));
    x += 16;
    work += 32;
  }
  const tail = <usize>columns & 3;
  if (tail) addTo(work, eightRows(x, row, tail));
}

// @ts-ignore: decorator
@inline
function addRow(work: usize, x: usize, columns: i32): void {
  const end = x + ((<usize>columns & ~3) << 2);
  while (x < end) {
    addTo(work, v128.load(x));
    x += 16;
    work += 32;
  }
  const tail = <usize>columns & 3;
  if (tail) addTo(work, loadTail(x, tail));
}

// @ts-ignore: decorator
@inline
function divideColumns(y: usize, work: usize, columns: i32, divisor: f64): void {
  const d = f64x2.splat(divisor);
  const end = y + ((<usize>columns & ~3) << 2);
  while (y < end) {
    v128.store(y, quotients(work, d));
    y += 16;
    work += 32;
  }
  const tail = <usize>columns & 3;
  if (tail) storeTail(y, quotients(work, d), tail);
}

// @ts-ignore: decorator
@inline
function quotients(work: usize, divisor: v128): v128 {
  return narrow(f64x2.div(v128.load(work), divisor), f64x2.div(v128.load(work, 16), divisor));
}

// f32x4.max is seven instructions in V8, and each waits for the one before; pmax is one. All ones is a NaN.
@final
class Max {
  @inline
  apply(best: v128, x: v128): v128 {
    return v128.or(f32x4.pmax(best, x), f32x4.ne(x, x));
  }
  /** Lanes where `x` takes the place of `best`: it is greater, or the first NaN. */
  @inline
  beats(x: v128, best: v128): v128 {
    return v128.andnot(f32x4.eq(best, best), f32x4.le(x, best));
  }
}

@final
class Min {
  @inline
  apply(best: v128, x: v128): v128 {
    return v128.or(f32x4.pmin(best, x), f32x4.ne(x, x));
  }
  /** Lanes where `x` takes the place of `best`: it is less, or the first NaN. */
  @inline
  beats(x: v128, best: v128): v128 {
    return v128.andnot(f32x4.eq(best, best), f32x4.ge(x, best));
  }
}

/** y = max x, NaN where one is; n ≥ 1 */
export function amax(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  extrema<Max>(y, x, outer, n, inner, xOuter, xRow);
}

/** y = min x, NaN where one is; n ≥ 1 */
export function amin(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  extrema<Min>(y, x, outer, n, inner, xOuter, xRow);
}

/** y = the first index (int32) of max x, of NaN where there is one; n ≥ 1 */
export function argmax(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  extremaIndices<Max>(y, x, outer, n, inner, xOuter, xRow);
}

/** y = the first index (int32) of min x, of NaN where there is one; n ≥ 1 */
export function argmin(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  extremaIndices<Min>(y, x, outer, n, inner, xOuter, xRow);
}

// @ts-ignore: decorator
@inline
function extrema<Op>(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  for (let o = 0; o < outer; o++) {
    if (inner == 1 && xRow == 1) store<f32>(y, rowExtremum<Op>(x, n));
    else columnExtrema<Op>(y, x, n, inner, (<usize>xRow) << 2);
    x += (<usize>xOuter) << 2;
    y += (<usize>inner) << 2;
  }
}

// @ts-ignore: decorator
@inline
function extremaIndices<Op>(y: usize, x: usize, outer: i32, n: i32, inner: i32, xOuter: i32, xRow: i32): void {
  for (let o = 0; o < outer; o++) {
    if (inner == 1 && xRow == 1) store<i32>(y, firstIndex(x, n, rowExtremum<Op>(x, n)));
    else columnIndices<Op>(y, x, n, inner, (<usize>xRow) << 2);
    x += (<usize>xOuter) << 2;
    y += (<usize>inner) << 2;
  }
}

function rowExtremum<Op>(x: usize, n: i32): f32 {
  const op = changetype<Op>(0);
  let a = v128.load32_splat(x);
  if (n < 4) {
    // @ts-ignore: Op is Max or Min
    for (let i = 1; i < n; i++) a = op.apply(a, v128.load32_splat(x + ((<usize>i) << 2)));
    return f32x4.extract_lane(a, 0);
  }
  // Reading an element twice changes nothing: the last vector overlaps the one before where n is no multiple of 4.
  const last = x + ((<usize>(n - 4)) << 2);
  a = v128.load(last);
  let b = a;
  let c = a;
  let d = a;
  while (x + 48 < last) {
    // @ts-ignore: as above
    a = op.apply(a, v128.load(x));
    // @ts-ignore: as above
    b = op.apply(b, v128.load(x, 16));
    // @ts-ignore: as above
    c = op.apply(c, v128.load(x, 32));
    // @ts-ignore: as above
    d = op.apply(d, v128.load(x, 48));
    x += 64;
  }
  while (x < last) {
    // @ts-ignore: as above
    a = op.apply(a, v128.load(x));
    x += 16;
  }
  // @ts-ignore: as above
  a = op.apply(op.apply(a, b), op.apply(c, d));
  // @ts-ignore: as above
  a = op.apply(a, v128.shuffle<f32>(a, a, 2, 3, 2, 3));
  // @ts-ignore: as above
  return f32x4.extract_lane(op.apply(a, v128.shuffle<f32>(a, a, 1, 1, 1, 1)), 0);
}

/** The first index of `value`, or of NaN where it is NaN. */
function firstIndex(x: usize, n: i32, value: f32): i32 {
  const wanted = f32x4.splat(value);
  const isNaN = f32x4.ne(wanted, wanted);
  for (let i = 0; i < n; i += 4) {
    const v = i + 4 <= n ? v128.load(x) : loadTail(x, <usize>n & 3);
    const hits = i32x4.bitmask(v128.or(f32x4.eq(v, wanted), v128.and(isNaN, f32x4.ne(v, v))));
    if (hits) return i + ctz(hits);
    x += 16;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function columnExtrema<Op>(y: usize, x: usize, n: i32, inner: i32, row: usize): void {
  memory.copy(y, x, (<usize>inner) << 2);
  // Reading a row twice changes nothing: past the end the last one stands in.
  for (let i = 1; i < n; i += 4) {
    const a = x + row * i;
    const b = x + row * min(i + 1, n - 1);
    const c = x + row * min(i + 2, n - 1);
    const d = x + row * min(i + 3, n - 1);
    const full = (<usize>inner & ~3) << 2;
    for (let j: usize = 0; j < full; j += 16) v128.store(y + j, fiveRows<Op>(y + j, a + j, b + j, c + j, d + j, 0));
    const tail = <usize>inner & 3;
    if (tail) storeTail(y + full, fiveRows<Op>(y + full, a + full, b + full, c + full, d + full, tail), tail);
  }
}

// @ts-ignore: decorator
@inline
function fiveRows<Op>(y: usize, a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
  const op = changetype<Op>(0);
  // @ts-ignore: Op is Max or Min
  const ab = op.apply(loadFirst(a, n), loadFirst(b, n));
  // @ts-ignore: as above
  const cd = op.apply(loadFirst(c, n), loadFirst(d, n));
  // @ts-ignore: as above
  return op.apply(loadFirst(y, n), op.apply(ab, cd));
}

// @ts-ignore: decorator
@inline
function columnIndices<Op>(y: usize, x: usize, n: i32, inner: i32, row: usize): void {
  for (let j = 0; j < inner >> 2; j++) {
    v128.store(y, indicesOfFour<Op>(x, n, row, 0));
    x += 16;
    y += 16;
  }
  const tail = <usize>inner & 3;
  if (tail) storeTail(y, indicesOfFour<Op>(x, n, row, tail), tail);
}

// @ts-ignore: decorator
@inline
function indicesOfFour<Op>(x: usize, n: i32, row: usize, columns: usize): v128 {
  const op = changetype<Op>(0);
  let best = loadFirst(x, columns);
  let index = i32x4.splat(0);
  for (let i = 1; i < n; i++) {
    x += row;
    const v = loadFirst(x, columns);
    // @ts-ignore: Op is Max or Min
    const better = op.beats(v, best);
    best = v128.bitselect(v, best, better);
    index = v128.bitselect(i32x4.splat(i), index, better);
  }
  return index;
}
