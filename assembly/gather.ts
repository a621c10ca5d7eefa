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

/** y[o, j] = x[o, index[j]], rows of `inner` elements of four bytes; y [outer, k, inner], x [outer, n, inner] */
export function indexSelect(y: usize, x: usize, index: usize, outer: i32, k: i32, n: i32, inner: i32): void {
  for (let o = 0; o < outer; o++) {
    embedding(y, x, index, k, inner);
    y += (<usize>k * inner) << 2;
    x += (<usize>n * inner) << 2;
  }
}

/** dx[o, index[j]] += dy[o, j], as in `indexSelect` */
export function indexSelectGrad(dx: usize, dy: usize, index: usize, outer: i32, k: i32, n: i32, inner: i32): void {
  for (let o = 0; o < outer; o++) {
    embeddingGrad(dx, dy, index, k, inner, -1);
    dx += (<usize>n * inner) << 2;
    dy += (<usize>k * inner) << 2;
  }
}

/** y[o, j, i] = x[o, index[o, j, i], i], elements of four bytes; y and index [outer, k, inner], x [outer, n, inner] */
export function gather(y: usize, x: usize, index: usize, outer: i32, k: i32, n: i32, inner: i32): void {
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < k; j++) {
      for (let i = 0; i < inner; i++) {
        store<u32>(y, load<u32>(x + ((<usize>load<i32>(index) * inner + i) << 2)));
        index += 4;
        y += 4;
      }
    }
    x += (<usize>n * inner) << 2;
  }
}

/** y[o, index[o, j, i], i] += x[o, j, i] in row-major order; x and index [outer, k, inner], y [outer, n, inner] */
export function scatterAdd(y: usize, x: usize, index: usize, outer: i32, k: i32, n: i32, inner: i32): void {
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < k; j++) {
      for (let i = 0; i < inner; i++) {
        const to = y + ((<usize>load<i32>(index) * inner + i) << 2);
        store<f32>(to, load<f32>(to) + load<f32>(x));
        index += 4;
        x += 4;
      }
    }
    y += (<usize>n * inner) << 2;
  }
}

/** y[i, index[i]] = 1 (int32); y [n, classes] holds zeros */
export function oneHot(y: usize, index: usize, n: i32, classes: i32): void {
  for (let i = 0; i < n; i++) {
    store<i32>(y + ((<usize>load<i32>(index)) << 2), 1);
    index += 4;
    y += (<usize>classes) << 2;
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
