/**
 * One step of a recurrent layer for `rows` sequences, all operands dense: states [rows, cols], gates [rows, gates·cols]
 * in PyTorch's order. σ and tanh of a vector at a time; tails by lanes.
 */
import { sigmoid, tanh } from "./math";
import { get, put } from "./rows";

/** i, f, g, o = σ, σ, tanh, σ of `gates`, in place; c = f·c₀ + i·g; h = o·tanh c */
export function lstm(h: usize, c: usize, gates: usize, c0: usize, rows: i32, cols: i32): void {
  const width = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const last = width & ~15;
    for (let i: usize = 0; i < last; i += 16) lstmAt(h + i, c + i, gates + i, c0 + i, width, 0);
    const tail = <usize>cols & 3;
    if (tail) lstmAt(h + last, c + last, gates + last, c0 + last, width, tail);
    h += width;
    c += width;
    c0 += width;
    gates += width << 2;
  }
}

// @ts-ignore: decorator
@inline
function lstmAt(h: usize, c: usize, gates: usize, c0: usize, width: usize, n: usize): void {
  const i = sigmoid(get(gates, n));
  const f = sigmoid(get(gates + width, n));
  const g = tanh(get(gates + 2 * width, n));
  const o = sigmoid(get(gates + 3 * width, n));
  const next = f32x4.add(f32x4.mul(f, get(c0, n)), f32x4.mul(i, g));
  put(gates, i, n);
  put(gates + width, f, n);
  put(gates + 2 * width, g, n);
  put(gates + 3 * width, o, n);
  put(c, next, n);
  put(h, f32x4.mul(o, tanh(next)), n);
}

/**
 * The gradients of the gates before σ and tanh, and of c₀, from those of h (dy + dh) and of c; `gates` as `lstm` left
 * them. `dc` holds that of c and then that of c₀.
 */
export function lstmGrad(
  dgates: usize,
  dc: usize,
  dy: usize,
  dh: usize,
  gates: usize,
  c: usize,
  c0: usize,
  rows: i32,
  cols: i32,
): void {
  const width = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const last = width & ~15;
    for (let i: usize = 0; i < last; i += 16) {
      lstmGradAt(dgates + i, dc + i, dy + i, dh + i, gates + i, c + i, c0 + i, width, 0);
    }
    const tail = <usize>cols & 3;
    if (tail) {
      const i = last;
      lstmGradAt(dgates + i, dc + i, dy + i, dh + i, gates + i, c + i, c0 + i, width, tail);
    }
    dc += width;
    dy += width;
    dh += width;
    c += width;
    c0 += width;
    gates += width << 2;
    dgates += width << 2;
  }
}

// @ts-ignore: decorator
@inline
function lstmGradAt(
  dgates: usize,
  dc: usize,
  dy: usize,
  dh: usize,
  gates: usize,
  c: usize,
  c0: usize,
  width: usize,
  n: usize,
): void {
  const i = get(gates, n);
  const f = get(gates + width, n);
  const g = get(gates + 2 * width, n);
  const o = get(gates + 3 * width, n);
  const one = f32x4.splat(1);
  const t = tanh(get(c, n));
  const forH = f32x4.add(get(dy, n), get(dh, n));
  const forC = f32x4.add(get(dc, n), f32x4.mul(f32x4.mul(forH, o), f32x4.sub(one, f32x4.mul(t, t))));
  put(dgates, f32x4.mul(f32x4.mul(forC, g), slope(i)), n);
  put(dgates + width, f32x4.mul(f32x4.mul(forC, get(c0, n)), slope(f)), n);
  put(dgates + 2 * width, f32x4.mul(f32x4.mul(forC, i), f32x4.sub(one, f32x4.mul(g, g))), n);
  put(dgates + 3 * width, f32x4.mul(f32x4.mul(forH, t), slope(o)), n);
  put(dc, f32x4.mul(forC, f), n);
}

/**
 * r, z, n = σ(gates + hidden), σ(gates + hidden), tanh(gates + r·hidden), in place of `gates`; h = n + z·(h₀ − n).
 *
 * @param hidden h₀ W_hhᵀ + b_hh
 */
export function gru(h: usize, gates: usize, hidden: usize, h0: usize, rows: i32, cols: i32): void {
  const width = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const last = width & ~15;
    for (let i: usize = 0; i < last; i += 16) gruAt(h + i, gates + i, hidden + i, h0 + i, width, 0);
    const tail = <usize>cols & 3;
    if (tail) gruAt(h + last, gates + last, hidden + last, h0 + last, width, tail);
    h += width;
    h0 += width;
    gates += 3 * width;
    hidden += 3 * width;
  }
}

// @ts-ignore: decorator
@inline
function gruAt(h: usize, gates: usize, hidden: usize, h0: usize, width: usize, n: usize): void {
  const r = sigmoid(f32x4.add(get(gates, n), get(hidden, n)));
  const z = sigmoid(f32x4.add(get(gates + width, n), get(hidden + width, n)));
  const candidate = tanh(f32x4.add(get(gates + 2 * width, n), f32x4.mul(r, get(hidden + 2 * width, n))));
  put(gates, r, n);
  put(gates + width, z, n);
  put(gates + 2 * width, candidate, n);
  put(h, f32x4.add(candidate, f32x4.mul(z, f32x4.sub(get(h0, n), candidate))), n);
}

/**
 * The gradients of the gates before σ and tanh, of `hidden`, and of h₀ on the path z·h₀, from that of h (dy + dh);
 * `gates` as `gru` left them. `dh` holds that of h and then that of h₀.
 */
export function gruGrad(
  dgates: usize,
  dhidden: usize,
  dh: usize,
  dy: usize,
  gates: usize,
  hidden: usize,
  h0: usize,
  rows: i32,
  cols: i32,
): void {
  const width = (<usize>cols) << 2;
  for (let row = 0; row < rows; row++) {
    const last = width & ~15;
    for (let i: usize = 0; i < last; i += 16) {
      gruGradAt(dgates + i, dhidden + i, dh + i, dy + i, gates + i, hidden + i, h0 + i, width, 0);
    }
    const tail = <usize>cols & 3;
    if (tail) {
      const i = last;
      gruGradAt(dgates + i, dhidden + i, dh + i, dy + i, gates + i, hidden + i, h0 + i, width, tail);
    }
    dh += width;
    dy += width;
    h0 += width;
    gates += 3 * width;
    hidden += 3 * width;
    dgates += 3 * width;
    dhidden += 3 * width;
  }
}

// @ts-ignore: decorator
@inline
function gruGradAt(
  dgates: usize,
  dhidden: usize,
  dh: usize,
  dy: usize,
  gates: usize,
  hidden: usize,
  h0: usize,
  width: usize,
  n: usize,
): void {
  const r = get(gates, n);
  const z = get(gates + width, n);
  const candidate = get(gates + 2 * width, n);
  const one = f32x4.splat(1);
  const forH = f32x4.add(get(dy, n), get(dh, n));
  const forN = f32x4.mul(f32x4.mul(forH, f32x4.sub(one, z)), f32x4.sub(one, f32x4.mul(candidate, candidate)));
  const forR = f32x4.mul(f32x4.mul(forN, get(hidden + 2 * width, n)), slope(r));
  const forZ = f32x4.mul(f32x4.mul(forH, f32x4.sub(get(h0, n), candidate)), slope(z));
  put(dgates, forR, n);
  put(dgates + width, forZ, n);
  put(dgates + 2 * width, forN, n);
  put(dhidden, forR, n);
  put(dhidden + width, forZ, n);
  put(dhidden + 2 * width, f32x4.mul(forN, r), n);
  put(dh, f32x4.mul(forH, z), n);
}

/** σ′ = σ·(1 − σ) */
// @ts-ignore: decorator
@inline
function slope(s: v128): v128 {
  return f32x4.mul(s, f32x4.sub(f32x4.splat(1), s));
}
