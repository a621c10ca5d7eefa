/** Variances, norms and log-sums: reductions that see a row more than once. */
import { dense } from "../copy.js";
import { checkOptions } from "../errors.js";
import { noGrad, record } from "../graph.js";
import { scope } from "../scope.js";
import { normalizeDims, type Shape, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { add, maximum, minimum, mul, sub } from "./binary.js";
import { full } from "./create.js";
import { checkDtype } from "./dtype.js";
import { amax, type ReduceOptions, reducedShape, sum } from "./reduce.js";
import { fromRows, toRows } from "./rows.js";
import { exp, log, sqrt } from "./unary.js";
import { reshape } from "./view.js";

export interface VarianceOptions extends ReduceOptions {
  /** Taken off the number of elements in the divisor: 1 is the unbiased estimate, 0 the mean square. */
  correction?: number;
}

export interface NormOptions extends ReduceOptions {
  /** Infinity and -Infinity are the largest and the least |x|, 0 counts elements that are not 0. */
  p?: number;
}

/** y = Σ (x − mean x)² / (n − correction), NaN where that is 0 / 0. Two passes in float64: a large mean loses nothing. */
export function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  const { dims, rows, n, shape, divisor } = spread("variance", x, options);
  const y = varianceOf(rows, shape, n, divisor);
  return record(
    "variance",
    y,
    [x],
    [rows],
    [
      (dy) => {
        const dx = empty(rows.shape);
        kernels.varianceGrad(dx.ptr, dense(dy).ptr, rows.ptr, y.size, n, divisor);
        return fromRows(dx, dims);
      },
    ],
  );
}

/** y = √variance(x), where the gradient is 0 if y is */
export function std(x: Tensor, options: VarianceOptions = {}): Tensor {
  const { dims, rows, n, shape, divisor } = spread("std", x, options);
  const y = noGrad(() => scope(() => sqrt(varianceOf(rows, shape, n, divisor))));
  return record(
    "std",
    y,
    [x],
    [rows, y],
    [
      (dy) => {
        const dx = empty(rows.shape);
        kernels.stdGrad(dx.ptr, dense(dy).ptr, rows.ptr, y.ptr, y.size, n, divisor);
        return fromRows(dx, dims);
      },
    ],
  );
}

/** y = (Σ |x|^p)^(1/p), where the gradient is 0 if x or y is. torch.linalg.vector_norm */
export function norm(x: Tensor, options: NormOptions = {}): Tensor {
  checkOptions("norm", options, ["dim", "keepdim", "p"]);
  checkDtype("norm", "the operand", x, "float32");
  const { dim, keepdim = false, p = 2 } = options;
  if (typeof p !== "number" || Number.isNaN(p)) throw new Error(`norm: p must be a number, got ${p}`);
  const dims = normalizeDims("norm", dim, x.ndim);
  const n = sizeOf(dims.map((d) => x.shape[d]));
  const rows = toRows(x, dims);
  const y = empty(reducedShape(x.shape, dims, keepdim));
  kernels.vectorNorm(y.ptr, rows.ptr, y.size, n, p);
  return record(
    "norm",
    y,
    [x],
    [rows, y],
    [
      (dy) => {
        const dx = empty(rows.shape);
        kernels.vectorNormGrad(dx.ptr, dense(dy).ptr, rows.ptr, y.ptr, y.size, n, p);
        return fromRows(dx, dims);
      },
    ],
  );
}

const LARGEST = 3.4028234663852886e38;

/** y = log Σ eˣ, −∞ of nothing */
export function logsumexp(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("logsumexp", options, ["dim", "keepdim"]);
  checkDtype("logsumexp", "the operand", x, "float32");
  const { dim, keepdim = false } = options;
  const dims = normalizeDims("logsumexp", dim, x.ndim);
  const kept = reducedShape(x.shape, dims, true);
  const y = noGrad(() =>
    scope(() => {
      if (dims.some((d) => x.shape[d] === 0)) return full(reducedShape(x.shape, dims, keepdim), -Infinity);
      // Kept finite, since ∞ − ∞ is NaN.
      const shift = minimum(maximum(amax(x, { dim: dims, keepdim: true }), -LARGEST), LARGEST);
      const total = sum(exp(sub(x, shift)), { dim: dims, keepdim: true });
      return reshape(add(log(total), shift), reducedShape(x.shape, dims, keepdim));
    }),
  );
  const dx = (dy: Tensor) => mul(reshape(dy, kept), exp(sub(x, reshape(y, kept))));
  return record("logsumexp", y, [x], [x, y], [dx]);
}

interface Spread {
  dims: number[];
  rows: Tensor;
  /** Elements in a row. */
  n: number;
  /** Of the result. */
  shape: Shape;
  divisor: number;
}

function spread(op: string, x: Tensor, options: VarianceOptions): Spread {
  checkOptions(op, options, ["dim", "keepdim", "correction"]);
  checkDtype(op, "the operand", x, "float32");
  const { dim, keepdim = false, correction = 1 } = options;
  if (!Number.isFinite(correction)) throw new Error(`${op}: correction must be a finite number, got ${correction}`);
  const dims = normalizeDims(op, dim, x.ndim);
  const n = sizeOf(dims.map((d) => x.shape[d]));
  const shape = reducedShape(x.shape, dims, keepdim);
  return { dims, rows: toRows(x, dims), n, shape, divisor: Math.max(0, n - correction) };
}

function varianceOf(rows: Tensor, shape: Shape, n: number, divisor: number): Tensor {
  const y = empty(shape);
  kernels.variance(y.ptr, rows.ptr, y.size, n, divisor);
  return y;
}
