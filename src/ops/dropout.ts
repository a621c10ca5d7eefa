import { dense } from "../copy.js";
import { checkOptions } from "../errors.js";
import { record } from "../graph.js";
import { nextStream } from "../random.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { mul } from "./binary.js";
import { ones } from "./create.js";
import { checkDtype } from "./dtype.js";

export interface DropoutOptions {
  /** The probability of an element to become 0. */
  p?: number;
  /** Without training, x is returned as it is. */
  training?: boolean;
}

/**
 * y = x / (1 − p) with probability 1 − p, else 0. Backward draws the mask again instead of keeping it.
 * Source: Srivastava et al. 2014
 */
export function dropout(x: Tensor, options: DropoutOptions = {}): Tensor {
  checkOptions("dropout", options, ["p", "training"]);
  const { p = 0.5, training = true } = options;
  if (!(p >= 0 && p <= 1)) throw new Error(`dropout: p must be from 0 to 1, got ${p}`);
  checkDtype("dropout", "the operand", x, "float32");
  if (!training || p === 0) return x;
  if (p === 1) return mul(x, 0);
  const range = nextStream(x.size);
  const threshold = Math.min(Math.round(p * 4294967296), 4294967295);
  const masked = (v: Tensor) => {
    const source = dense(v);
    const y = empty(v.shape);
    kernels.dropout(y.ptr, source.ptr, y.size, ...range, threshold, 1 / (1 - p));
    if (source !== v) source.dispose();
    return y;
  };
  return record("dropout", masked(x), [x], [], [masked]);
}

export interface StochasticDepthOptions {
  /** The probability of a row (or of the batch) to become 0. */
  p: number;
  /** Whether each row of the first dimension is drawn for itself, or the batch as one. */
  mode?: "row" | "batch";
  /** Without training, x is returned as it is. */
  training?: boolean;
}

/**
 * y = x / (1 − p) with probability 1 − p, else 0, for whole rows: a residual branch is left out.
 * Source: Huang et al. 2016; torchvision.ops.stochastic_depth
 */
export function stochasticDepth(x: Tensor, options: StochasticDepthOptions): Tensor {
  checkOptions("stochasticDepth", options, ["p", "mode", "training"]);
  const { p, mode = "row", training = true } = options;
  if (!(p >= 0 && p <= 1)) throw new Error(`stochasticDepth: p must be from 0 to 1, got ${p}`);
  if (mode !== "row" && mode !== "batch")
    throw new Error(`stochasticDepth: mode must be "row" or "batch", got "${mode}"`);
  if (!training || p === 0) return x;
  const shape = x.shape.map((extent, d) => (d === 0 && mode === "row" ? extent : 1));
  return scope(() => mul(x, dropout(ones(shape), { p })));
}
