/**
 * Float64 functions whose last bits are the same on every engine, unlike those of JavaScript's `Math`: for the scalars
 * that reach tensors (rotary tables, schedules, bias corrections).
 */
import { cos, pow, sin } from "./math64";

// @ts-ignore: decorator
@inline
function first(v: v128): f64 {
  return f64x2.extract_lane(v, 0);
}

/** x^y */
export function pow64(x: f64, y: f64): f64 {
  return first(pow(f64x2.splat(x), f64x2.splat(y)));
}

/** sin x, x in radians */
export function sin64(x: f64): f64 {
  return first(sin(f64x2.splat(x)));
}

/** cos x, x in radians */
export function cos64(x: f64): f64 {
  return first(cos(f64x2.splat(x)));
}
