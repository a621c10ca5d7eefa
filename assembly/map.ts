/**
 * Loops over dense floats, written once per number of operands. Tails go through the same `apply`, so a value never
 * depends on its position.
 */
import { loadTail, storeTail } from "./simd";

/** y = f(x) */
export abstract class Unary {
  abstract apply(x: v128): v128;
}

/** dx = f(dy, x), or f(dy, y) where the kernel says so */
export abstract class UnaryGrad {
  abstract apply(dy: v128, x: v128): v128;
}

/** Four vectors an iteration share the constants that `apply` loads. */
// @ts-ignore: decorator
@inline
export function map<Op extends Unary>(y: usize, x: usize, n: i32): void {
  const op = changetype<Op>(0);
  let left = <usize>n;
  for (; left >= 16; left -= 16) {
    const a = op.apply(v128.load(x));
    const b = op.apply(v128.load(x, 16));
    const c = op.apply(v128.load(x, 32));
    const d = op.apply(v128.load(x, 48));
    v128.store(y, a);
    v128.store(y, b, 16);
    v128.store(y, c, 32);
    v128.store(y, d, 48);
    x += 64;
    y += 64;
  }
  for (; left >= 4; left -= 4) {
    v128.store(y, op.apply(v128.load(x)));
    x += 16;
    y += 16;
  }
  if (left) storeTail(y, op.apply(loadTail(x, left)), left);
}

// @ts-ignore: decorator
@inline
export function mapGrad<Op extends UnaryGrad>(dx: usize, dy: usize, x: usize, n: i32): void {
  const op = changetype<Op>(0);
  let left = <usize>n;
  for (; left >= 16; left -= 16) {
    const a = op.apply(v128.load(dy), v128.load(x));
    const b = op.apply(v128.load(dy, 16), v128.load(x, 16));
    const c = op.apply(v128.load(dy, 32), v128.load(x, 32));
    const d = op.apply(v128.load(dy, 48), v128.load(x, 48));
    v128.store(dx, a);
    v128.store(dx, b, 16);
    v128.store(dx, c, 32);
    v128.store(dx, d, 48);
    x += 64;
    dy += 64;
    dx += 64;
  }
  for (; left >= 4; left -= 4) {
    v128.store(dx, op.apply(v128.load(dy), v128.load(x)));
    x += 16;
    dy += 16;
    dx += 16;
  }
  if (left) storeTail(dx, op.apply(loadTail(dy, left), loadTail(x, left)), left);
}
