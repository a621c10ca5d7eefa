/** y = f(x) by a kernel over dense floats; see assembly/map.ts. */
import { dense } from "../copy.js";
import { record } from "../graph.js";
import { empty, type Tensor } from "../tensor.js";
import type { Ptr } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";

type Scalars = readonly number[];
type MapKernel<S extends Scalars> = (y: Ptr, x: Ptr, n: number, ...scalars: S) => void;
type GradKernel<S extends Scalars> = (dx: Ptr, dy: Ptr, saved: Ptr, n: number, ...scalars: S) => void;

/** f(x), recorded; `reads` names what the gradient is computed from. */
export function map<S extends Scalars>(
  op: string,
  x: Tensor,
  kernel: MapKernel<S>,
  gradKernel: GradKernel<S>,
  reads: "x" | "y",
  ...scalars: S
): Tensor {
  const a = dense(x);
  const y = apply(op, a, kernel, ...scalars);
  const saved = reads === "x" ? a : y;
  return record(
    op,
    y,
    [x],
    [saved],
    [
      (dy) => {
        const dx = empty(y.shape);
        gradKernel(dx.ptr, dense(dy).ptr, saved.ptr, dx.size, ...scalars);
        return dx;
      },
    ],
  );
}

/** f(x), recorded with a gradient of zeros. */
export function mapSteps(op: string, x: Tensor, kernel: MapKernel<[]>): Tensor {
  return record(op, apply(op, x, kernel), [x], [], [(dy) => empty(dy.shape).fillWith(0)]);
}

/** f(x), without history. */
export function apply<S extends Scalars>(op: string, x: Tensor, kernel: MapKernel<S>, ...scalars: S): Tensor {
  checkDtype(op, "the input", x, "float32");
  const y = empty(x.shape);
  kernel(y.ptr, dense(x).ptr, y.size, ...scalars);
  return y;
}
