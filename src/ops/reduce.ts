import { type Shape, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";

/** Sums `x` over the dimensions in which it was broadcast from `shape`: the gradient of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const y = empty(shape).fillWith(0);
  const out = y.data();
  const src = x.data();
  const lead = x.ndim - shape.length;
  for (let i = 0; i < src.length; i++) {
    let rest = i;
    let at = 0;
    let stride = 1;
    for (let d = x.ndim - 1; d >= 0; d--) {
      const index = rest % x.shape[d];
      rest = Math.floor(rest / x.shape[d]);
      if (d >= lead) {
        if (shape[d - lead] !== 1) at += index * stride;
        stride *= shape[d - lead];
      }
    }
    out[at] += src[i];
  }
  return y.set(out);
}
