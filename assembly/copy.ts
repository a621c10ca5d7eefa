/** Copies between strided [rows, cols] views, and constants. Strides in elements. */
import { storeTail } from "./simd";

/** y[r, c] = x[r, c], elements of four bytes */
export function copyStrided(
  y: usize,
  x: usize,
  rows: i32,
  cols: i32,
  yRow: i32,
  yCol: i32,
  xRow: i32,
  xCol: i32,
): void {
  if (yCol == 1 && xCol == 1) copyRows(y, x, rows, (<usize>cols) << 2, (<usize>yRow) << 2, (<usize>xRow) << 2);
  else if (yCol == 1 && xCol == 0) splatRows(y, x, rows, cols, (<usize>yRow) << 2, (<usize>xRow) << 2);
  else if (yCol == 1 && xRow == 1) transpose(y, x, rows, cols, (<usize>yRow) << 2, (<usize>xCol) << 2);
  else if (yRow == 1 && xCol == 1) transpose(y, x, cols, rows, (<usize>yCol) << 2, (<usize>xRow) << 2);
  else
    copyElements<u32>(y, x, rows, cols, (<usize>yRow) << 2, (<usize>yCol) << 2, (<usize>xRow) << 2, (<usize>xCol) << 2);
}

/** y[r, c] = x[r, c], elements of one byte */
export function copyStridedBytes(
  y: usize,
  x: usize,
  rows: i32,
  cols: i32,
  yRow: i32,
  yCol: i32,
  xRow: i32,
  xCol: i32,
): void {
  if (yCol == 1 && xCol == 1) copyRows(y, x, rows, cols, yRow, xRow);
  else copyElements<u8>(y, x, rows, cols, yRow, yCol, xRow, xCol);
}

/** y[i] = value */
export function fill(y: usize, n: i32, value: f32): void {
  splat(y, f32x4.splat(value), n);
}

// @ts-ignore: decorator
@inline
function splat(y: usize, v: v128, n: i32): void {
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, v);
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, v, tail);
}

/** y[r, c] = x[r], `yRow` and `xRow` in bytes. */
// @ts-ignore: decorator
@inline
function splatRows(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize): void {
  for (let r = 0; r < rows; r++) {
    splat(y, v128.load32_splat(x), cols);
    y += yRow;
    x += xRow;
  }
}

/** Rows of `bytes`, `yRow` and `xRow` bytes apart. */
// @ts-ignore: decorator
@inline
function copyRows(y: usize, x: usize, rows: i32, bytes: usize, yRow: usize, xRow: usize): void {
  if (yRow == bytes && xRow == bytes) {
    memory.copy(y, x, bytes * rows);
    return;
  }
  for (let r = 0; r < rows; r++) {
    // memory.copy leaves the module: rows of 64 bytes copy at 30 GB/s with it, at 43 without.
    if (bytes < 256) copyShortRow(y, x, bytes);
    else memory.copy(y, x, bytes);
    y += yRow;
    x += xRow;
  }
}

// @ts-ignore: decorator
@inline
function copyShortRow(y: usize, x: usize, bytes: usize): void {
  const end = y + bytes;
  while (y + 16 <= end) {
    v128.store(y, v128.load(x));
    y += 16;
    x += 16;
  }
  while (y + 4 <= end) {
    store<u32>(y, load<u32>(x));
    y += 4;
    x += 4;
  }
  while (y < end) store<u8>(y++, load<u8>(x++));
}

// @ts-ignore: decorator
@inline
function copyElements<T>(
  y: usize,
  x: usize,
  rows: i32,
  cols: i32,
  yRow: usize,
  yCol: usize,
  xRow: usize,
  xCol: usize,
): void {
  for (let r = 0; r < rows; r++) {
    let to = y;
    let from = x;
    for (let c = 0; c < cols; c++) {
      store<T>(to, load<T>(from));
      to += yCol;
      from += xCol;
    }
    y += yRow;
    x += xRow;
  }
}

/** y[r, c] = x[c, r]: y's rows are `yRow` bytes apart, x's `xRow`, and both have dense columns. */
function transpose(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize): void {
  for (let r = 0; r < rows; r += TILE) {
    const tileRows = min(TILE, rows - r);
    for (let c = 0; c < cols; c += TILE) {
      const tileCols = min(TILE, cols - c);
      const to = y + <usize>r * yRow + ((<usize>c) << 2);
      const from = x + <usize>c * xRow + ((<usize>r) << 2);
      transposeTile(to, from, tileRows, tileCols, yRow, xRow);
    }
  }
}

const TILE: i32 = 16;

// @ts-ignore: decorator
@inline
function transposeTile(y: usize, x: usize, rows: i32, cols: i32, yRow: usize, xRow: usize): void {
  const fullRows = rows & ~3;
  const fullCols = cols & ~3;
  for (let r = 0; r < fullRows; r += 4) {
    let to = y + <usize>r * yRow;
    let from = x + ((<usize>r) << 2);
    for (let c = 0; c < fullCols; c += 4) {
      transpose4(to, from, yRow, xRow);
      to += 16;
      from += xRow << 2;
    }
  }
  if (fullCols < cols)
    copyElements<u32>(
      y + ((<usize>fullCols) << 2),
      x + <usize>fullCols * xRow,
      rows,
      cols - fullCols,
      yRow,
      4,
      4,
      xRow,
    );
  if (fullRows < rows)
    copyElements<u32>(
      y + <usize>fullRows * yRow,
      x + ((<usize>fullRows) << 2),
      rows - fullRows,
      fullCols,
      yRow,
      4,
      4,
      xRow,
    );
}

// @ts-ignore: decorator
@inline
function transpose4(y: usize, x: usize, yRow: usize, xRow: usize): void {
  const a = v128.load(x);
  const b = v128.load(x + xRow);
  const c = v128.load(x + 2 * xRow);
  const d = v128.load(x + 3 * xRow);
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(y, v128.shuffle<i64>(ab, cd, 0, 2));
  v128.store(y + yRow, v128.shuffle<i64>(ab, cd, 1, 3));
  v128.store(y + 2 * yRow, v128.shuffle<i64>(ab2, cd2, 0, 2));
  v128.store(y + 3 * yRow, v128.shuffle<i64>(ab2, cd2, 1, 3));
}
