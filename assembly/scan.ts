/** Running sums. */

/** y[o, j, i] = Σ x[o, j′, i] over j′ ≤ j, added in float64; x and y [outer, n, inner] */
export function cumsum(y: usize, x: usize, outer: i32, n: i32, inner: i32): void {
  const step = inner << 2;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) scan(y + ((<usize>i) << 2), x + ((<usize>i) << 2), n, step);
    x += (<usize>n * inner) << 2;
    y += (<usize>n * inner) << 2;
  }
}

/** dx[o, j, i] = Σ dy[o, j′, i] over j′ ≥ j, added in float64 */
export function cumsumGrad(dx: usize, dy: usize, outer: i32, n: i32, inner: i32): void {
  const step = inner << 2;
  for (let o = 0; o < outer; o++) {
    const last = (<usize>(n - 1) * inner) << 2;
    for (let i = 0; i < inner; i++) scan(dx + last + ((<usize>i) << 2), dy + last + ((<usize>i) << 2), n, -step);
    dx += (<usize>n * inner) << 2;
    dy += (<usize>n * inner) << 2;
  }
}

/** `step` in bytes. */
// @ts-ignore: decorator
@inline
function scan(y: usize, x: usize, n: i32, step: i32): void {
  let total: f64 = 0;
  for (let j = 0; j < n; j++) {
    total += <f64>load<f32>(x);
    store<f32>(y, <f32>total);
    x += step;
    y += step;
  }
}
