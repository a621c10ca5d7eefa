/** B-splines on given knots: piecewise polynomials, each over `order` + 1 neighbouring intervals. De Boor 1978 */

/**
 * y[i, c, j] = B_j(x[i, c]) on the knots of column c.
 *
 * @param y [rows, cols, intervals − order]
 * @param work intervals + 1 floats
 * @param x [rows, cols]
 * @param knots [cols, intervals + 1], ascending
 */
export function bSplines(
  y: usize,
  work: usize,
  x: usize,
  knots: usize,
  rows: i32,
  cols: i32,
  intervals: i32,
  order: i32,
): void {
  const bases = intervals - order;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      basesAt(work, load<f32>(x), knotsOf(knots, col, intervals), intervals, order);
      memory.copy(y, work, (<usize>bases) << 2);
      x += 4;
      y += (<usize>bases) << 2;
    }
  }
}

/** dx = Σ_j dy_j · B′_j(x), B′_j of order k = k·(B_j / (t_{j+k} − t_j) − B_{j+1} / (t_{j+k+1} − t_{j+1})) of order k − 1 */
export function bSplinesGrad(
  dx: usize,
  work: usize,
  dy: usize,
  x: usize,
  knots: usize,
  rows: i32,
  cols: i32,
  intervals: i32,
  order: i32,
): void {
  const bases = intervals - order;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const t = knotsOf(knots, col, intervals);
      basesAt(work, load<f32>(x), t, intervals, order - 1);
      let sum: f32 = 0;
      for (let j = 0; j < bases; j++) {
        const rising = at(work, j) / (at(t, j + order) - at(t, j));
        const falling = at(work, j + 1) / (at(t, j + order + 1) - at(t, j + 1));
        sum += at(dy, j) * (rising - falling);
      }
      store<f32>(dx, <f32>order * sum);
      x += 4;
      dx += 4;
      dy += (<usize>bases) << 2;
    }
  }
}

/**
 * All bases of an order at x, by the recursion of Cox and de Boor from order 0: only those whose intervals reach x's are
 * not zero. Outside the knots all are 0; NaN where x is not finite, as 0·∞ gives elsewhere.
 */
function basesAt(b: usize, x: f32, t: usize, intervals: i32, order: i32): void {
  const outside = x - x;
  let interval = -1;
  for (let i = 0; i <= intervals; i++) {
    const inside = i < intervals && x >= at(t, i) && x < at(t, i + 1);
    store<f32>(b + ((<usize>i) << 2), inside ? 1 : outside);
    if (inside) interval = i;
  }
  if (interval < 0) return;
  for (let k = 1; k <= order; k++) {
    const last = min(interval, intervals - k - 1);
    for (let j = max(interval - k, 0); j <= last; j++) {
      const rising = (x - at(t, j)) / (at(t, j + k) - at(t, j));
      const falling = (at(t, j + k + 1) - x) / (at(t, j + k + 1) - at(t, j + 1));
      store<f32>(b + ((<usize>j) << 2), rising * at(b, j) + falling * at(b, j + 1));
    }
  }
}

// @ts-ignore: decorator
@inline
function at(x: usize, i: i32): f32 {
  return load<f32>(x + ((<usize>i) << 2));
}

// @ts-ignore: decorator
@inline
function knotsOf(knots: usize, col: i32, intervals: i32): usize {
  return knots + ((<usize>col * <usize>(intervals + 1)) << 2);
}
