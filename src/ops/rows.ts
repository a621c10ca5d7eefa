/** Dimensions in the last place, for kernels that work on dense rows [rows, n]. */
import { dense } from "../copy.js";
import { alias, type Tensor } from "../tensor.js";

/** x with `dims` (ascending) as its last dimensions; a view where that is dense. */
export function toRows(x: Tensor, dims: readonly number[]): Tensor {
  return dense(permuted(x, rowOrder(x.ndim, dims)));
}

/** The inverse of `toRows`, a view. */
export function fromRows(rows: Tensor, dims: readonly number[]): Tensor {
  const order = rowOrder(rows.ndim, dims);
  return permuted(
    rows,
    order.map((_, d) => order.indexOf(d)),
  );
}

function rowOrder(ndim: number, dims: readonly number[]): number[] {
  const all = Array.from({ length: ndim }, (_, d) => d);
  return [...all.filter((d) => !dims.includes(d)), ...dims];
}

function permuted(x: Tensor, order: readonly number[]): Tensor {
  return alias(
    x,
    order.map((d) => x.shape[d]),
    order.map((d) => x.strides[d]),
  );
}
