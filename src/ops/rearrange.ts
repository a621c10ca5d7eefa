/** Elements in other places, or in several: copies, unlike the views of view.ts. */
import { clone, copyInto } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { type Dim, normalizeDim, normalizeDims, type Shape } from "../shape.js";
import { alias, type Tensor } from "../tensor.js";
import { full, tensor } from "./create.js";
import { checkDtype } from "./dtype.js";
import { indexSelect } from "./gather.js";
import { cat, expand, narrow, placed, reshape, unsqueeze } from "./view.js";

export interface PadOptions {
  value?: number;
}

/**
 * x with `value` around it.
 *
 * @param pads how many before and after the last dimension, then the one before it, …; negative ones cut off
 * Source: torch.nn.functional.pad
 */
export function pad(x: Tensor, pads: readonly number[], options: PadOptions = {}): Tensor {
  checkOptions("pad", options, ["value"]);
  const { value = 0 } = options;
  if (pads.length % 2 !== 0 || pads.length > 2 * x.ndim || !pads.every(Number.isInteger)) {
    throw new ShapeError(
      `pad: pads must be pairs of whole numbers for at most ${x.ndim} dimensions, got ${showShape(pads)}`,
    );
  }
  const before = x.shape.map((_, d) => pads[2 * (x.ndim - 1 - d)] ?? 0);
  const shape = x.shape.map((extent, d) => extent + before[d] + (pads[2 * (x.ndim - 1 - d) + 1] ?? 0));
  if (shape.some((extent) => extent < 0)) {
    throw new ShapeError(
      `pad: extents must not become negative, got ${showShape(shape)} from ${showShape(x.shape)} with pads ${showShape(pads)}`,
    );
  }
  const inX = (t: Tensor) =>
    overlap(
      t,
      shape,
      before.map((n) => -n),
    );
  const inY = (t: Tensor) => overlap(t, x.shape, before);
  const y = full(shape, value, { dtype: x.dtype });
  copyInto(inY(y), inX(x));
  return record("pad", y, [x], [], [(dy) => placed(x.shape, inY(dy), inX)]);
}

/** x in reverse order along `dims`. */
export function flip(x: Tensor, dims: Dim | readonly Dim[]): Tensor {
  const reversed = normalizeDims("flip", dims, x.ndim);
  return record("flip", clone(backward(x, reversed)), [x], [], [(dy) => clone(backward(dy, reversed))]);
}

export interface RollOptions {
  /** The dimension of each shift; without it, x is rolled in row-major order. */
  dims?: Dim | readonly Dim[];
}

/** x moved on by `shifts` places along `dims`; what leaves at the end comes back at the start. */
export function roll(x: Tensor, shifts: number | readonly number[], options: RollOptions = {}): Tensor {
  checkOptions("roll", options, ["dims"]);
  const steps = [shifts].flat();
  if (!steps.every(Number.isInteger)) throw new Error(`roll: shifts must be whole numbers, got ${showShape(steps)}`);
  if (options.dims === undefined) {
    if (steps.length !== 1) throw new Error(`roll: shifts must be one number without dims, got ${showShape(steps)}`);
    return scope(() => reshape(rolled(reshape(x, [-1]), 0, steps[0]), x.shape));
  }
  const dims = [options.dims].flat().map((dim) => normalizeDim("roll", dim, x.ndim));
  if (dims.length !== steps.length) {
    throw new Error(`roll: shifts and dims must be as many, got ${showShape(steps)} and ${showShape(dims)}`);
  }
  return scope(() => dims.reduce((y, d, i) => rolled(y, d, steps[i]), x));
}

/** x as many times along each dimension as `counts` says; more counts than dimensions add dimensions in front. */
export function repeat(x: Tensor, counts: readonly number[]): Tensor {
  checkCounts("repeat", counts);
  const lead = counts.length - x.ndim;
  if (lead < 0) {
    throw new ShapeError(
      `repeat: there must be a count for each dimension of ${showShape(x.shape)}, got ${showShape(counts)}`,
    );
  }
  const shape = counts.map((_, d) => (d < lead ? 1 : x.shape[d - lead]));
  return scope(() => {
    const apart = reshape(
      x,
      shape.flatMap((extent) => [1, extent]),
    );
    const expanded = expand(
      apart,
      shape.flatMap((extent, d) => [counts[d], extent]),
    );
    return reshape(
      expanded,
      shape.map((extent, d) => counts[d] * extent),
    );
  });
}

export interface RepeatInterleaveOptions {
  /** Without it, x is repeated in row-major order, as one dimension. */
  dim?: Dim;
}

/** Each part of x along `dim` as often as `repeats` says, in place: a number for all, or int32 with one for each. */
export function repeatInterleave(x: Tensor, repeats: number | Tensor, options: RepeatInterleaveOptions = {}): Tensor {
  checkOptions("repeatInterleave", options, ["dim"]);
  if (options.dim === undefined && x.ndim !== 1)
    return scope(() => repeatInterleave(reshape(x, [-1]), repeats, { dim: 0 }));
  const d = normalizeDim("repeatInterleave", options.dim ?? 0, x.ndim);
  if (typeof repeats !== "number") return repeatEach(x, d, repeats);
  checkCounts("repeatInterleave", [repeats]);
  return scope(() => {
    const shape = [...x.shape.slice(0, d + 1), repeats, ...x.shape.slice(d + 1)];
    const repeated = x.shape.map((extent, i) => (i === d ? extent * repeats : extent));
    return reshape(expand(unsqueeze(x, d + 1), shape), repeated);
  });
}

function repeatEach(x: Tensor, d: number, repeats: Tensor): Tensor {
  checkDtype("repeatInterleave", "repeats", repeats, "int32");
  const counts = [...repeats.data<Int32Array<ArrayBuffer>>()];
  checkCounts("repeatInterleave", counts);
  if (repeats.ndim !== 1 || counts.length !== x.shape[d]) {
    throw new ShapeError(
      `repeatInterleave: repeats must have one count for each of ${x.shape[d]}, got ${showShape(repeats.shape)}`,
    );
  }
  const index = counts.flatMap((count, i) => new Array<number>(count).fill(i));
  return scope(() => indexSelect(x, d, tensor(Int32Array.from(index))));
}

/** Where t and a tensor of `shape` that starts at `origin` in it lie over each other, as a view of t. */
function overlap(t: Tensor, shape: Shape, origin: readonly number[]): Tensor {
  const starts = origin.map((at) => Math.max(at, 0));
  const lengths = shape.map((extent, d) => Math.max(0, Math.min(t.shape[d], origin[d] + extent) - starts[d]));
  const first = lengths.includes(0) ? 0 : starts.reduce((sum, start, d) => sum + start * t.strides[d], 0);
  return alias(t, lengths, t.strides, t.offset + first);
}

/** A view that runs backward along `dims`. */
function backward(x: Tensor, dims: readonly number[]): Tensor {
  const last = x.size === 0 ? 0 : dims.reduce((offset, d) => offset + (x.shape[d] - 1) * x.strides[d], 0);
  const strides = x.strides.map((stride, d) => (dims.includes(d) ? -stride : stride));
  return alias(x, x.shape, strides, x.offset + last);
}

function rolled(x: Tensor, d: number, shift: number): Tensor {
  const extent = x.shape[d] ?? 0;
  if (extent === 0) return cat([x]);
  const at = ((shift % extent) + extent) % extent;
  return cat([narrow(x, d, extent - at, at), narrow(x, d, 0, extent - at)], d);
}

function checkCounts(op: string, counts: readonly number[]): void {
  if (!counts.every((count) => Number.isInteger(count) && count >= 0))
    throw new ShapeError(`${op}: counts must be whole numbers from 0, got ${showShape(counts)}`);
}
