/** Sorting of rows. */

/**
 * index[r] = the order (int32) in which row r of x [rows, cols] ascends, or descends; stable, NaN above all numbers.
 * `work` is scratch of 16 · cols bytes.
 *
 * An element becomes one integer, its rank above its column: no two are equal, so plain merging is stable.
 */
export function argsort(index: usize, work: usize, x: usize, rows: i32, cols: i32, descending: i32): void {
  const bytes = (<usize>cols) << 3;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const rank = rankOf(load<f32>(x));
      const key = ((<u64>(descending ? ~rank : rank)) << 32) | <u64>c;
      store<u64>(work + ((<usize>c) << 3), key);
      x += 4;
    }
    const sorted = mergeSort(work, work + bytes, cols);
    for (let c = 0; c < cols; c++) {
      store<i32>(index, <i32>load<u64>(sorted + ((<usize>c) << 3)));
      index += 4;
    }
  }
}

/** An unsigned integer that ascends with the number; the same for 0 and −0, the largest for NaN. */
// @ts-ignore: decorator
@inline
function rankOf(value: f32): u32 {
  if (value != value) return u32.MAX_VALUE;
  const bits = reinterpret<u32>(value + 0); // −0 + 0 is 0
  return bits >> 31 ? ~bits : bits | 0x80000000;
}

/** Sorts n integers at `a` with room for as many at `b`; returns where they are. */
// @ts-ignore: decorator
@inline
function mergeSort(a: usize, b: usize, n: i32): usize {
  for (let width = 1; width < n; width <<= 1) {
    for (let from = 0; from < n; from += width << 1) {
      const middle = min(from + width, n);
      merge(b, a, from, middle, min(middle + width, n));
    }
    const t = a;
    a = b;
    b = t;
  }
  return a;
}

/** y[from, to) = x[from, middle) and x[middle, to), both ascending, as one. */
// @ts-ignore: decorator
@inline
function merge(y: usize, x: usize, from: i32, middle: i32, to: i32): void {
  let left = x + ((<usize>from) << 3);
  const leftEnd = x + ((<usize>middle) << 3);
  let right = leftEnd;
  const rightEnd = x + ((<usize>to) << 3);
  y += (<usize>from) << 3;
  while (left < leftEnd && right < rightEnd) {
    const a = load<u64>(left);
    const b = load<u64>(right);
    store<u64>(y, min(a, b));
    if (a < b) left += 8;
    else right += 8;
    y += 8;
  }
  memory.copy(y, left, leftEnd - left);
  memory.copy(y + (leftEnd - left), right, rightEnd - right);
}
