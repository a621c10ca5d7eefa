/** Shape operations: new handles on the same storage; a copy only where strides cannot express the shape. */
import { copyInto, dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import {
  broadcastStrides,
  type Dim,
  denseStrides,
  inferShape,
  normalizeDim,
  reshapeStrides,
  type Shape,
  sameShape,
  sizeOf,
} from "../shape.js";
import { alias, empty, section, type Tensor } from "../tensor.js";
import { zeros } from "./create.js";
import { sumTo } from "./reduce.js";

/** The same elements, in row-major order, in another shape; one extent may be -1. Copies only where strides can't tell. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const target = inferShape("reshape", shape, x.size);
  const strides = reshapeStrides(x.shape, x.strides, target);
  const source = strides ? x : dense(x);
  const y = alias(source, target, strides ?? denseStrides(target));
  if (source !== x) source.dispose();
  return record("reshape", y, [x], [], [(dy) => reshape(dy, x.shape)]);
}

/** `reshape` that never copies: strides that cannot express the shape are an error. */
export function view(x: Tensor, shape: Shape): Tensor {
  const target = inferShape("view", shape, x.size);
  if (!reshapeStrides(x.shape, x.strides, target)) {
    throw new ShapeError(
      `view: the strides must allow ${showShape(target)} without a copy, got ${showShape(x.shape)} with strides ${showShape(x.strides)}; use reshape`,
    );
  }
  return reshape(x, target);
}

/** y[i_dims[0], i_dims[1], …] = x[i_0, i_1, …] */
export function permute(x: Tensor, dims: readonly Dim[]): Tensor {
  const order = dims.map((dim) => normalizeDim("permute", dim, x.ndim));
  if (order.length !== x.ndim || new Set(order).size !== x.ndim) {
    throw new ShapeError(`permute: dims must list each of the ${x.ndim} dimensions once, got ${showShape(dims)}`);
  }
  const inverse = order.map((_, d) => order.indexOf(d));
  const y = alias(
    x,
    order.map((d) => x.shape[d]),
    order.map((d) => x.strides[d]),
  );
  return record("permute", y, [x], [], [(dy) => permute(dy, inverse)]);
}

/** Swaps two dimensions. */
export function transpose(x: Tensor, dim0: Dim, dim1: Dim): Tensor {
  const a = normalizeDim("transpose", dim0, x.ndim);
  const b = normalizeDim("transpose", dim1, x.ndim);
  return permute(
    x,
    x.shape.map((_, d) => (d === a ? b : d === b ? a : d)),
  );
}

/** Drops dimension `dim` if its extent is 1; without `dim`, all extents of 1. */
export function squeeze(x: Tensor, dim?: Dim): Tensor {
  const only = dim === undefined ? null : normalizeDim("squeeze", dim, x.ndim);
  return reshape(
    x,
    x.shape.filter((extent, d) => extent !== 1 || (only !== null && d !== only)),
  );
}

/** Inserts an extent of 1 before dimension `dim` of the result. */
export function unsqueeze(x: Tensor, dim: Dim): Tensor {
  const at = normalizeDim("unsqueeze", dim, x.ndim + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Repeats extents of 1 (and leading dimensions) without a copy; -1 keeps an extent. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const lead = shape.length - x.ndim;
  const target = shape.map((extent, d) => (extent === -1 ? (x.shape[d - lead] ?? -1) : extent));
  if (
    lead < 0 ||
    !target.every((extent, d) => extent >= 0 && (d < lead || x.shape[d - lead] === extent || x.shape[d - lead] === 1))
  ) {
    throw new ShapeError(`expand: extents must match or be 1, got ${showShape(x.shape)} to ${showShape(shape)}`);
  }
  const y = alias(x, target, broadcastStrides(x.shape, x.strides, target));
  return record("expand", y, [x], [], [(dy) => sumTo(dy, x.shape)]);
}

/** Merges dimensions `startDim` to `endDim`, both included. */
export function flatten(x: Tensor, { startDim = 0, endDim = -1 }: { startDim?: Dim; endDim?: Dim } = {}): Tensor {
  const start = normalizeDim("flatten", startDim, x.ndim);
  const end = normalizeDim("flatten", endDim, x.ndim);
  if (start > end) throw new ShapeError(`flatten: startDim must not exceed endDim, got ${startDim} and ${endDim}`);
  return reshape(x, [...x.shape.slice(0, start), sizeOf(x.shape.slice(start, end + 1)), ...x.shape.slice(end + 1)]);
}

/** The part of `length` from `start` along `dim`. */
export function narrow(x: Tensor, dim: Dim, start: number, length: number): Tensor {
  const d = normalizeDim("narrow", dim, x.ndim);
  const from = start < 0 ? start + x.shape[d] : start;
  if (
    !(Number.isInteger(from) && Number.isInteger(length) && from >= 0 && length >= 0 && from + length <= x.shape[d])
  ) {
    throw new ShapeError(
      `narrow: start and length must lie within extent ${x.shape[d]} of dim ${dim}, got ${start} and ${length}`,
    );
  }
  return record("narrow", section(x, d, from, length), [x], [], [(dy) => ({ values: dy, dim: d, start: from })]);
}

/**
 * What one dimension gives: null all of it, a number the element there without the dimension, else from `start` up to
 * `end` by `step`; bounds left out or null are the ends, negative ones count from the end, those beyond it are the end.
 */
export type Range = null | number | readonly [start?: number | null, end?: number | null, step?: number];

/** Python's x[range, range, …], a view: `slice(x, [0, null, [1, -1]])` is x[0, :, 1:-1]. */
export function slice(x: Tensor, ranges: readonly Range[]): Tensor {
  if (ranges.length > x.ndim)
    throw new ShapeError(`slice: ranges must be ${x.ndim} at most, got ${ranges.length} for ${showShape(x.shape)}`);
  const spans = x.shape.map((extent, d) => spanOf(ranges[d] ?? null, d, extent));
  const isKept = (_: number, d: number) => typeof ranges[d] !== "number";
  const cut = (t: Tensor) =>
    alias(
      t,
      spans.map(({ length }) => length).filter(isKept),
      spans.map(({ step }, d) => step * t.strides[d]).filter(isKept),
      spans.reduce((offset, { start }, d) => offset + start * t.strides[d], t.offset),
    );
  return record("slice", cut(x), [x], [], [(dy) => placed(x.shape, dy, cut)]);
}

type Span = { start: number; length: number; step: number };

function spanOf(range: Range, dim: number, extent: number): Span {
  if (typeof range === "number") {
    if (!Number.isInteger(range) || range < -extent || range >= extent) {
      throw new ShapeError(`slice: the index of dim ${dim} must be from ${-extent} to ${extent - 1}, got ${range}`);
    }
    return { start: range < 0 ? range + extent : range, length: 1, step: 1 };
  }
  const [from, to, step = 1] = range ?? [];
  const [first, last] = [from ?? 0, to ?? extent];
  if (![first, last, step].every(Number.isInteger) || step < 1) {
    throw new ShapeError(
      `slice: bounds must be whole numbers and the step one from 1, got ${showShape([first, last, step])} in dim ${dim}`,
    );
  }
  const within = (i: number) => Math.min(Math.max(i < 0 ? i + extent : i, 0), extent);
  const length = Math.max(0, Math.ceil((within(last) - within(first)) / step));
  return { start: length === 0 ? 0 : within(first), length, step };
}

/** The part at index `i` of `dim`, without that dimension. */
export function select(x: Tensor, dim: Dim, i: number): Tensor {
  const d = normalizeDim("select", dim, x.ndim);
  if (!Number.isInteger(i) || i < -x.shape[d] || i >= x.shape[d]) {
    throw new ShapeError(`select: the index must be from ${-x.shape[d]} to ${x.shape[d] - 1}, got ${i}`);
  }
  const row = narrow(x, d, i < 0 ? i + x.shape[d] : i, 1);
  return reshape(row, [...x.shape.slice(0, d), ...x.shape.slice(d + 1)]);
}

/** Joins tensors along an existing dimension. */
export function cat(tensors: readonly Tensor[], dim: Dim = 0): Tensor {
  if (tensors.length === 0) throw new ShapeError("cat: at least one tensor must be given, got none");
  const [first] = tensors;
  if (first.ndim === 0) throw new ShapeError("cat: tensors must have a dimension, got []; use stack");
  const d = normalizeDim("cat", dim, first.ndim);
  for (const t of tensors) {
    if (t.ndim !== first.ndim || t.dtype !== first.dtype || !t.shape.every((e, i) => i === d || e === first.shape[i])) {
      throw new ShapeError(
        `cat: shapes must agree outside dim ${dim}, and dtypes, got ${showShape(first.shape)} ${first.dtype} and ${showShape(t.shape)} ${t.dtype}`,
      );
    }
  }
  const starts: number[] = [];
  let extent = 0;
  for (const t of tensors) {
    starts.push(extent);
    extent += t.shape[d];
  }
  const y = empty(
    first.shape.map((e, i) => (i === d ? extent : e)),
    first.dtype,
  );
  tensors.forEach((t, i) => {
    copyInto(section(y, d, starts[i], t.shape[d]), t);
  });
  const vjps = tensors.map((t, i) => (dy: Tensor) => section(dy, d, starts[i], t.shape[d]));
  return record("cat", y, tensors, [], vjps);
}

/** Joins tensors of one shape along a new dimension. */
export function stack(tensors: readonly Tensor[], dim: Dim = 0): Tensor {
  if (tensors.length === 0) throw new ShapeError("stack: at least one tensor must be given, got none");
  const [first] = tensors;
  const d = normalizeDim("stack", dim, first.ndim + 1);
  const odd = tensors.find((t) => t.dtype !== first.dtype || !sameShape(t.shape, first.shape));
  if (odd) {
    throw new ShapeError(
      `stack: shapes and dtypes must agree, got ${showShape(first.shape)} ${first.dtype} and ${showShape(odd.shape)} ${odd.dtype}`,
    );
  }
  return scope(() =>
    cat(
      tensors.map((t) => unsqueeze(t, d)),
      d,
    ),
  );
}

/** Parts of `size` along `dim` (the last may be shorter), or of the listed sizes. */
export function split(x: Tensor, size: number | readonly number[], dim: Dim = 0): Tensor[] {
  const d = normalizeDim("split", dim, x.ndim);
  const sizes = typeof size === "number" ? evenSizes(x.shape[d], size) : size;
  if (!sizes.every((s) => Number.isInteger(s) && s >= 0) || sizes.reduce((sum, s) => sum + s, 0) !== x.shape[d]) {
    throw new ShapeError(
      `split: sizes must be whole numbers from 0 that add up to ${x.shape[d]}, got ${showShape(sizes)}`,
    );
  }
  let start = 0;
  return sizes.map((length) => {
    const y = narrow(x, d, start, length);
    start += length;
    return y;
  });
}

/** At most `n` parts of equal size along `dim` (the last may be shorter). */
export function chunk(x: Tensor, n: number, dim: Dim = 0): Tensor[] {
  if (!(Number.isInteger(n) && n > 0))
    throw new ShapeError(`chunk: the number of chunks must be a whole number from 1, got ${n}`);
  return split(x, Math.max(1, Math.ceil(x.shape[normalizeDim("chunk", dim, x.ndim)] / n)), dim);
}

function evenSizes(extent: number, size: number): number[] {
  if (!(Number.isInteger(size) && size > 0))
    throw new ShapeError(`split: the size must be a whole number from 1, got ${size}`);
  return Array.from({ length: Math.max(1, Math.ceil(extent / size)) }, (_, i) => Math.min(size, extent - i * size));
}

/** Zeros of `shape`, with `dy` where `place` looks at them. */
export function placed(shape: Shape, dy: Tensor, place: (zeros: Tensor) => Tensor): Tensor {
  const dx = zeros(shape);
  copyInto(place(dx), dy);
  return dx;
}
