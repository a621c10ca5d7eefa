/** Softmax along one dimension. */
import { dense } from "../copy.js";
import { record } from "../graph.js";
import { type Dim, normalizeDim, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import type { Ptr } from "../wasm/memory.js";
import { reshape, transpose, unsqueeze } from "./view.js";

export interface SoftmaxOptions {
  dim?: Dim;
}

type RowKernel = (y: Ptr, x: Ptr, rows: number, cols: number) => void;
type RowGradKernel = (dx: Ptr, dy: Ptr, y: Ptr, rows: number, cols: number) => void;

/** y = eˣ / Σ eˣ along `dim` */
export function softmax(x: Tensor, { dim = -1 }: SoftmaxOptions = {}): Tensor {
  return alongDim("softmax", x, dim, kernels.softmax, kernels.softmaxGrad);
}

/** y = x − log Σ eˣ along `dim` */
export function logSoftmax(x: Tensor, { dim = -1 }: SoftmaxOptions = {}): Tensor {
  return alongDim("logSoftmax", x, dim, kernels.logSoftmax, kernels.logSoftmaxGrad);
}

/** Kernels work on rows: another dimension takes the last one's place meanwhile. */
function alongDim(op: string, x: Tensor, dim: Dim, forward: RowKernel, gradient: RowGradKernel): Tensor {
  const d = normalizeDim(op, dim, x.ndim);
  if (x.ndim === 0) return reshape(alongDim(op, unsqueeze(x, 0), 0, forward, gradient), []);
  if (d !== x.ndim - 1) return transpose(alongDim(op, transpose(x, d, -1), -1, forward, gradient), d, -1);
  const a = dense(x);
  const y = empty(a.shape);
  const cols = x.shape[d];
  const rows = sizeOf(x.shape.slice(0, d));
  forward(y.ptr, a.ptr, rows, cols);
  return record(
    op,
    y,
    [x],
    [y],
    [
      (dy) => {
        const dx = empty(y.shape);
        gradient(dx.ptr, dense(dy).ptr, y.ptr, rows, cols);
        return dx;
      },
    ],
  );
}
