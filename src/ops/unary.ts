/** y = f(x), elementwise. */
import { checkOptions } from "../errors.js";
import { record } from "../graph.js";
import type { Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { apply, map, mapSteps } from "./map.js";

export interface GeluOptions {
  /** "none" is x·Φ(x), "tanh" the usual approximation of it, "quick" x·σ(1.702·x). */
  approximate?: "none" | "tanh" | "quick";
}

/** y = max(x, 0) */
export function relu(x: Tensor): Tensor {
  return map("relu", x, kernels.relu, kernels.reluGrad, "y");
}

/** y = 1 / (1 + e^−x) */
export function sigmoid(x: Tensor): Tensor {
  return map("sigmoid", x, kernels.sigmoid, kernels.sigmoidGrad, "y");
}

/** y = tanh x */
export function tanh(x: Tensor): Tensor {
  return map("tanh", x, kernels.tanh, kernels.tanhGrad, "y");
}

/** y = x·σ(x). Elfwing et al. 2018; torch.nn.functional.silu */
export function silu(x: Tensor): Tensor {
  return map("silu", x, kernels.silu, kernels.siluGrad, "x");
}

/** y = x·Φ(x), Φ the normal distribution function, or an approximation. Hendrycks & Gimpel 2016 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions("gelu", options, ["approximate"]);
  const { approximate = "none" } = options;
  if (approximate === "none") return map("gelu", x, kernels.gelu, kernels.geluGrad, "x");
  if (approximate === "tanh") return map("gelu", x, kernels.geluTanh, kernels.geluTanhGrad, "x");
  if (approximate === "quick") return map("gelu", x, kernels.geluQuick, kernels.geluQuickGrad, "x");
  throw new Error(`gelu: approximate must be "none", "tanh" or "quick", got ${JSON.stringify(approximate)}`);
}

/** y = e^x */
export function exp(x: Tensor): Tensor {
  return map("exp", x, kernels.exp, kernels.expGrad, "y");
}

/** y = log x: −∞ at 0, NaN below */
export function log(x: Tensor): Tensor {
  return map("log", x, kernels.log, kernels.logGrad, "x");
}

/** y = erf x = 2/√π · ∫₀ˣ e^(−t²) dt */
export function erf(x: Tensor): Tensor {
  return map("erf", x, kernels.erf, kernels.erfGrad, "x");
}

/** y = √x: NaN below 0 */
export function sqrt(x: Tensor): Tensor {
  return map("sqrt", x, kernels.sqrt, kernels.sqrtGrad, "y");
}

/** y = 1/√x: ∞ at 0, NaN below */
export function rsqrt(x: Tensor): Tensor {
  return map("rsqrt", x, kernels.rsqrt, kernels.rsqrtGrad, "y");
}

/** y = x² */
export function square(x: Tensor): Tensor {
  return map("square", x, kernels.square, kernels.squareGrad, "x");
}

/** y = |x|; the gradient at 0 is 0 */
export function abs(x: Tensor): Tensor {
  return map("abs", x, kernels.abs, kernels.absGrad, "x");
}

/** y = 1/x */
export function reciprocal(x: Tensor): Tensor {
  return map("reciprocal", x, kernels.reciprocal, kernels.reciprocalGrad, "y");
}

/** y = −x */
export function neg(x: Tensor): Tensor {
  return record("neg", apply("neg", x, kernels.neg), [x], [], [(dy) => neg(dy)]);
}

/** y = log(1 + x), accurate near 0 */
export function log1p(x: Tensor): Tensor {
  return map("log1p", x, kernels.log1p, kernels.log1pGrad, "x");
}

/** y = e^x − 1, accurate near 0 */
export function expm1(x: Tensor): Tensor {
  return map("expm1", x, kernels.expm1, kernels.expm1Grad, "y");
}

/** y = sin x, x in radians */
export function sin(x: Tensor): Tensor {
  return map("sin", x, kernels.sin, kernels.sinGrad, "x");
}

/** y = cos x, x in radians */
export function cos(x: Tensor): Tensor {
  return map("cos", x, kernels.cos, kernels.cosGrad, "x");
}

/** y = 1 where x > 0, −1 where x < 0, else 0; the gradient is 0 */
export function sign(x: Tensor): Tensor {
  return mapSteps("sign", x, kernels.sign);
}

/** y = the whole number nearest to x, the even one of two: 0.5 gives 0; the gradient is 0 */
export function round(x: Tensor): Tensor {
  return mapSteps("round", x, kernels.round);
}

/** y = the greatest whole number ≤ x; the gradient is 0 */
export function floor(x: Tensor): Tensor {
  return mapSteps("floor", x, kernels.floor);
}

/** y = the least whole number ≥ x; the gradient is 0 */
export function ceil(x: Tensor): Tensor {
  return mapSteps("ceil", x, kernels.ceil);
}

export interface ClampOptions {
  min?: number;
  max?: number;
}

/** y = min(max(x, min), max), at least one of the two given; the gradient passes where min ≤ x ≤ max */
export function clamp(x: Tensor, options: ClampOptions): Tensor {
  const { min, max } = clampBounds("clamp", options);
  return map("clamp", x, kernels.clamp, kernels.clampGrad, "x", min, max);
}

/** The bounds of `clamp` and `clamp_`; one that is left out does not act. */
export function clampBounds(op: string, options: ClampOptions): { min: number; max: number } {
  checkOptions(op, options, ["min", "max"]);
  const { min = -Infinity, max = Infinity } = options;
  if (options.min === undefined && options.max === undefined) {
    throw new Error(`${op}: min or max must be given, got neither`);
  }
  return { min, max };
}
