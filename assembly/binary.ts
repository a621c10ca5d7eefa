/** y = f(a, b) and y = f(dy, a, b) over [m, n], with strides in elements. An operation is a class that maps vectors. */
import { log } from "./math";
import { narrow, pow as pow64, widenHigh, widenLow } from "./math64";
import { loadTail, madd, storeTail } from "./simd";
import { zip, zipGrad } from "./zip";

@final
class Add {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.add(a, b);
  }
}

@final
class Sub {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.sub(a, b);
  }
}

@final
class Mul {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.mul(a, b);
  }
}

@final
class Div {
  @inline
  apply(a: v128, b: v128): v128 {
    return f32x4.div(a, b);
  }
}

// f32x4.max is seven instructions in V8, pmax is one: it returns a where either is NaN. All ones is a NaN.
@final
class Maximum {
  @inline
  apply(a: v128, b: v128): v128 {
    return v128.or(f32x4.pmax(a, b), f32x4.ne(b, b));
  }
}

@final
class Minimum {
  @inline
  apply(a: v128, b: v128): v128 {
    return v128.or(f32x4.pmin(a, b), f32x4.ne(b, b));
  }
}

@final
class EqualMask {
  @inline
  apply(a: v128, b: v128): v128 {
    return v128.and(f32x4.eq(a, b), f32x4.splat(1));
  }
}

/** y = a + b */
export function add(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Add>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a − b */
export function sub(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Sub>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a · b */
export function mul(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Mul>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a / b */
export function div(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Div>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = max(a, b), NaN where either is */
export function maximum(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<Maximum>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = min(a, b), NaN where either is */
export function minimum(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<Minimum>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = 1 where a = b, else 0 */
export function equalMask(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<EqualMask>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

@final
class Prelu {
  @inline
  apply(a: v128, b: v128): v128 {
    return v128.bitselect(a, f32x4.mul(a, b), f32x4.gt(a, f32x4.splat(0)));
  }
}

/** Four powers by float64. */
function powerOf(a: v128, b: v128): v128 {
  return narrow(pow64(widenLow(a), widenLow(b)), pow64(widenHigh(a), widenHigh(b)));
}

@final
class Pow {
  @inline
  apply(a: v128, b: v128): v128 {
    return powerOf(a, b);
  }
}

@final
class AddInt32 {
  @inline
  apply(a: v128, b: v128): v128 {
    return i32x4.add(a, b);
  }
}

@final
class SubInt32 {
  @inline
  apply(a: v128, b: v128): v128 {
    return i32x4.sub(a, b);
  }
}

@final
class MulInt32 {
  @inline
  apply(a: v128, b: v128): v128 {
    return i32x4.mul(a, b);
  }
}

@final
class MaximumInt32 {
  @inline
  apply(a: v128, b: v128): v128 {
    return i32x4.max_s(a, b);
  }
}

@final
class MinimumInt32 {
  @inline
  apply(a: v128, b: v128): v128 {
    return i32x4.min_s(a, b);
  }
}

/** y = a where a > 0, else a·b */
export function prelu(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Prelu>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a^b */
export function pow(y: usize, a: usize, b: usize, m: i32, n: i32, aRow: i32, aCol: i32, bRow: i32, bCol: i32): void {
  zip<Pow>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a + b, int32, modulo 2³² */
export function addInt32(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<AddInt32>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a − b, int32, modulo 2³² */
export function subInt32(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<SubInt32>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a · b, int32, modulo 2³² */
export function mulInt32(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<MulInt32>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = max(a, b), int32 */
export function maximumInt32(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<MaximumInt32>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = min(a, b), int32 */
export function minimumInt32(
  y: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zip<MinimumInt32>(y, a, b, m, n, aRow, aCol, bRow, bCol);
}

@final
class DivGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    return f32x4.mul(f32x4.neg(dy), f32x4.div(f32x4.div(a, b), b));
  }
}

@final
class MaximumGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    const kept = v128.andnot(dy, f32x4.lt(a, b));
    return v128.bitselect(f32x4.mul(dy, f32x4.splat(0.5)), kept, f32x4.eq(a, b));
  }
}

@final
class MinimumGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    const kept = v128.andnot(dy, f32x4.gt(a, b));
    return v128.bitselect(f32x4.mul(dy, f32x4.splat(0.5)), kept, f32x4.eq(a, b));
  }
}

/** db = −dy · a / b², the gradient of a / b for b */
export function divGrad(
  db: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<DivGrad>(db, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** da = dy where a > b, dy / 2 where a = b, 0 where a < b; dy where either is NaN */
export function maximumGrad(
  da: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<MaximumGrad>(da, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** da = dy where a < b, dy / 2 where a = b, 0 where a > b; dy where either is NaN */
export function minimumGrad(
  da: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<MinimumGrad>(da, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

@final
class PreluGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    return v128.bitselect(dy, f32x4.mul(dy, b), f32x4.gt(a, f32x4.splat(0)));
  }
}

/** The lanes of v where `condition` does not hold, else 0. */
// @ts-ignore: decorator
@inline
function unless(condition: v128, v: v128): v128 {
  return v128.andnot(v, condition);
}

function powerGrad(dy: v128, a: v128, b: v128): v128 {
  const slope = f32x4.mul(b, powerOf(a, f32x4.sub(b, f32x4.splat(1))));
  return unless(f32x4.eq(b, f32x4.splat(0)), f32x4.mul(dy, slope));
}

function powerExponentGrad(dy: v128, a: v128, b: v128): v128 {
  const zero = f32x4.splat(0);
  const flat = v128.and(f32x4.eq(a, zero), f32x4.ge(b, zero));
  return unless(flat, f32x4.mul(dy, f32x4.mul(powerOf(a, b), log(a))));
}

@final
class PowGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    return powerGrad(dy, a, b);
  }
}

@final
class PowExponentGrad {
  @inline
  apply(dy: v128, a: v128, b: v128): v128 {
    return powerExponentGrad(dy, a, b);
  }
}

@final
class Where {
  @inline
  apply(mask: v128, a: v128, b: v128): v128 {
    return v128.bitselect(a, b, i32x4.ne(mask, i32x4.splat(0)));
  }
}

/** da = dy where a > 0, else dy·b */
export function preluGrad(
  da: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<PreluGrad>(da, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** da = dy·b·a^(b − 1), 0 for b = 0 */
export function powGrad(
  da: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<PowGrad>(da, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** db = dy·a^b·log a, 0 where a = 0 and b ≥ 0 */
export function powExponentGrad(
  db: usize,
  dy: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<PowExponentGrad>(db, dy, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y = a where the int32 mask is not 0, else b; elements of four bytes */
export function where(
  y: usize,
  mask: usize,
  a: usize,
  b: usize,
  m: i32,
  n: i32,
  aRow: i32,
  aCol: i32,
  bRow: i32,
  bCol: i32,
): void {
  zipGrad<Where>(y, mask, a, b, m, n, aRow, aCol, bRow, bCol);
}

/** y += α · x */
export function addScaled(y: usize, x: usize, n: i32, alpha: f32): void {
  const a = f32x4.splat(alpha);
  const end = y + ((<usize>n & ~3) << 2);
  while (y < end) {
    v128.store(y, madd(v128.load(x), a, v128.load(y)));
    x += 16;
    y += 16;
  }
  const tail = <usize>n & 3;
  if (tail) storeTail(y, madd(loadTail(x, tail), a, loadTail(y, tail)), tail);
}

/** y = s · x */
export function scale(y: usize, x: usize, n: i32, s: f32): void {
  const factor = f32x4.splat(s);
  let left = <usize>n;
  for (; left >= 16; left -= 16) {
    const a = f32x4.mul(v128.load(x), factor);
    const b = f32x4.mul(v128.load(x, 16), factor);
    const c = f32x4.mul(v128.load(x, 32), factor);
    const d = f32x4.mul(v128.load(x, 48), factor);
    v128.store(y, a);
    v128.store(y, b, 16);
    v128.store(y, c, 32);
    v128.store(y, d, 48);
    x += 64;
    y += 64;
  }
  for (; left >= 4; left -= 4) {
    v128.store(y, f32x4.mul(v128.load(x), factor));
    x += 16;
    y += 16;
  }
  if (left) storeTail(y, f32x4.mul(loadTail(x, left), factor), left);
}
