/** y = f(x), elementwise. */
import { dense } from "../copy.js";
import { record } from "../graph.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";

/** y = max(x, 0) */
export function relu(x: Tensor): Tensor {
  const a = dense(x);
  const y = empty(a.shape);
  kernels.relu(y.ptr, a.ptr, a.size);
  return record(
    "relu",
    y,
    [x],
    [y],
    [
      (dy) => {
        const g = dense(dy);
        const dx = empty(y.shape);
        kernels.reluGrad(dx.ptr, g.ptr, y.ptr, y.size);
        return dx;
      },
    ],
  );
}
