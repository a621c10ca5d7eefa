/** Running sums. */
import { dense } from "../copy.js";
import { checkOptions } from "../errors.js";
import { record } from "../graph.js";
import { type Dim, normalizeDim, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { checkDtype } from "./dtype.js";

export interface CumsumOptions {
  dim: Dim;
}

/** y[j] = Σ x[j′] over j′ ≤ j along `dim` */
export function cumsum(x: Tensor, options: CumsumOptions): Tensor {
  checkOptions("cumsum", options, ["dim"]);
  checkDtype("cumsum", "the operand", x, "float32");
  const d = normalizeDim("cumsum", options.dim, x.ndim);
  const extents = [sizeOf(x.shape.slice(0, d)), x.shape[d] ?? 1, sizeOf(x.shape.slice(d + 1))] as const;
  const y = empty(x.shape);
  const source = dense(x);
  kernels.cumsum(y.ptr, source.ptr, ...extents);
  if (source !== x) source.dispose();
  const vjp = (dy: Tensor) => {
    const dx = empty(x.shape);
    kernels.cumsumGrad(dx.ptr, dense(dy).ptr, ...extents);
    return dx;
  };
  return record("cumsum", y, [x], [], [vjp]);
}
