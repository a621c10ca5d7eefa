/** The largest singular values of a large matrix: Golub, Kahan and Lanczos's bidiagonalization, reorthogonalized. */
import { dot, jacobiSvd } from "./jacobi.js";
import type { Svd } from "./svd.js";

/** What is left of a vector when it lay in the span of the others, and what counts as converged, relative to ‖M‖. */
const NEGLIGIBLE = 1e-13;

/**
 * The k largest singular values and vectors of M with rows ≤ cols. Grows orthonormal U and V with M V = U B, B upper
 * bidiagonal, until what B leaves out is negligible for the first k; those of B then are M's. Golub & Kahan 1965
 */
export function lanczosSvd(matrix: Float64Array, rows: number, cols: number, k: number): Svd {
  const norm = Math.sqrt(dot(matrix, matrix));
  const u: Float64Array[] = [];
  const v: Float64Array[] = [fresh(cols, [])];
  const diagonal: number[] = [];
  const above: number[] = [];
  for (let next = 2 * k + 10; ; ) {
    const n = u.length;
    const left = withoutSpan(times(matrix, v[n], rows, cols), u);
    diagonal.push(extend(u, left, norm));
    const right = withoutSpan(timesTransposed(matrix, u[n], rows, cols), v);
    const isLast = u.length === rows;
    above.push(isLast ? 0 : extend(v, right, norm));
    if (u.length < next && !isLast) continue;
    next = Math.ceil(1.25 * u.length);
    const small = jacobiSvd(bidiagonal(diagonal, above), u.length, u.length, k);
    const rest = Math.max(...small.u.slice(-k).map((last) => Math.abs(last * above[n])));
    if (!isLast && rest > NEGLIGIBLE * norm) continue;
    return { u: columns(combined(u, small.u, k, 1), rows, k), s: small.s, vt: combined(v, small.vt, k, u.length) };
  }
}

/** Appends `vector` with length 1 and gives its length; where that is negligible, 0 and any vector that is orthogonal. */
function extend(basis: Float64Array[], vector: Float64Array, norm: number): number {
  const length = Math.sqrt(dot(vector, vector));
  const isNegligible = length <= NEGLIGIBLE * norm;
  basis.push(isNegligible ? fresh(vector.length, basis) : vector.map((value) => value / length));
  return isNegligible ? 0 : length;
}

/** A vector of length 1 that is orthogonal to `basis`, from a fixed sequence of numbers. */
function fresh(length: number, basis: readonly Float64Array[]): Float64Array {
  let state = basis.length + 1;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Knuth's linear congruential generator
    return state / 4294967296 - 0.5;
  };
  const vector = withoutSpan(Float64Array.from({ length }, draw), basis);
  const size = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / size);
}

/** `vector` without its part in the span of `basis`; taken away twice, which is enough (Giraud et al. 2005). */
function withoutSpan(vector: Float64Array, basis: readonly Float64Array[]): Float64Array {
  for (let pass = 0; pass < 2; pass++) for (const each of basis) addTo(vector, each, -dot(vector, each));
  return vector;
}

/** M x */
function times(matrix: Float64Array, x: Float64Array, rows: number, cols: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, r) => dot(matrix.subarray(r * cols, (r + 1) * cols), x));
}

/** Mᵀ y */
function timesTransposed(matrix: Float64Array, y: Float64Array, rows: number, cols: number): Float64Array {
  const product = new Float64Array(cols);
  for (let r = 0; r < rows; r++) addTo(product, matrix.subarray(r * cols, (r + 1) * cols), y[r]);
  return product;
}

function bidiagonal(diagonal: readonly number[], above: readonly number[]): Float64Array {
  const n = diagonal.length;
  const b = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    b[i * n + i] = diagonal[i];
    if (i + 1 < n) b[i * n + i + 1] = above[i];
  }
  return b;
}

/** Σᵢ weight(i, j) · basisᵢ for each j below k, as rows: weights are [n, k] where `stride` is 1, else [k, stride]. */
function combined(basis: readonly Float64Array[], weights: Float64Array, k: number, stride: number): Float64Array {
  const n = weights.length / k;
  const length = basis[0].length;
  const sums = new Float64Array(k * length);
  for (let j = 0; j < k; j++) {
    const sum = sums.subarray(j * length, (j + 1) * length);
    for (let i = 0; i < n; i++) addTo(sum, basis[i], stride === 1 ? weights[i * k + j] : weights[j * stride + i]);
  }
  return sums;
}

/** Rows [k, rows] as columns [rows, k]. */
function columns(values: Float64Array, rows: number, k: number): Float64Array {
  return values.map((_, i) => values[(i % k) * rows + Math.floor(i / k)]);
}

/** sum += factor · values */
function addTo(sum: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) sum[i] += factor * values[i];
}
