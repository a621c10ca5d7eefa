/**
 * y[i] = f(x[i]) over `n` dense floats. An operation is a class whose `apply` maps one vector; the loop is written
 * once per number of operands, and tails go through the same `apply`, so a value never depends on its position.
 */
import { loadTail, storeTail } from "./simd";

// @ts-ignore: decorator
@inline
function map<Op>(y: usize, x: usize, n: i32): void {
  const op = changetype<Op>(0);
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    // @ts-ignore: Op is one of the classes below
    v128.store(y, op.apply(v128.load(x)));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  // @ts-ignore: Op is one of the classes below
  if (tail) storeTail(y, op.apply(loadTail(x, tail)), tail);
}

@final
class Relu {
  @inline
  apply(x: v128): v128 {
    return f32x4.max(x, f32x4.splat(0));
  }
}

/** y = max(x, 0) */
export function relu(y: usize, x: usize, n: i32): void {
  map<Relu>(y, x, n);
}

/** dx = dy where y > 0, else 0 */
export function reluGrad(dx: usize, dy: usize, y: usize, n: i32): void {
  for (let i: usize = 0; i < (<usize>n) << 2; i += 4) store<f32>(dx + i, load<f32>(y + i) > 0 ? load<f32>(dy + i) : 0);
}
