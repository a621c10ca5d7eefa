/**
 * Loops over one row. What is computed of each element is a class whose `at` reads its operands at the addresses it is
 * given: a whole vector for n = 0, else the `n` lanes of the tail, which the compiler knows at each place of use.
 */
import { loadTail, storeTail, sumLanes } from "./simd";

// @ts-ignore: decorator
@inline
export function get(x: usize, n: usize): v128 {
  return n == 0 ? v128.load(x) : loadTail(x, n);
}

// @ts-ignore: decorator
@inline
export function put(y: usize, v: v128, n: usize): void {
  if (n == 0) v128.store(y, v);
  else storeTail(y, v, n);
}

/** The first `n` lanes; the others are 0. */
// @ts-ignore: decorator
@inline
export function firstLanes(v: v128, n: usize): v128 {
  return v128.and(v, i32x4.gt_s(i32x4.splat(<i32>n), i32x4(0, 1, 2, 3)));
}

/** Σ term over `cols` elements: four vector accumulators, added as (0 + 1) + (2 + 3), then the lanes. */
// @ts-ignore: decorator
@inline
export function sumRow<Term>(a: usize, b: usize, c: usize, cols: i32, p: f32, q: f32): f32 {
  const term = changetype<Term>(0);
  const ps = f32x4.splat(p);
  const qs = f32x4.splat(q);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let i: usize = 0;
  for (const end = (<usize>cols & ~15) << 2; i < end; i += 64) {
    // @ts-ignore: Term is a class with such an `at`
    s0 = f32x4.add(s0, term.at(a + i, b + i, c + i, ps, qs, 0));
    // @ts-ignore: Term is a class with such an `at`
    s1 = f32x4.add(s1, term.at(a + i + 16, b + i + 16, c + i + 16, ps, qs, 0));
    // @ts-ignore: Term is a class with such an `at`
    s2 = f32x4.add(s2, term.at(a + i + 32, b + i + 32, c + i + 32, ps, qs, 0));
    // @ts-ignore: Term is a class with such an `at`
    s3 = f32x4.add(s3, term.at(a + i + 48, b + i + 48, c + i + 48, ps, qs, 0));
  }
  for (const end = (<usize>cols & ~3) << 2; i < end; i += 16) {
    // @ts-ignore: Term is a class with such an `at`
    s0 = f32x4.add(s0, term.at(a + i, b + i, c + i, ps, qs, 0));
  }
  const tail = <usize>cols & 3;
  // @ts-ignore: Term is a class with such an `at`
  if (tail) s1 = f32x4.add(s1, firstLanes(term.at(a + i, b + i, c + i, ps, qs, tail), tail));
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/** y = op over `cols` elements, with five constants. */
// @ts-ignore: decorator
@inline
export function mapRow<Op>(
  y: usize,
  a: usize,
  b: usize,
  c: usize,
  cols: i32,
  p: f32,
  q: f32 = 0,
  r: f32 = 0,
  s: f32 = 0,
  t: f32 = 0,
): void {
  const op = changetype<Op>(0);
  const ps = f32x4.splat(p);
  const qs = f32x4.splat(q);
  const rs = f32x4.splat(r);
  const ss = f32x4.splat(s);
  const ts = f32x4.splat(t);
  let i: usize = 0;
  for (const end = (<usize>cols & ~3) << 2; i < end; i += 16) {
    // @ts-ignore: Op is a class with such an `at`
    v128.store(y + i, op.at(a + i, b + i, c + i, ps, qs, rs, ss, ts, 0));
  }
  const tail = <usize>cols & 3;
  // @ts-ignore: Op is a class with such an `at`
  if (tail) storeTail(y + i, op.at(a + i, b + i, c + i, ps, qs, rs, ss, ts, tail), tail);
}

/** a */
@final
export class Value {
  @inline
  at(a: usize, b: usize, c: usize, p: v128, q: v128, n: usize): v128 {
    return get(a, n);
  }
}

/** a · b */
@final
export class Product {
  @inline
  at(a: usize, b: usize, c: usize, p: v128, q: v128, n: usize): v128 {
    return f32x4.mul(get(a, n), get(b, n));
  }
}
