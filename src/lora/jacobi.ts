/** One-sided Jacobi rotations in float64: the same bits everywhere, small singular values as accurate as large ones. */
import type { Svd } from "./svd.js";

/**
 * The k largest singular values and vectors of M with rows ≤ cols. Rotates pairs of rows until all are orthogonal:
 * G M = diag(s) Vᵀ, so that U = Gᵀ. Hestenes 1958
 */
export function jacobiSvd(matrix: Float64Array, rows: number, cols: number, k: number): Svd {
  const m = matrix.slice();
  const g = identity(rows);
  const row = (of: Float64Array, i: number, length: number) => of.subarray(i * length, (i + 1) * length);
  for (let sweep = 0, rotated = true; rotated && sweep < SWEEPS; sweep++) {
    rotated = false;
    for (let i = 0; i < rows - 1; i++) {
      for (let j = i + 1; j < rows; j++) {
        const rotation = orthogonalizing(row(m, i, cols), row(m, j, cols));
        if (!rotation) continue;
        rotated = true;
        rotate(row(m, i, cols), row(m, j, cols), rotation);
        rotate(row(g, i, rows), row(g, j, rows), rotation);
      }
    }
  }
  const lengths = Float64Array.from({ length: rows }, (_, i) => Math.sqrt(dot(row(m, i, cols), row(m, i, cols))));
  const order = [...lengths.keys()].sort((i, j) => lengths[j] - lengths[i]).slice(0, k);
  const u = new Float64Array(rows * k);
  const vt = new Float64Array(k * cols);
  order.forEach((i, at) => {
    for (let r = 0; r < rows; r++) u[r * k + at] = g[i * rows + r];
    if (lengths[i] > 0) for (let c = 0; c < cols; c++) vt[at * cols + c] = m[i * cols + c] / lengths[i];
  });
  return { u, s: Float64Array.from(order, (i) => lengths[i]), vt };
}

/** Far more than it ever took: about 10. */
const SWEEPS = 60;

/** Two rows count as orthogonal from this cosine on. */
const ORTHOGONAL = 1e-15;

/** Cosine and sine of the rotation that makes x and y orthogonal, null where they are. */
function orthogonalizing(x: Float64Array, y: Float64Array): [number, number] | null {
  const xx = dot(x, x);
  const yy = dot(y, y);
  const xy = dot(x, y);
  if (Math.abs(xy) <= ORTHOGONAL * x.length * Math.sqrt(xx * yy)) return null;
  const zeta = (yy - xx) / (2 * xy);
  const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + t * t);
  return [cosine, cosine * t];
}

function rotate(x: Float64Array, y: Float64Array, [cosine, sine]: [number, number]): void {
  for (let c = 0; c < x.length; c++) {
    const [a, b] = [x[c], y[c]];
    x[c] = cosine * a - sine * b;
    y[c] = sine * a + cosine * b;
  }
}

export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < x.length; c++) sum += x[c] * y[c];
  return sum;
}

function identity(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
}
