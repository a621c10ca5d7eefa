/**
 * A convolution as a matrix product: every tap (i, j) of the kernel reads, for all outputs, one row of values of a plane
 * [height, width]. Tap (i, j) of output (r, c) reads (r · strideH + i · dilationH − top, c · strideW + j · dilationW −
 * left), and 0 outside the plane. Images and channels are planes alike.
 */
import { loadTail, storeTail } from "./simd";

/** patches[plane, i, j, r, c] = what tap (i, j) of output (r, c) reads of x [planes, height, width] */
export function im2col(
  patches: usize,
  x: usize,
  planes: i32,
  height: i32,
  width: i32,
  kernelH: i32,
  kernelW: i32,
  outH: i32,
  outW: i32,
  strideH: i32,
  strideW: i32,
  dilationH: i32,
  dilationW: i32,
  top: i32,
  left: i32,
): void {
  const bytes = (<usize>outW) << 2;
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < kernelH; i++) {
      for (let j = 0; j < kernelW; j++) {
        const column = j * dilationW - left;
        const from = firstFrom(0, column, strideW, 0, outW);
        const to = firstFrom(width, column, strideW, from, outW);
        for (let r = 0; r < outH; r++) {
          const row = r * strideH + i * dilationH - top;
          if (row < 0 || row >= height) memory.fill(patches, 0, bytes);
          else readRow(patches, x + ((<usize>(row * width)) << 2), column, strideW, from, to, outW);
          patches += bytes;
        }
      }
    }
    x += (<usize>(height * width)) << 2;
  }
}

/** dx[plane, …] += dpatches[plane, i, j, r, c] at what tap (i, j) of output (r, c) reads: the gradient of `im2col` */
export function col2im(
  dx: usize,
  dpatches: usize,
  planes: i32,
  height: i32,
  width: i32,
  kernelH: i32,
  kernelW: i32,
  outH: i32,
  outW: i32,
  strideH: i32,
  strideW: i32,
  dilationH: i32,
  dilationW: i32,
  top: i32,
  left: i32,
): void {
  const bytes = (<usize>outW) << 2;
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < kernelH; i++) {
      for (let j = 0; j < kernelW; j++) {
        const column = j * dilationW - left;
        const from = firstFrom(0, column, strideW, 0, outW);
        const to = firstFrom(width, column, strideW, from, outW);
        for (let r = 0; r < outH; r++) {
          const row = r * strideH + i * dilationH - top;
          if (row >= 0 && row < height) addRow(dx + ((<usize>(row * width)) << 2), dpatches, column, strideW, from, to);
          dpatches += bytes;
        }
      }
    }
    dx += (<usize>(height * width)) << 2;
  }
}

/** The first output c, from `least` to `most`, whose column `start` + c · stride is `edge` or more. */
// @ts-ignore: decorator
@inline
function firstFrom(edge: i32, start: i32, stride: i32, least: i32, most: i32): i32 {
  return start >= edge ? least : max(least, min(most, (edge - start + stride - 1) / stride));
}

/** y[c] = x[column + c · stride] for c from `from` to `to` − 1, 0 for the other c below `n` */
// @ts-ignore: decorator
@inline
function readRow(y: usize, x: usize, column: i32, stride: i32, from: i32, to: i32, n: i32): void {
  for (let c = 0; c < from; c++) store<f32>(y + ((<usize>c) << 2), 0);
  let source = x + ((<usize>(column + from * stride)) << 2);
  let target = y + ((<usize>from) << 2);
  let left = to - from;
  if (stride == 1) {
    for (; left >= 4; left -= 4) {
      v128.store(target, v128.load(source));
      source += 16;
      target += 16;
    }
    if (left) storeTail(target, loadTail(source, left), left);
  } else {
    for (; left > 0; left--) {
      store<f32>(target, load<f32>(source));
      source += (<usize>stride) << 2;
      target += 4;
    }
  }
  for (let c = to; c < n; c++) store<f32>(y + ((<usize>c) << 2), 0);
}

/** y[column + c · stride] += x[c] for c from `from` to `to` − 1 */
// @ts-ignore: decorator
@inline
function addRow(y: usize, x: usize, column: i32, stride: i32, from: i32, to: i32): void {
  let target = y + ((<usize>(column + from * stride)) << 2);
  let source = x + ((<usize>from) << 2);
  let left = to - from;
  if (stride == 1) {
    for (; left >= 4; left -= 4) {
      v128.store(target, f32x4.add(v128.load(target), v128.load(source)));
      source += 16;
      target += 16;
    }
    if (left) storeTail(target, f32x4.add(loadTail(target, left), loadTail(source, left)), left);
  } else {
    for (; left > 0; left--) {
      store<f32>(target, load<f32>(target) + load<f32>(source));
      source += 4;
      target += (<usize>stride) << 2;
    }
  }
}
