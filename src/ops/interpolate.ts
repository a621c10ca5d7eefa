/** Images [N, C, H, W] in another size. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { type PerDim, perDim } from "./conv.js";
import { tensor, zeros } from "./create.js";
import { averageWindows, imagesOf, type Window } from "./pooling.js";

export interface InterpolateOptions {
  /** [h, w] of the result, or one number for both. */
  size?: PerDim;
  /** How many times larger the result is, rounded down; instead of `size`. */
  scaleFactor?: PerDim;
  mode?: "nearest" | "bilinear";
  /** Whether the corners' centres stay in place ("bilinear" alone); otherwise the corners' outer edges do. */
  alignCorners?: boolean;
}

/**
 * The values between the pixels' centres: of the nearest pixel, or of the line through the nearest two of each dimension.
 * Source: torch.nn.functional.interpolate
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  checkOptions("interpolate", options, ["size", "scaleFactor", "mode", "alignCorners"]);
  const { mode = "nearest", alignCorners = false } = options;
  const extents = [imagesOf("interpolate", x)].flatMap(({ height, width }) => [height, width]);
  const axes = axesOf(extents, options);
  if (mode === "bilinear") {
    const [rows, cols] = axes.map((axis) => pointsOf(axis, alignCorners));
    return bilinear(x, rows, cols);
  }
  if (mode !== "nearest") throw new Error(`interpolate: mode must be "nearest" or "bilinear", got "${mode}"`);
  if (alignCorners) throw new Error('interpolate: alignCorners must go with mode "bilinear", got "nearest"');
  const [rows, cols] = axes.map(nearestOf);
  return averageWindows("interpolate", x, rows, cols);
}

/** One dimension: extents before and after, and the step in the input of one in the output. */
interface Axis {
  input: number;
  output: number;
  step: number;
}

function axesOf(inputs: readonly number[], { size, scaleFactor }: InterpolateOptions): Axis[] {
  if ((size === undefined) === (scaleFactor === undefined)) {
    throw new Error(`interpolate: size or scaleFactor must be given, got ${size === undefined ? "neither" : "both"}`);
  }
  if (size !== undefined) {
    const outputs = perDim("interpolate", "size", size, 2, 1);
    return inputs.map((input, d) => ({ input, output: outputs[d], step: input / outputs[d] }));
  }
  const factors = typeof scaleFactor === "number" ? [scaleFactor, scaleFactor] : (scaleFactor as readonly number[]);
  return inputs.map((input, d) => {
    const output = Math.floor(input * factors[d]);
    if (!(factors.length === 2 && output > 0)) {
      throw new ShapeError(
        `interpolate: scaleFactor must be one or two numbers that leave a pixel, got ${showShape(factors)} for ${showShape(inputs)}`,
      );
    }
    return { input, output, step: 1 / factors[d] };
  });
}

// Coordinates are float32, as PyTorch's: on an edge between two pixels rounding decides which is taken.

function nearestOf({ input, output, step }: Axis): Window[] {
  return Array.from({ length: output }, (_, i) => {
    const start = Math.min(Math.floor(Math.fround(i * Math.fround(step))), input - 1);
    return [start, start + 1, 1];
  });
}

/** Where each output lies, from 0 to input − 1. */
function pointsOf({ input, output, step }: Axis, alignCorners: boolean): Float32Array {
  const f = Math.fround;
  const stride = f(alignCorners ? (input - 1) / Math.max(output - 1, 1) : step);
  return Float32Array.from({ length: output }, (_, i) => {
    const point = alignCorners ? stride * i : f(stride * f(i + 0.5)) - 0.5;
    return Math.min(Math.max(point, 0), input - 1);
  });
}

function bilinear(x: Tensor, rows: Float32Array, cols: Float32Array): Tensor {
  const { planes, height, width } = imagesOf("interpolate", x);
  const y = empty([...x.shape.slice(0, -2), rows.length, cols.length]);
  const points = [tensor(rows), tensor(cols)];
  const extents = [planes, height, width, rows.length, cols.length] as const;
  scope(() => kernels.bilinear(y.ptr, dense(x).ptr, points[0].ptr, points[1].ptr, ...extents));
  const spread = (dy: Tensor) => {
    const dx = zeros(x.shape);
    kernels.bilinearGrad(dx.ptr, dense(dy).ptr, points[0].ptr, points[1].ptr, ...extents);
    return dx;
  };
  const recorded = record("interpolate", y, [x], points, [spread]);
  for (const t of points) t.dispose();
  return recorded;
}
