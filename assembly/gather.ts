/** Rows picked by int32 indices. */
import { loadTail, storeTail } from "./simd";

/** y[i] = weight[ids[i]], rows of `dim` floats */
export function embedding(y: usize, weight: usize, ids: usize, n: i32, dim: i32): void {
  const bytes = (<usize>dim) << 2;
  for (let i = 0; i < n; i++) {
    copyRow(y, weight + <usize>load<i32>(ids) * bytes, dim);
    ids += 4;
    y += bytes;
  }
}

/** dw[ids[i]] += dy[i] for i = 0, 1, …, except where ids[i] is `paddingIdx` (negative: none is) */
export function embeddingGrad(dw: usize, dy: usize, ids: usize, n: i32, dim: i32, paddingIdx: i32): void {
  const bytes = (<usize>dim) << 2;
  for (let i = 0; i < n; i++) {
    const id = load<i32>(ids);
    if (id != paddingIdx) addRow(dw + <usize>id * bytes, dy, dim);
    ids += 4;
    dy += bytes;
  }
}

/** The first position whose index is not from 0 to `limit` − 1, or −1 */
export function firstOutOfRange(ids: usize, n: i32, limit: i32): i32 {
  for (let i = 0; i < n; i++) {
    if (load<u32>(ids) >= <u32>limit) return i;
    ids += 4;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function copyRow(y: usize, x: usize, n: i32): void {
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, v128.load(x));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, loadTail(x, tail), tail);
}

// @ts-ignore: decorator
@inline
function addRow(y: usize, x: usize, n: i32): void {
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, f32x4.add(loadTail(y, tail), loadTail(x, tail)), tail);
}
