/** Parts of tensors set to one value. */

/** y = the element at `value` where the byte of `mask` is not 0, else x; elements of four bytes */
export function maskedFill(y: usize, x: usize, mask: usize, n: i32, value: usize): void {
  const filled = v128.load32_splat(value);
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    const bytes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(mask)));
    v128.store(y, v128.bitselect(filled, v128.load(x), i32x4.ne(bytes, i32x4.splat(0))));
    mask += 4;
    x += 16;
    y += 16;
  }
  for (let i = n & ~3; i < n; i++) {
    store<u32>(y, load<u8>(mask) ? load<u32>(value) : load<u32>(x));
    mask += 1;
    x += 4;
    y += 4;
  }
}

/** y[r, c] = x[r, c] where c − r ≤ diagonal, else 0; dense matrices [rows, cols] of elements of `bytes` */
export function tril(y: usize, x: usize, matrices: i32, rows: i32, cols: i32, diagonal: i32, bytes: i32): void {
  const row = <usize>cols * bytes;
  for (let m = 0; m < matrices; m++) {
    for (let r = 0; r < rows; r++) {
      const kept = keptBelow(r, cols, diagonal) * bytes;
      memory.copy(y, x, kept);
      memory.fill(y + kept, 0, row - kept);
      x += row;
      y += row;
    }
  }
}

/** y[r, c] = x[r, c] where c − r ≥ diagonal, else 0; dense matrices [rows, cols] of elements of `bytes` */
export function triu(y: usize, x: usize, matrices: i32, rows: i32, cols: i32, diagonal: i32, bytes: i32): void {
  const row = <usize>cols * bytes;
  for (let m = 0; m < matrices; m++) {
    for (let r = 0; r < rows; r++) {
      const zeros = keptBelow(r, cols, diagonal - 1) * bytes;
      memory.fill(y, 0, zeros);
      memory.copy(y + zeros, x + zeros, row - zeros);
      x += row;
      y += row;
    }
  }
}

/** How many of the first columns of row `r` satisfy c − r ≤ diagonal. */
// @ts-ignore: decorator
@inline
function keptBelow(r: i32, cols: i32, diagonal: i32): usize {
  return max(0, min(cols, r + diagonal + 1));
}
