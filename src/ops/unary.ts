/** y = f(x), elementwise. */
import { dense } from "../copy.js";
import { record } from "../graph.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import type { Ptr } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";

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
  const { approximate = "none", ...unknown } = options;
  for (const key in unknown) throw new Error(`gelu: the only option must be approximate, got ${key}`);
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

type MapKernel = (y: Ptr, x: Ptr, n: number) => void;
type GradKernel = (dx: Ptr, dy: Ptr, saved: Ptr, n: number) => void;

/** `reads` names what the gradient is computed from. */
function map(op: string, x: Tensor, kernel: MapKernel, gradKernel: GradKernel, reads: "x" | "y"): Tensor {
  const a = dense(x);
  const y = apply(op, a, kernel);
  const saved = reads === "x" ? a : y;
  return record(
    op,
    y,
    [x],
    [saved],
    [
      (dy) => {
        const dx = empty(y.shape);
        gradKernel(dx.ptr, dense(dy).ptr, saved.ptr, dx.size);
        return dx;
      },
    ],
  );
}

function apply(op: string, x: Tensor, kernel: MapKernel): Tensor {
  checkDtype(op, "the input", x, "float32");
  const y = empty(x.shape);
  kernel(y.ptr, dense(x).ptr, y.size);
  return y;
}
