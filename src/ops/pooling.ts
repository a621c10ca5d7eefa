/** Windows of images [N, C, H, W] (or [C, H, W]), each reduced to one value. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { type PerDim, perDim } from "./conv.js";
import { tensor, zeros } from "./create.js";
import { checkDtype } from "./dtype.js";

export interface MaxPoolOptions {
  /** The window's size where it is left out. */
  stride?: PerDim;
  /** On both sides, at most half the window; never the maximum. */
  padding?: PerDim;
  /** Also windows that reach beyond the padded end. */
  ceilMode?: boolean;
}

export interface AvgPoolOptions extends MaxPoolOptions {
  /** Whether padding counts as zeros. */
  countIncludePad?: boolean;
}

/**
 * y = max x over each window of `kernel`, NaN where one is; the gradient goes to the first maximum.
 * Source: torch.nn.functional.max_pool2d
 */
export function maxPool2d(x: Tensor, kernel: PerDim, options: MaxPoolOptions = {}): Tensor {
  checkOptions("maxPool2d", options, ["stride", "padding", "ceilMode"]);
  const { planes, height, width } = imagesOf("maxPool2d", x);
  const [rows, cols] = slidingWindows("maxPool2d", height, width, kernel, options);
  const shape = [...x.shape.slice(0, -2), rows.length, cols.length];
  const y = empty(shape);
  const indices = empty(shape, "int32");
  const a = dense(x);
  const extents = [planes, height, width, rows.length, cols.length] as const;
  kernels.maxPool(y.ptr, indices.ptr, a.ptr, table(rows).ptr, table(cols).ptr, ...extents);
  if (a !== x) a.dispose();
  return record(
    "maxPool2d",
    y,
    [x],
    [indices],
    [
      (dy) => {
        const dx = zeros(x.shape);
        kernels.maxPoolGrad(dx.ptr, dense(dy).ptr, indices.ptr, planes, height * width, rows.length * cols.length);
        return dx;
      },
    ],
  );
}
