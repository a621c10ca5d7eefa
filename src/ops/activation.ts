/** Activations, elementwise or gated, beside those of unary.ts. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { jointVjps, record } from "../graph.js";
import { scope } from "../scope.js";
import { type Dim, normalizeDim, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { mul } from "./binary.js";
import { zip, zipGrad } from "./broadcast.js";
import { checkDtype } from "./dtype.js";
import { linear } from "./linear.js";
import { map } from "./map.js";
import { sumTo } from "./reduce.js";
import { gelu, relu, sigmoid } from "./unary.js";
import { narrow, reshape, transpose } from "./view.js";

export interface LeakyReluOptions {
  negativeSlope?: number;
}

/** y = x where x > 0, else negativeSlope·x. Maas et al. 2013 */
export function leakyRelu(x: Tensor, options: LeakyReluOptions = {}): Tensor {
  checkOptions("leakyRelu", options, ["negativeSlope"]);
  checkDtype("leakyRelu", "the input", x, "float32");
  const { negativeSlope = 0.01 } = options;
  const y = zip("prelu", x, negativeSlope, "leakyRelu");
  return record("leakyRelu", y, [x], [x], [(dy) => zipGrad("preluGrad", dy, x, negativeSlope)]);
}

/** y = x where x > 0, else w·x, with one slope in `w`, or one per channel: dim 1 of x. He et al. 2015 */
export function prelu(x: Tensor, w: Tensor): Tensor {
  checkDtype("prelu", "the input", x, "float32");
  checkDtype("prelu", "the weight", w, "float32");
  const channels = x.ndim < 2 ? 1 : x.shape[1];
  if (w.ndim > 1 || (w.size !== 1 && w.size !== channels)) {
    throw new ShapeError(
      `prelu: the weight must have one element or one per channel (${channels}), got ${showShape(w.shape)}`,
    );
  }
  return scope(() => {
    const slope = w.size === 1 ? reshape(w, []) : reshape(w, [channels, ...x.shape.slice(2).fill(1)]);
    return record(
      "prelu",
      zip("prelu", x, slope),
      [x, slope],
      [x, slope],
      [(dy) => zipGrad("preluGrad", dy, x, slope), (dy) => sumTo(zip("mul", dy, zip("minimum", x, 0)), slope.shape)],
    );
  });
}

export interface SoftplusOptions {
  beta?: number;
  /** Where βx exceeds it, y is x. */
  threshold?: number;
}

/** y = log(1 + e^βx) / β */
export function softplus(x: Tensor, options: SoftplusOptions = {}): Tensor {
  checkOptions("softplus", options, ["beta", "threshold"]);
  const { beta = 1, threshold = 20 } = options;
  return map("softplus", x, kernels.softplus, kernels.softplusGrad, "x", beta, threshold);
}

export interface EluOptions {
  alpha?: number;
}

/** y = x where x > 0, else α·(e^x − 1). Clevert et al. 2016 */
export function elu(x: Tensor, options: EluOptions = {}): Tensor {
  checkOptions("elu", options, ["alpha"]);
  return map("elu", x, kernels.elu, kernels.eluGrad, "x", options.alpha ?? 1, 1);
}

/** y = scale·elu(x, α) with the constants that keep mean 0 and variance 1. Klambauer et al. 2017 */
export function selu(x: Tensor): Tensor {
  return map("selu", x, kernels.elu, kernels.eluGrad, "x", 1.6732632423543772, 1.0507009873554805);
}

/** y = x·tanh(log(1 + e^x)). Misra 2020 */
export function mish(x: Tensor): Tensor {
  return map("mish", x, kernels.mish, kernels.mishGrad, "x");
}

/** y = x·relu6(x + 3) / 6. Howard et al. 2019 */
export function hardswish(x: Tensor): Tensor {
  return map("hardswish", x, kernels.hardswish, kernels.hardswishGrad, "x");
}

/** y = relu6(x + 3) / 6 */
export function hardsigmoid(x: Tensor): Tensor {
  return map("hardsigmoid", x, kernels.hardsigmoid, kernels.hardsigmoidGrad, "x");
}

/** y = min(max(x, 0), 6) */
export function relu6(x: Tensor): Tensor {
  return map("relu6", x, kernels.relu6, kernels.relu6Grad, "y");
}

/** y = log σ(x) */
export function logSigmoid(x: Tensor): Tensor {
  return map("logSigmoid", x, kernels.logSigmoid, kernels.logSigmoidGrad, "x");
}

/** y = x·σ(1.702·x) */
export function quickGelu(x: Tensor): Tensor {
  return gelu(x, { approximate: "quick" });
}

export interface GluOptions {
  dim?: Dim;
}

/** y = a ⊗ σ(b), a and b the halves of x along `dim`. Dauphin et al. 2017 */
export function glu(x: Tensor, options: GluOptions = {}): Tensor {
  checkOptions("glu", options, ["dim"]);
  const d = normalizeDim("glu", options.dim ?? -1, x.ndim);
  if (x.ndim === 0 || x.shape[d] % 2 !== 0) {
    throw new ShapeError(`glu: the extent of dim ${d} must be even, got ${showShape(x.shape)}`);
  }
  const half = x.shape[d] / 2;
  return scope(() => mul(narrow(x, d, 0, half), sigmoid(narrow(x, d, half, half))));
}

/** y = silu(a) ⊗ b, what SwiGLU does between its projections: one pass. Shazeer 2020 */
export function siluMul(a: Tensor, b: Tensor): Tensor {
  for (const x of [a, b]) checkDtype("siluMul", "operands", x, "float32");
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(`siluMul: shapes must be equal, got ${showShape(a.shape)} and ${showShape(b.shape)}`);
  }
  const [x, z] = [dense(a), dense(b)];
  const y = empty(a.shape);
  kernels.siluMul(y.ptr, x.ptr, z.ptr, y.size);
  const gradients = (dy: Tensor): [Tensor, Tensor] => {
    const [da, db] = [empty(a.shape), empty(a.shape)];
    kernels.siluMulGrad(da.ptr, db.ptr, dense(dy).ptr, x.ptr, z.ptr, da.size);
    return [da, db];
  };
  return record("siluMul", y, [a, b], [x, z], jointVjps([a, b], gradients));
}

export interface GatedOptions {
  /** Of the gate, [hidden]. */
  b?: Tensor;
  /** Of what the gate scales, [hidden]. */
  c?: Tensor;
}

export interface SwigluOptions extends GatedOptions {
  /** swish_β(u) = u·σ(βu) */
  beta?: number;
}

/** y = swish_β(x w + b) ⊗ (x v + c), with x [..., in], w and v [in, hidden]. Shazeer 2020 */
export function swiglu(x: Tensor, w: Tensor, v: Tensor, options: SwigluOptions = {}): Tensor {
  checkOptions("swiglu", options, ["b", "c", "beta"]);
  const { beta = 1 } = options;
  if (beta === 1) return gated("swiglu", x, w, v, options, siluMul);
  return gated("swiglu", x, w, v, options, (u, z) => mul(mul(u, sigmoid(mul(u, beta))), z));
}

/** y = gelu(x w + b) ⊗ (x v + c), with x [..., in], w and v [in, hidden]. Shazeer 2020 */
export function geglu(x: Tensor, w: Tensor, v: Tensor, options: GatedOptions = {}): Tensor {
  checkOptions("geglu", options, ["b", "c"]);
  return gated("geglu", x, w, v, options, (u, z) => mul(gelu(u), z));
}

/** y = relu(x w + b) ⊗ (x v + c), with x [..., in], w and v [in, hidden]. Shazeer 2020 */
export function reglu(x: Tensor, w: Tensor, v: Tensor, options: GatedOptions = {}): Tensor {
  checkOptions("reglu", options, ["b", "c"]);
  return gated("reglu", x, w, v, options, (u, z) => mul(relu(u), z));
}

function gated(
  op: string,
  x: Tensor,
  w: Tensor,
  v: Tensor,
  { b, c }: GatedOptions,
  gate: (u: Tensor, z: Tensor) => Tensor,
): Tensor {
  if (w.ndim !== 2 || !sameShape(w.shape, v.shape) || x.ndim === 0 || x.shape[x.ndim - 1] !== w.shape[0]) {
    throw new ShapeError(
      `${op}: x [..., in], w [in, hidden] and v [in, hidden] must agree, got ${[x, w, v].map((t) => showShape(t.shape)).join(", ")}`,
    );
  }
  return scope(() => gate(linear(x, transpose(w, 0, 1), b), linear(x, transpose(v, 0, 1), c)));
}
