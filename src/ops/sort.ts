/** Orders along one dimension; NaN is above all numbers, equal elements keep their order. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError } from "../errors.js";
import { scope } from "../scope.js";
import { type Dim, normalizeDim, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { workspace } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";
import { gather } from "./gather.js";
import { fromRows, toRows } from "./rows.js";
import { narrow, reshape } from "./view.js";

export interface Sorted {
  /** Gradients flow through them. */
  values: Tensor;
  /** Where in x they were (int32). */
  indices: Tensor;
}

export interface SortOptions {
  dim?: Dim;
  descending?: boolean;
}

export interface TopkOptions {
  dim?: Dim;
  /** The greatest elements, or the least. */
  largest?: boolean;
}

/** The elements along `dim` in ascending or descending order. */
export function sort(x: Tensor, options: SortOptions = {}): Sorted {
  checkOptions("sort", options, ["dim", "descending"]);
  const { dim = -1, descending = false } = options;
  return sorted("sort", x, dim, descending, x.shape[normalizeDim("sort", dim, x.ndim)] ?? 1);
}

/** The k greatest elements along `dim`, the greatest first, or the k least, the least first. */
export function topk(x: Tensor, k: number, options: TopkOptions = {}): Sorted {
  checkOptions("topk", options, ["dim", "largest"]);
  const { dim = -1, largest = true } = options;
  const extent = x.shape[normalizeDim("topk", dim, x.ndim)] ?? 1;
  if (!(Number.isInteger(k) && k >= 0 && k <= extent))
    throw new ShapeError(`topk: k must be a whole number from 0 to ${extent}, got ${k}`);
  return sorted("topk", x, dim, largest, k);
}

/** The first k in order. */
function sorted(op: string, x: Tensor, dim: Dim, descending: boolean, k: number): Sorted {
  checkDtype(op, "the operand", x, "float32");
  const d = normalizeDim(op, dim, x.ndim);
  return scope(() => {
    const lines = x.ndim === 0 ? reshape(x, [1]) : x;
    const indices = dense(narrow(order(lines, d, descending), d, 0, k));
    const values = gather(lines, d, indices);
    if (x.ndim > 0) return { values, indices };
    const shape = k === 0 ? [0] : [];
    return { values: reshape(values, shape), indices: reshape(indices, shape) };
  });
}

function order(x: Tensor, d: number, descending: boolean): Tensor {
  const rows = toRows(x, [d]);
  const index = empty(rows.shape, "int32");
  const cols = x.shape[d];
  const work = workspace(16 * cols);
  kernels.argsort(index.ptr, work, rows.ptr, sizeOf(rows.shape.slice(0, -1)), cols, descending ? 1 : 0);
  return fromRows(index, [d]);
}
