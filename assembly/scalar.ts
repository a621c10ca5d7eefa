/**
 * Float64 functions whose last bits are the same on every engine, unlike those of JavaScript's `Math`: for the scalars
 * that reach tensors (rotary tables, schedules, bias corrections, samplers).
 */

/** e^x */
export function exp64(x: f64): f64 {
  return NativeMath.exp(x);
}

/** x^y */
export function pow64(x: f64, y: f64): f64 {
  return NativeMath.pow(x, y);
}

/** sin x, x in radians */
export function sin64(x: f64): f64 {
  return NativeMath.sin(x);
}

/** cos x, x in radians */
export function cos64(x: f64): f64 {
  return NativeMath.cos(x);
}
