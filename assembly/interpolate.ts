/**
 * Bilinear interpolation of planes [planes, height, width] at the points whose coordinates, from 0 to the last index, two
 * float tables give: `rowPoints` [outH] and `colPoints` [outW].
 */

/** y = (1 − t)·((1 − s)·x₀₀ + s·x₀₁) + t·((1 − s)·x₁₀ + s·x₁₁), s and t the coordinates' fractions */
export function bilinear(
  y: usize,
  x: usize,
  rowPoints: usize,
  colPoints: usize,
  planes: i32,
  height: i32,
  width: i32,
  outH: i32,
  outW: i32,
): void {
  for (let plane = 0; plane < planes; plane++) {
    for (let r = 0; r < outH; r++) {
      const point = load<f32>(rowPoints + ((<usize>r) << 2));
      const t: f32 = point - floor(point);
      const upper = x + ((<usize>(<i32>point * width)) << 2);
      const lower = x + ((<usize>(min(<i32>point + 1, height - 1) * width)) << 2);
      for (let c = 0; c < outW; c++) {
        const point = load<f32>(colPoints + ((<usize>c) << 2));
        const s: f32 = point - floor(point);
        const left = (<usize>(<i32>point)) << 2;
        const right = (<usize>min(<i32>point + 1, width - 1)) << 2;
        const above: f32 = (1 - s) * load<f32>(upper + left) + s * load<f32>(upper + right);
        const below: f32 = (1 - s) * load<f32>(lower + left) + s * load<f32>(lower + right);
        store<f32>(y, (1 - t) * above + t * below);
        y += 4;
      }
    }
    x += (<usize>(height * width)) << 2;
  }
}

/** dx += dy at the four neighbours of each point, by their weights */
export function bilinearGrad(
  dx: usize,
  dy: usize,
  rowPoints: usize,
  colPoints: usize,
  planes: i32,
  height: i32,
  width: i32,
  outH: i32,
  outW: i32,
): void {
  for (let plane = 0; plane < planes; plane++) {
    for (let r = 0; r < outH; r++) {
      const point = load<f32>(rowPoints + ((<usize>r) << 2));
      const t: f32 = point - floor(point);
      const upper = dx + ((<usize>(<i32>point * width)) << 2);
      const lower = dx + ((<usize>(min(<i32>point + 1, height - 1) * width)) << 2);
      for (let c = 0; c < outW; c++) {
        const point = load<f32>(colPoints + ((<usize>c) << 2));
        const s: f32 = point - floor(point);
        const left = (<usize>(<i32>point)) << 2;
        const right = (<usize>min(<i32>point + 1, width - 1)) << 2;
        const above: f32 = (1 - t) * load<f32>(dy);
        const below: f32 = t * load<f32>(dy);
        addTo(upper + left, (1 - s) * above);
        addTo(upper + right, s * above);
        addTo(lower + left, (1 - s) * below);
        addTo(lower + right, s * below);
        dy += 4;
      }
    }
    dx += (<usize>(height * width)) << 2;
  }
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, value: f32): void {
  store<f32>(at, load<f32>(at) + value);
}
