/**
 * Windows of planes [planes, height, width]. Which rows and which columns an output sees are two tables of int32 triples
 * [start, end, count]: `end` is excluded, and the counts' product divides an average.
 */

/** y = Σ x over the window / count */
export function averagePool(
  y: usize,
  x: usize,
  rowWindows: usize,
  colWindows: usize,
  planes: i32,
  height: i32,
  width: i32,
  outH: i32,
  outW: i32,
): void {
  for (let plane = 0; plane < planes; plane++) {
    for (let r = 0; r < outH; r++) {
      const rows = window(rowWindows, r);
      for (let c = 0; c < outW; c++) {
        const cols = window(colWindows, c);
        let sum: f64 = 0;
        for (let i = start(rows), rowEnd = end(rows); i < rowEnd; i++) {
          const row = x + ((<usize>(i * width)) << 2);
          for (let j = start(cols), colEnd = end(cols); j < colEnd; j++) sum += load<f32>(row + ((<usize>j) << 2));
        }
        store<f32>(y, <f32>(sum / <f64>(count(rows) * count(cols))));
        y += 4;
      }
    }
    x += (<usize>(height * width)) << 2;
  }
}

/** dx += dy / count at every element of the window */
export function averagePoolGrad(
  dx: usize,
  dy: usize,
  rowWindows: usize,
  colWindows: usize,
  planes: i32,
  height: i32,
  width: i32,
  outH: i32,
  outW: i32,
): void {
  for (let plane = 0; plane < planes; plane++) {
    for (let r = 0; r < outH; r++) {
      const rows = window(rowWindows, r);
      for (let c = 0; c < outW; c++) {
        const cols = window(colWindows, c);
        const share: f32 = load<f32>(dy) / <f32>(count(rows) * count(cols));
        for (let i = start(rows), rowEnd = end(rows); i < rowEnd; i++) {
          const row = dx + ((<usize>(i * width)) << 2);
          for (let j = start(cols), colEnd = end(cols); j < colEnd; j++) {
            const at = row + ((<usize>j) << 2);
            store<f32>(at, load<f32>(at) + share);
          }
        }
        dy += 4;
      }
    }
    dx += (<usize>(height * width)) << 2;
  }
}

/** y = max x over the window, NaN where one is; `indices` gets its place in the plane */
export function maxPool(
  y: usize,
  indices: usize,
  x: usize,
  rowWindows: usize,
  colWindows: usize,
  planes: i32,
  height: i32,
  width: i32,
  outH: i32,
  outW: i32,
): void {
  for (let plane = 0; plane < planes; plane++) {
    for (let r = 0; r < outH; r++) {
      const rows = window(rowWindows, r);
      for (let c = 0; c < outW; c++) {
        const cols = window(colWindows, c);
        let most: f32 = -Infinity;
        let place = start(rows) * width + start(cols);
        for (let i = start(rows), rowEnd = end(rows); i < rowEnd; i++) {
          for (let j = start(cols), colEnd = end(cols); j < colEnd; j++) {
            const value = load<f32>(x + ((<usize>(i * width + j)) << 2));
            if (value > most || value != value) {
              most = value;
              place = i * width + j;
            }
          }
        }
        store<f32>(y, most);
        store<i32>(indices, place);
        y += 4;
        indices += 4;
      }
    }
    x += (<usize>(height * width)) << 2;
  }
}

/** dx[plane, indices[plane, i]] += dy[plane, i], planes of `size` elements from planes of `count` */
export function maxPoolGrad(dx: usize, dy: usize, indices: usize, planes: i32, size: i32, count: i32): void {
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < count; i++) {
      const at = dx + ((<usize>load<i32>(indices)) << 2);
      store<f32>(at, load<f32>(at) + load<f32>(dy));
      indices += 4;
      dy += 4;
    }
    dx += (<usize>size) << 2;
  }
}

// @ts-ignore: decorator
@inline
function window(table: usize, i: i32): usize {
  return table + <usize>i * 12;
}

// @ts-ignore: decorator
@inline
function start(window: usize): i32 {
  return load<i32>(window);
}

// @ts-ignore: decorator
@inline
function end(window: usize): i32 {
  return load<i32>(window, 4);
}

// @ts-ignore: decorator
@inline
function count(window: usize): i32 {
  return load<i32>(window, 8);
}
