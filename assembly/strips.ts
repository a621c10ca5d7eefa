/** Rows of A side by side, as the large tile with FMA takes them. */

/** Rows of a strip: those of the tile. */
const ROWS: i32 = 6;
/** Strips of six rows, one after the other, each column by column; strides in bytes. The last strip may lack rows. */
export function packStrips(y: usize, a: usize, m: i32, depth: i32, aRow: usize, aCol: usize): void {
  const strip = (<usize>(depth * ROWS)) << 2;
  while (m >= ROWS) {
    const strips = aRow == 4 ? min(m / ROWS, STRIPS) : 1;
    if (aRow == 4) packColumns(y, a, strips, depth, aCol);
    else packRows(y, a, ROWS, depth, aRow, aCol);
    m -= strips * ROWS;
    a += <usize>(strips * ROWS) * aRow;
    y += <usize>strips * strip;
  }
  packRows(y, a, m, depth, aRow, aCol);
}

/** Strips filled at a time from contiguous columns: each line of a column is read once, few lines are written at once. */
const STRIPS: i32 = 8;

/** Strips from contiguous columns. */
function packColumns(y: usize, a: usize, strips: i32, depth: i32, aCol: usize): void {
  const strip = (<usize>(depth * ROWS)) << 2;
  for (; depth; --depth) {
    let to = y;
    let from = a;
    for (let i = strips; i; --i) {
      v128.store(to, v128.load(from));
      store<u64>(to, load<u64>(from, 16), 16);
      from += ROWS << 2;
      to += strip;
    }
    a += aCol;
    y += ROWS << 2;
  }
}

/** A strip of `m` rows, up to six. */
function packRows(y: usize, a: usize, m: i32, depth: i32, aRow: usize, aCol: usize): void {
  if (aCol == 4 && m == ROWS) {
    for (; depth >= 4; depth -= 4) {
      packFour(y, a, aRow);
      y += ROWS << 4;
      a += 16;
    }
  }
  for (; depth; --depth) {
    for (let r: usize = 0; r < <usize>m; ++r) store<u32>(y + (r << 2), load<u32>(a + r * aRow));
    y += ROWS << 2;
    a += aCol;
  }
}

/** Four columns of six contiguous rows, transposed in registers. */
// @ts-ignore: decorator
@inline
function packFour(y: usize, a: usize, aRow: usize): void {
  const x0 = v128.load(a);
  const x1 = v128.load(a + aRow);
  const p0 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
  const p1 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
  const x2 = v128.load(a + 2 * aRow);
  const x3 = v128.load(a + 3 * aRow);
  const q0 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
  const q1 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
  const x4 = v128.load(a + 4 * aRow);
  const x5 = v128.load(a + 5 * aRow);
  const r0 = v128.shuffle<f32>(x4, x5, 0, 4, 1, 5);
  const r1 = v128.shuffle<f32>(x4, x5, 2, 6, 3, 7);
  v128.store(y, v128.shuffle<i64>(p0, q0, 0, 2));
  v128.store64_lane(y, r0, 0, 16);
  v128.store(y, v128.shuffle<i64>(p0, q0, 1, 3), 24);
  v128.store64_lane(y, r0, 1, 40);
  v128.store(y, v128.shuffle<i64>(p1, q1, 0, 2), 48);
  v128.store64_lane(y, r1, 0, 64);
  v128.store(y, v128.shuffle<i64>(p1, q1, 1, 3), 72);
  v128.store64_lane(y, r1, 1, 88);
}
