/** Convolutions (cross-correlations, as everywhere in the field) as matrix products of filters and patches. */
import { copyInto, dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { denseStrides, type Shape, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { offsetBy } from "../wasm/memory.js";
import { zeros } from "./create.js";
import { checkDtype } from "./dtype.js";
import { type Matrices, multiply, transposed } from "./matmul.js";
import { sumTo } from "./reduce.js";
import { reshape, squeeze, unsqueeze } from "./view.js";

/** One number for all dimensions, or one for each. */
export type PerDim = number | readonly number[];

export interface ConvOptions {
  stride?: PerDim;
  /** Zeros on both sides; "same" keeps the extents (with stride 1), "valid" is 0. */
  padding?: PerDim | "same" | "valid";
  dilation?: PerDim;
  /** Channels come in so many groups, each of which sees its own filters alone. */
  groups?: number;
}

export interface ConvTransposeOptions {
  stride?: PerDim;
  padding?: PerDim;
  /** Rows and columns that are added at the end alone. */
  outputPadding?: PerDim;
  dilation?: PerDim;
  groups?: number;
}

/**
 * y[n, o, l] = bias[o] + Σ w[o, c, i] · x[n, c, l·stride + i·dilation − padding] over the channels c of o's group
 *
 * @param x [N, C, L] or [C, L]
 * @param weight [O, C / groups, k]
 */
export function conv1d(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor {
  checkOptions("conv1d", options, ["stride", "padding", "dilation", "groups"]);
  checkOperands("conv1d", x, weight, 1);
  const { stride = 1, padding = 0, dilation = 1, groups } = options;
  return scope(() => {
    const y = convolution("conv1d", unsqueeze(x, -2), unsqueeze(weight, -2), bias, {
      stride: [1, ...perDim("conv1d", "stride", stride, 1, 1)],
      padding: typeof padding === "string" ? padding : [0, ...perDim("conv1d", "padding", padding, 1, 0)],
      dilation: [1, ...perDim("conv1d", "dilation", dilation, 1, 1)],
      groups,
    });
    return squeeze(y, -2);
  });
}

/**
 * y[n, o, r, s] = bias[o] + Σ w[o, c, i, j] · x[n, c, r·stride + i·dilation − padding, …] over the channels c of o's group
 *
 * @param x [N, C, H, W] or [C, H, W]
 * @param weight [O, C / groups, kH, kW]
 * Source: torch.nn.functional.conv2d
 */
export function conv2d(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor {
  checkOptions("conv2d", options, ["stride", "padding", "dilation", "groups"]);
  checkOperands("conv2d", x, weight, 2);
  return convolution("conv2d", x, weight, bias, options);
}

/**
 * The gradient of `conv2d` by its input, as an operation: y[n, o, r·stride + i·dilation − padding, …] += x[n, c, r, …] ·
 * w[c, o, i, j], and bias[o].
 *
 * @param x [N, C, H, W] or [C, H, W]
 * @param weight [C, O / groups, kH, kW]
 * Source: torch.nn.functional.conv_transpose2d
 */
export function convTranspose2d(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvTransposeOptions = {}): Tensor {
  const op = "convTranspose2d";
  checkOptions(op, options, ["stride", "padding", "outputPadding", "dilation", "groups"]);
  checkOperands(op, x, weight, 2);
  if (x.ndim === 3) return scope(() => squeeze(convTranspose2d(unsqueeze(x, 0), weight, bias, options), 0));
  const g = transposedGeometry(op, x.shape, weight.shape, options);
  checkBias(op, bias, weight.shape[1] * g.groups);
  const a = dense(x);
  const w = dense(weight);
  const y = startingFrom(bias, [g.images, g.groups * g.channels, g.rows.input, g.cols.input]);
  backproject(y, a, w, g);
  const saved = [...(weight.requiresGrad ? [a] : []), ...(x.requiresGrad ? [w] : [])];
  return record(op, y, [x, weight, bias], saved, [
    (dy) => correlate(zeros(x.shape), dense(dy), w, g),
    (dy) => correlateWeights(zeros(weight.shape), a, dense(dy), g),
    (dy) => biasGrad(dy),
  ]);
}

function convolution(op: string, x: Tensor, weight: Tensor, bias: Tensor | undefined, options: ConvOptions): Tensor {
  if (x.ndim === 3) return scope(() => squeeze(convolution(op, unsqueeze(x, 0), weight, bias, options), 0));
  const g = geometry(op, x.shape, weight.shape, options);
  checkBias(op, bias, weight.shape[0]);
  const a = dense(x);
  const w = dense(weight);
  const y = startingFrom(bias, [g.images, weight.shape[0], g.rows.output, g.cols.output]);
  correlate(y, a, w, g);
  const saved = [...(weight.requiresGrad ? [a] : []), ...(x.requiresGrad ? [w] : [])];
  return record(op, y, [x, weight, bias], saved, [
    (dy) => backproject(zeros(x.shape), dense(dy), w, g),
    (dy) => correlateWeights(zeros(weight.shape), dense(dy), a, g),
    (dy) => biasGrad(dy),
  ]);
}

/** What one spatial dimension of a convolution is: `input` elements, `output` windows of `kernel` taps. */
interface Axis {
  input: number;
  output: number;
  kernel: number;
  stride: number;
  dilation: number;
  /** Zeros before the first element. */
  before: number;
}

/** The two dimensions, and per group `channels` of the input and `filters` of the output. */
interface Geometry {
  images: number;
  groups: number;
  channels: number;
  filters: number;
  rows: Axis;
  cols: Axis;
}

/** Patches are formed for so many bytes at a time: they stay in the second-level cache. */
const PATCH_BYTES = 1 << 20;

/** Some images, or some rows of outputs of one image. */
interface Part {
  image: number;
  images: number;
  row: number;
  rows: number;
}

/** Parts that depend on the shapes alone, in order. */
function partsOf({ images, groups, channels, rows, cols }: Geometry): Part[] {
  const perRow = 4 * groups * channels * rows.kernel * cols.kernel * cols.output;
  const rowsAtOnce = Math.max(1, Math.floor(PATCH_BYTES / Math.max(perRow, 1)));
  const whole = Math.max(1, Math.floor(rowsAtOnce / Math.max(rows.output, 1)));
  const parts: Part[] = [];
  for (let image = 0; image < images; image += whole) {
    for (let row = 0; row < rows.output; row += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, rows.output - row);
      parts.push({ image, images: Math.min(whole, images - image), row, rows: count });
    }
  }
  return parts;
}

/** y += filters · patches of x */
function correlate(y: Tensor, x: Tensor, weight: Tensor, g: Geometry): Tensor {
  for (const part of partsOf(g)) {
    scope(() => multiply(outputsOf(y, g, part), filtersOf(weight, g), patchesOf(x, g, part), { accumulate: true }));
  }
  return y;
}

/** x += filtersᵀ · y, each patch where it was read */
function backproject(x: Tensor, y: Tensor, weight: Tensor, g: Geometry): Tensor {
  for (const part of partsOf(g)) {
    scope(() => {
      const filters = transposed(filtersOf(weight, g));
      const outputs = outputsOf(y, g, part);
      if (isPointwise(g)) return multiply(inputsOf(x, g, part), filters, outputs, { accumulate: true });
      const patches = emptyPatches(g, part);
      multiply(patches, filters, outputs);
      kernels.col2im(inputsOf(x, g, { ...part, row: 0 }).ptr, patches.ptr, ...kernelGeometry(g, part));
    });
  }
  return x;
}

/** dw += Σ y · patchesᵀ of x over the images */
function correlateWeights(dw: Tensor, y: Tensor, x: Tensor, g: Geometry): Tensor {
  for (const part of partsOf(g)) {
    scope(() =>
      multiply(filtersOf(dw, g), outputsOf(y, g, part), transposed(patchesOf(x, g, part)), { accumulate: true }),
    );
  }
  return dw;
}

/** [images, groups, taps of all channels, outputs]: a copy, unless the kernel is one tap and reads the input in order. */
function patchesOf(x: Tensor, g: Geometry, part: Part): Matrices {
  if (isPointwise(g)) return inputsOf(x, g, part);
  const patches = emptyPatches(g, part);
  kernels.im2col(patches.ptr, inputsOf(x, g, { ...part, row: 0 }).ptr, ...kernelGeometry(g, part));
  return patches;
}

function emptyPatches({ groups, channels, rows, cols }: Geometry, part: Part): Tensor {
  return empty([part.images, groups, channels * rows.kernel * cols.kernel, part.rows * cols.output]);
}

function isPointwise({ rows, cols }: Geometry): boolean {
  return [rows, cols].every((axis) => axis.kernel === 1 && axis.stride === 1 && axis.input === axis.output);
}

/** [groups, filters, taps of all channels] */
function filtersOf(weight: Tensor, { groups, channels, filters, rows, cols }: Geometry): Matrices {
  const shape = [groups, filters, channels * rows.kernel * cols.kernel];
  return { ptr: weight.ptr, shape, strides: denseStrides(shape) };
}

/** [images, groups, channels, pixels] of the convolution's input */
function inputsOf(x: Tensor, { groups, channels, rows, cols }: Geometry, part: Part): Matrices {
  return pixels(x, groups, channels, rows.input, cols.input, part);
}

/** [images, groups, filters, pixels] of the convolution's output */
function outputsOf(y: Tensor, { groups, filters, rows, cols }: Geometry, part: Part): Matrices {
  return pixels(y, groups, filters, rows.output, cols.output, part);
}

function pixels(x: Tensor, groups: number, channels: number, height: number, width: number, part: Part): Matrices {
  const plane = height * width;
  const image = groups * channels * plane;
  return {
    ptr: offsetBy(x.ptr, 4 * (part.image * image + part.row * width)),
    shape: [part.images, groups, channels, part.rows * width],
    strides: [image, channels * plane, plane, 1],
  };
}

/** What `im2col` and `col2im` want to know from `planes` on. */
function kernelGeometry({ groups, channels, rows, cols }: Geometry, part: Part) {
  return [
    part.images * groups * channels,
    rows.input,
    cols.input,
    rows.kernel,
    cols.kernel,
    part.rows,
    cols.output,
    rows.stride,
    cols.stride,
    rows.dilation,
    cols.dilation,
    rows.before - part.row * rows.stride,
    cols.before,
  ] as const;
}

/** The bias of each channel as [N, O, H, W], 0 where there is none. */
function startingFrom(bias: Tensor | undefined, shape: Shape): Tensor {
  const y = empty(shape);
  if (!bias) return y.fillWith(0);
  const repeated = alias(bias, shape, [0, bias.strides[0], 0, 0]);
  copyInto(y, repeated);
  repeated.dispose();
  return y;
}

/** Σ dy [N, O, H, W] over all but the channels */
function biasGrad(dy: Tensor): Tensor {
  const channels = dy.shape[1];
  return reshape(sumTo(dy, [channels, 1, 1]), [channels]);
}

function geometry(op: string, x: Shape, weight: Shape, options: ConvOptions): Geometry {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  checkGroups(op, groups, weight[0]);
  if (x[1] !== groups * weight[1]) {
    throw new ShapeError(
      `${op}: the input must have groups · ${weight[1]} = ${groups * weight[1]} channels for weight ${showShape(weight)}, got ${showShape(x)}`,
    );
  }
  const strides = perDim(op, "stride", stride, 2, 1);
  const dilations = perDim(op, "dilation", dilation, 2, 1);
  const [rows, cols] = [0, 1].map((d): Axis => {
    const [input, kernel] = [x[d + 2], weight[d + 2]];
    const reach = dilations[d] * (kernel - 1);
    const [before, after] = paddingOf(op, padding, d, strides[d], reach);
    const output = Math.floor((input + before + after - reach - 1) / strides[d]) + 1;
    checkExtent(op, output, x, weight);
    return { input, output, kernel, stride: strides[d], dilation: dilations[d], before };
  });
  return { images: x[0], groups, channels: weight[1], filters: weight[0] / groups, rows, cols };
}

/** The geometry of the convolution whose output has the shape of `x`. */
function transposedGeometry(op: string, x: Shape, weight: Shape, options: ConvTransposeOptions): Geometry {
  const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
  checkGroups(op, groups, weight[0]);
  if (x[1] !== weight[0]) {
    throw new ShapeError(
      `${op}: the input must have ${weight[0]} channels for weight ${showShape(weight)}, got ${showShape(x)}`,
    );
  }
  const strides = perDim(op, "stride", stride, 2, 1);
  const dilations = perDim(op, "dilation", dilation, 2, 1);
  const paddings = perDim(op, "padding", padding, 2, 0);
  const extra = perDim(op, "outputPadding", outputPadding, 2, 0);
  const [rows, cols] = [0, 1].map((d): Axis => {
    if (extra[d] >= Math.max(strides[d], dilations[d])) {
      throw new Error(`${op}: outputPadding must be less than stride or dilation, got ${extra[d]}`);
    }
    const [output, kernel] = [x[d + 2], weight[d + 2]];
    const input = (output - 1) * strides[d] - 2 * paddings[d] + dilations[d] * (kernel - 1) + extra[d] + 1;
    checkExtent(op, input, x, weight);
    return { input, output, kernel, stride: strides[d], dilation: dilations[d], before: paddings[d] };
  });
  return { images: x[0], groups, channels: weight[1], filters: weight[0] / groups, rows, cols };
}

/** Zeros before and after; an odd number of "same" puts one more after. */
function paddingOf(op: string, padding: PerDim | string, d: number, stride: number, reach: number): [number, number] {
  if (padding === "valid") return [0, 0];
  if (padding === "same") {
    if (stride !== 1) throw new Error(`${op}: stride must be 1 for padding "same", got ${stride}`);
    return [Math.floor(reach / 2), Math.ceil(reach / 2)];
  }
  if (typeof padding === "string")
    throw new Error(`${op}: padding must be numbers, "same" or "valid", got "${padding}"`);
  const zeros = perDim(op, "padding", padding, 2, 0)[d];
  return [zeros, zeros];
}

/** `value` for each of `dims` dimensions: whole numbers from `least`. */
export function perDim(op: string, name: string, value: PerDim, dims: number, least: number): readonly number[] {
  const values = typeof value === "number" ? new Array<number>(dims).fill(value) : value;
  if (values.length !== dims || !values.every((v) => Number.isInteger(v) && v >= least)) {
    const wanted = dims === 1 ? "a whole number" : `one or ${dims} whole numbers`;
    throw new Error(`${op}: ${name} must be ${wanted} from ${least}, got ${showShape(values)}`);
  }
  return values;
}

function checkOperands(op: string, x: Tensor, weight: Tensor, spatial: number): void {
  checkDtype(op, "the input", x, "float32");
  checkDtype(op, "the weight", weight, "float32");
  if (weight.ndim !== spatial + 2 || (x.ndim !== spatial + 2 && x.ndim !== spatial + 1)) {
    const space = spatial === 1 ? "L" : "H, W";
    throw new ShapeError(
      `${op}: the input must be [N, C, ${space}] or [C, ${space}] and the weight have ${spatial + 2} dimensions, got ${showShape(x.shape)} and ${showShape(weight.shape)}`,
    );
  }
}

function checkGroups(op: string, groups: number, channels: number): void {
  if (!(Number.isInteger(groups) && groups > 0 && channels % groups === 0)) {
    throw new Error(`${op}: groups must divide the weight's ${channels} channels, got ${groups}`);
  }
}

function checkExtent(op: string, extent: number, x: Shape, weight: Shape): void {
  if (!(extent > 0)) {
    throw new ShapeError(
      `${op}: the kernel must fit the padded input, got ${showShape(x)} and weight ${showShape(weight)}`,
    );
  }
}

function checkBias(op: string, bias: Tensor | undefined, channels: number): void {
  if (!bias) return;
  checkDtype(op, "the bias", bias, "float32");
  if (!sameShape(bias.shape, [channels])) {
    throw new ShapeError(`${op}: bias must have shape ${showShape([channels])}, got ${showShape(bias.shape)}`);
  }
}
