/** Normalization over the last dimensions. */
import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { type Shape, sameShape, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, type Ptr } from "../wasm/memory.js";
import { ones } from "./create.js";
import { sumTo } from "./reduce.js";

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
export function layerNorm(
  x: Tensor,
  normalizedShape: Shape,
  { weight, bias, eps = 1e-5 }: LayerNormOptions = {},
): Tensor {
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
      kernels.layerNormWeightGrad(dw.ptr, dense(dy).ptr, a.ptr, stats.ptr, rows, cols);
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
export function rmsNorm(
  x: Tensor,
  normalizedShape: Shape,
  { weight, eps = 1.1920929e-7 }: RMSNormOptions = {},
): Tensor {
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
      kernels.rmsNormWeightGrad(dw.ptr, dense(dy).ptr, a.ptr, rstd.ptr, rows, cols);
      return dw;
    },
  ]);
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
