/** Indices drawn by their weights. */
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { nextStream } from "../random.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { int32View } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";

export interface MultinomialOptions {
  /** Whether an index may be drawn again. */
  replacement?: boolean;
}

/**
 * n indices (int32) from each row of weights, with probabilities in proportion to them.
 *
 * @param p [classes] or [rows, classes], 0 or more, not all 0; need not add up to 1
 */
export function multinomial(p: Tensor, n: number, options: MultinomialOptions = {}): Tensor {
  checkOptions("multinomial", options, ["replacement"]);
  checkDtype("multinomial", "p", p, "float32");
  if (p.ndim !== 1 && p.ndim !== 2)
    throw new ShapeError(`multinomial: p must have one or two dimensions, got ${showShape(p.shape)}`);
  if (!(Number.isInteger(n) && n > 0)) throw new Error(`multinomial: n must be a whole number from 1, got ${n}`);
  const { replacement = false } = options;
  const rows = rowsOf(p);
  rows.forEach((row, r) => {
    checkWeights(row, r, replacement ? 1 : n);
  });
  const y = empty([...p.shape.slice(0, -1), n], "int32");
  kernels.philox(y.ptr, y.size, ...nextStream(y.size), 0, 0);
  const picks = int32View(y.ptr, y.size);
  rows.forEach((row, r) => {
    for (let i = r * n; i < (r + 1) * n; i++) {
      picks[i] = pick(row, (picks[i] >>> 0) / 4294967296);
      if (!replacement) row[picks[i]] = 0;
    }
  });
  return record("multinomial", y, [p], [], [null]);
}

function rowsOf(p: Tensor): Float32Array[] {
  const classes = p.shape[p.ndim - 1];
  const weights = p.data();
  const count = p.ndim === 1 ? 1 : p.shape[0];
  return Array.from({ length: count }, (_, r) => weights.subarray(r * classes, (r + 1) * classes));
}

/** The class whose part of the line from 0 to Σ weights holds the fraction u < 1 of it. */
function pick(weights: Float32Array, u: number): number {
  let left = u * weights.reduce((sum, w) => sum + w, 0);
  let last = 0;
  for (let c = 0; c < weights.length; c++) {
    if (weights[c] === 0) continue;
    if (left < weights[c]) return c;
    left -= weights[c];
    last = c; // rounding may lead beyond the end
  }
  return last;
}

function checkWeights(weights: Float32Array, row: number, needed: number): void {
  const wrong = weights.findIndex((w) => !(w >= 0 && w < Infinity));
  if (wrong >= 0)
    throw new Error(`multinomial: p must be finite and 0 or more, got ${weights[wrong]} at ${wrong} of row ${row}`);
  const positive = weights.filter((w) => w > 0).length;
  if (positive < needed) {
    throw new Error(
      `multinomial: a row must have ${needed} weights above 0${needed > 1 ? " (or replacement: true)" : ""}, got ${positive} in row ${row}`,
    );
  }
}
