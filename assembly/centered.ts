/** What normalizations share: x − μ where μ is a rounded mean and what its rounding lost. */
import { get } from "./rows";

/** x − mean − lost */
// @ts-ignore: decorator
@inline
export function centered(x: v128, mean: v128, lost: v128): v128 {
  return f32x4.sub(f32x4.sub(x, mean), lost);
}

/** r · (dy − shift − (x − μ) · slope) */
@final
export class CenteredGradient {
  @inline
  at(dy: usize, x: usize, w: usize, mean: v128, lost: v128, r: v128, shift: v128, slope: v128, n: usize): v128 {
    const along = f32x4.mul(centered(get(x, n), mean, lost), slope);
    return f32x4.mul(r, f32x4.sub(f32x4.sub(get(dy, n), shift), along));
  }
}
