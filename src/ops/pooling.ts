/** Windows of images [N, C, H, W] or [C, H, W], each reduced to one value. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { type PerDim, perDim } from "./conv.js";
import { tensor, zeros } from "./create.js";
import { checkDtype } from "./dtype.js";

export interface MaxPoolOptions {
  /** The window's size where it is left out. */
  stride?: PerDim;
  /** On both sides, at most half the window. */
  padding?: PerDim;
  /** Also a last window that reaches beyond the padding. */
  ceilMode?: boolean;
}

export interface AvgPoolOptions extends MaxPoolOptions {
  /** Whether padding counts as zeros. */
  countIncludePad?: boolean;
}

/**
 * y = max x over each window of `kernel`, NaN where one is; equal maxima give the gradient to the first.
 * Source: torch.nn.functional.max_pool2d
 */
export function maxPool2d(x: Tensor, kernel: PerDim, options: MaxPoolOptions = {}): Tensor {
  checkOptions("maxPool2d", options, ["stride", "padding", "ceilMode"]);
  const { planes, height, width } = imagesOf("maxPool2d", x);
  const [rows, cols] = slidingWindows("maxPool2d", height, width, kernel, options);
  const shape = [...x.shape.slice(0, -2), rows.length, cols.length];
  const y = empty(shape);
  const indices = empty(shape, "int32");
  scope(() => {
    const tables = [table(rows).ptr, table(cols).ptr] as const;
    kernels.maxPool(y.ptr, indices.ptr, dense(x).ptr, ...tables, planes, height, width, rows.length, cols.length);
  });
  const scatter = (dy: Tensor) => {
    const dx = zeros(x.shape);
    kernels.maxPoolGrad(dx.ptr, dense(dy).ptr, indices.ptr, planes, height * width, rows.length * cols.length);
    return dx;
  };
  const recorded = record("maxPool2d", y, [x], [indices], [scatter]);
  indices.dispose();
  return recorded;
}

/**
 * y = Σ x / count over each window of `kernel`, where padding counts unless `countIncludePad` is false.
 * Source: torch.nn.functional.avg_pool2d
 */
export function avgPool2d(x: Tensor, kernel: PerDim, options: AvgPoolOptions = {}): Tensor {
  checkOptions("avgPool2d", options, ["stride", "padding", "ceilMode", "countIncludePad"]);
  const { height, width } = imagesOf("avgPool2d", x);
  return averageWindows("avgPool2d", x, ...slidingWindows("avgPool2d", height, width, kernel, options));
}

/**
 * Averages of windows ⌊i·H/h⌋ to ⌈(i + 1)·H/h⌉, so that the result is [.., h, w] for `size` [h, w].
 * Source: torch.nn.functional.adaptive_avg_pool2d
 */
export function adaptiveAvgPool2d(x: Tensor, size: PerDim): Tensor {
  const { height, width } = imagesOf("adaptiveAvgPool2d", x);
  const [h, w] = perDim("adaptiveAvgPool2d", "size", size, 2, 1);
  const windows = (extent: number, count: number) =>
    Array.from({ length: count }, (_, i): Window => {
      const [start, end] = [Math.floor((i * extent) / count), Math.ceil(((i + 1) * extent) / count)];
      return [start, end, end - start];
    });
  return averageWindows("adaptiveAvgPool2d", x, windows(height, h), windows(width, w));
}

/** From `start` to `end` − 1, averaged over `count`. */
export type Window = readonly [start: number, end: number, count: number];

/** The averages of every pair of a window of rows and one of columns. */
export function averageWindows(op: string, x: Tensor, rows: readonly Window[], cols: readonly Window[]): Tensor {
  const { planes, height, width } = imagesOf(op, x);
  const y = empty([...x.shape.slice(0, -2), rows.length, cols.length]);
  const tables = [table(rows), table(cols)];
  const extents = [planes, height, width, rows.length, cols.length] as const;
  scope(() => kernels.averagePool(y.ptr, dense(x).ptr, tables[0].ptr, tables[1].ptr, ...extents));
  const spread = (dy: Tensor) => {
    const dx = zeros(x.shape);
    kernels.averagePoolGrad(dx.ptr, dense(dy).ptr, tables[0].ptr, tables[1].ptr, ...extents);
    return dx;
  };
  const recorded = record(op, y, [x], tables, [spread]);
  for (const t of tables) t.dispose();
  return recorded;
}

/** The extents of [.., H, W], all before as one. */
export function imagesOf(op: string, x: Tensor): { planes: number; height: number; width: number } {
  checkDtype(op, "the input", x, "float32");
  const [height, width] = x.shape.slice(-2);
  if ((x.ndim !== 3 && x.ndim !== 4) || height === 0 || width === 0) {
    throw new ShapeError(`${op}: the input must be [N, C, H, W] or [C, H, W], got ${showShape(x.shape)}`);
  }
  return { planes: sizeOf(x.shape.slice(0, -2)), height, width };
}

function table(windows: readonly Window[]): Tensor {
  return tensor(Int32Array.from(windows.flat()));
}

function slidingWindows(
  op: string,
  height: number,
  width: number,
  kernel: PerDim,
  { stride = kernel, padding = 0, ceilMode = false, countIncludePad = true }: AvgPoolOptions,
): [Window[], Window[]] {
  const kernels = perDim(op, "the kernel", kernel, 2, 1);
  const strides = perDim(op, "stride", stride, 2, 1);
  const paddings = perDim(op, "padding", padding, 2, 0);
  if (!paddings.every((zeros, d) => 2 * zeros <= kernels[d])) {
    throw new Error(`${op}: padding must be at most half the kernel ${showShape(kernels)}, got ${showShape(paddings)}`);
  }
  const windows = (extent: number, d: number) => {
    const [k, s, p] = [kernels[d], strides[d], paddings[d]];
    const steps = (extent + 2 * p - k) / s;
    // A last window that only rounding up adds must begin within the input or the padding before it.
    const isLastInside = Math.ceil(steps) * s < extent + p;
    const count = (ceilMode && isLastInside ? Math.ceil(steps) : Math.floor(steps)) + 1;
    if (!(count > 0)) {
      throw new ShapeError(
        `${op}: the kernel must fit the padded input, got ${showShape(kernels)} for [${height}, ${width}]`,
      );
    }
    return Array.from({ length: count }, (_, i): Window => {
      const [from, to] = [i * s - p, Math.min(i * s - p + k, extent + p)];
      const [start, end] = [Math.max(from, 0), Math.min(to, extent)];
      return [start, end, countIncludePad ? to - from : end - start];
    });
  };
  return [windows(height, 0), windows(width, 1)];
}
