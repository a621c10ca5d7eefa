/** Normalization by the moments or the norm of some dimensions. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { type Dim, type Shape, sameShape, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, type Ptr } from "../wasm/memory.js";
import { add, div, maximum, mul, pow } from "./binary.js";
import { ones } from "./create.js";
import { amax, sum, sumTo } from "./reduce.js";
import { abs, square } from "./unary.js";
import { reshape } from "./view.js";

export interface LayerNormOptions {
  weight?: Tensor;
  bias?: Tensor;
  eps?: number;
}

export interface RMSNormOptions {
  weight?: Tensor;
  eps?: number;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, mean and (biased) variance over the last dimensions.
 *
 * @param normalizedShape the last dimensions of `x`, and the shape of weight and bias
 * Source: Ba et al. 2016; torch.nn.functional.layer_norm
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: LayerNormOptions = {}): Tensor {
  checkOptions("layerNorm", options, ["weight", "bias", "eps"]);
  const { weight, bias, eps = 1e-5 } = options;
  const { rows, cols } = rowsOf("layerNorm", x, normalizedShape, weight, bias);
  const a = dense(x);
  // the kernel takes a bias with a weight
  const scale = weight ?? (bias && ones(normalizedShape));
  const w = scale && dense(scale);
  const y = empty(x.shape);
  const stats = empty([rows, 3]);
  kernels.layerNorm(y.ptr, stats.ptr, a.ptr, ptrOf(w), ptrOf(bias && dense(bias)), rows, cols, eps);
  return record("layerNorm", y, [x, weight, bias], w ? [a, w, stats] : [a, stats], [
    (dy) => {
      const dx = empty(x.shape);
      kernels.layerNormGrad(dx.ptr, dense(dy).ptr, a.ptr, ptrOf(w), stats.ptr, rows, cols);
      return dx;
    },
    (dy) => {
      const dw = empty(normalizedShape);
      kernels.layerNormWeightGrad(dw.ptr, dense(dy).ptr, a.ptr, stats.ptr, rows, cols, cols);
      return dw;
    },
    (dy) => sumTo(dy, normalizedShape),
  ]);
}

/**
 * y = x / √(mean(x²) + eps) · weight, the mean over the last dimensions.
 *
 * @param normalizedShape the last dimensions of `x`, and the shape of weight
 * Source: Zhang & Sennrich 2019; torch.nn.functional.rms_norm
 */
export function rmsNorm(x: Tensor, normalizedShape: Shape, options: RMSNormOptions = {}): Tensor {
  checkOptions("rmsNorm", options, ["weight", "eps"]);
  const { weight, eps = 1.1920929e-7 } = options;
  const { rows, cols } = rowsOf("rmsNorm", x, normalizedShape, weight);
  const a = dense(x);
  const w = weight && dense(weight);
  const y = empty(x.shape);
  const rstd = empty([rows]);
  kernels.rmsNorm(y.ptr, rstd.ptr, a.ptr, ptrOf(w), rows, cols, eps);
  return record("rmsNorm", y, [x, weight], w ? [a, w, rstd] : [a, rstd], [
    (dy) => {
      const dx = empty(x.shape);
      kernels.rmsNormGrad(dx.ptr, dense(dy).ptr, a.ptr, ptrOf(w), rstd.ptr, rows, cols);
      return dx;
    },
    (dy) => {
      const dw = empty(normalizedShape);
      kernels.rmsNormWeightGrad(dw.ptr, dense(dy).ptr, a.ptr, rstd.ptr, rows, cols, cols);
      return dw;
    },
  ]);
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, mean and (biased) variance over the pixels of `groups` groups of
 * neighbouring channels of each image.
 *
 * @param x [N, C, …]; weight and bias are [C]
 * Source: Wu & He 2018; torch.nn.functional.group_norm
 */
export function groupNorm(x: Tensor, groups: number, options: LayerNormOptions = {}): Tensor {
  checkOptions("groupNorm", options, ["weight", "bias", "eps"]);
  const { weight, bias, eps } = options;
  checkGroups(x, groups, weight, bias);
  const [images, channels] = x.shape;
  const perGroup = sizeOf(x.shape.slice(1)) / groups;
  const perChannel = [channels, ...x.shape.slice(2).map(() => 1)];
  return scope(() => {
    let y = reshape(layerNorm(reshape(x, [images * groups, perGroup]), [perGroup], { eps }), x.shape);
    if (weight) y = mul(y, reshape(weight, perChannel));
    return bias ? add(y, reshape(bias, perChannel)) : y;
  });
}

export interface NormalizeOptions {
  /** From 1 to Infinity, which is max |x| */
  p?: number;
  dim?: Dim;
  eps?: number;
}

/** y = x / max(‖x‖ₚ, eps) along `dim`, ‖x‖ₚ = (Σ |x|ᵖ)^(1/p). Source: torch.nn.functional.normalize */
export function normalize(x: Tensor, options: NormalizeOptions = {}): Tensor {
  checkOptions("normalize", options, ["p", "dim", "eps"]);
  const { p = 2, dim = 1, eps = 1e-12 } = options;
  if (!(p >= 1)) throw new Error(`normalize: p must be from 1 to Infinity, got ${p}`);
  const along = { dim, keepdim: true };
  return scope(() => {
    if (p === 1) return div(x, maximum(sum(abs(x), along), eps));
    if (p === Infinity) return div(x, maximum(amax(abs(x), along), eps));
    const powers = sum(p === 2 ? square(x) : pow(abs(x), p), along);
    // The bound comes before the root, whose slope at 0 is infinite; it must not vanish in float32.
    return div(x, pow(maximum(powers, Math.max(kernels.pow64(eps, p), SMALLEST_NORMAL)), 1 / p));
  });
}

/** Of float32 */
const SMALLEST_NORMAL = 1.1754943508222875e-38;

function checkGroups(x: Tensor, groups: number, weight: Tensor | undefined, bias: Tensor | undefined): void {
  if (x.ndim < 2) throw new ShapeError(`groupNorm: the input must be [N, C, …], got ${showShape(x.shape)}`);
  const channels = x.shape[1];
  if (!(Number.isInteger(groups) && groups > 0 && channels % groups === 0))
    throw new ShapeError(`groupNorm: groups must divide the ${channels} channels, got ${groups}`);
  for (const t of [weight, bias]) {
    if (t && !sameShape(t.shape, [channels]))
      throw new ShapeError(`groupNorm: weight and bias must have shape [${channels}], got ${showShape(t.shape)}`);
  }
}

function rowsOf(
  op: string,
  x: Tensor,
  shape: Shape,
  ...affine: (Tensor | undefined)[]
): { rows: number; cols: number } {
  const lead = x.ndim - shape.length;
  if (shape.length === 0 || lead < 0 || !sameShape(x.shape.slice(lead), shape)) {
    throw new ShapeError(
      `${op}: normalizedShape must be the last dimensions of the input, got ${showShape(shape)} for ${showShape(x.shape)}`,
    );
  }
  for (const t of affine) {
    if (t && !sameShape(t.shape, shape)) {
      throw new ShapeError(
        `${op}: weight and bias must have normalizedShape ${showShape(shape)}, got ${showShape(t.shape)}`,
      );
    }
  }
  return { rows: sizeOf(x.shape.slice(0, lead)), cols: sizeOf(shape) };
}

function ptrOf(t: Tensor | undefined): Ptr {
  return t ? t.ptr : nullPtr;
}
