/** Pure rules of shapes and strides (in elements). Every error names the operation. */
import { ShapeError, showShape } from "./errors.js";

export type Dim = number;
export type Shape = readonly number[];
export type Strides = readonly number[];

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Row-major strides: the last dimension has stride 1. */
export function denseStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}

/** The index in each dimension of the element that is number `i` in row-major order. */
export function positionOf(shape: Shape, i: number): number[] {
  return denseStrides(shape).map((stride, d) => Math.floor(i / stride) % shape[d]);
}

/** Whether elements lie in row-major order without gaps; strides of extents 1 (and of empty tensors) don't matter. */
export function isDense(shape: Shape, strides: Strides): boolean {
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] === 0) return true;
    if (shape[d] !== 1 && strides[d] !== stride) return false;
    stride *= shape[d];
  }
  return true;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, d) => extent === b[d]);
}

/** Checks that every extent is a whole number from 0. */
export function checkShape(op: string, shape: Shape): void {
  if (!shape.every((extent) => Number.isInteger(extent) && extent >= 0)) {
    throw new ShapeError(`${op}: extents must be whole numbers from 0, got ${showShape(shape)}`);
  }
}

/** `dim` counted from the front, where negative ones count from the end. */
export function normalizeDim(op: string, dim: Dim, ndim: number): number {
  const range = Math.max(ndim, 1);
  if (!Number.isInteger(dim) || dim < -range || dim >= range) {
    throw new ShapeError(`${op}: dim must be from ${-range} to ${range - 1}, got ${dim}`);
  }
  return dim < 0 ? dim + range : dim;
}

/** All dims, or the listed ones in ascending order; listing one twice is an error. */
export function normalizeDims(op: string, dims: Dim | readonly Dim[] | undefined, ndim: number): number[] {
  if (dims === undefined) return Array.from({ length: ndim }, (_, d) => d);
  const listed = (typeof dims === "number" ? [dims] : dims).map((dim) => normalizeDim(op, dim, ndim));
  if (new Set(listed).size !== listed.length) throw new ShapeError(`${op}: dims must differ, got ${showShape(listed)}`);
  return listed.filter((d) => d < ndim).sort((a, b) => a - b);
}

/** The shape that both broadcast to: aligned at the end, extents equal or 1. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const ndim = Math.max(a.length, b.length);
  return Array.from({ length: ndim }, (_, d) => {
    const x = a[d - ndim + a.length] ?? 1;
    const y = b[d - ndim + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(`${op}: shapes must broadcast together, got ${showShape(a)} and ${showShape(b)}`);
    }
    return x === 1 ? y : x;
  });
}

/** The strides with which a tensor reads as the broadcast `target`: 0 where it repeats. */
export function broadcastStrides(shape: Shape, strides: Strides, target: Shape): number[] {
  const lead = target.length - shape.length;
  return target.map((extent, d) => (d < lead || (shape[d - lead] === 1 && extent !== 1) ? 0 : strides[d - lead]));
}

/** Replaces the one -1 of a reshape by what the size leaves for it. */
export function inferShape(op: string, shape: Shape, size: number): number[] {
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  const open = shape.filter((extent) => extent === -1).length;
  const inferred = shape.map((extent) => (extent === -1 ? size / known : extent));
  if (open > 1 || !inferred.every((e) => Number.isInteger(e) && e >= 0) || sizeOf(inferred) !== size) {
    throw new ShapeError(`${op}: a tensor of ${size} elements must fit the shape, got ${showShape(shape)}`);
  }
  return inferred;
}

/** Strides that read the same elements in a new shape, or null where only a copy can. */
export function reshapeStrides(shape: Shape, strides: Strides, target: Shape): number[] | null {
  if (isDense(shape, strides)) return denseStrides(target);
  const merged = collapse(shape, [strides]);
  const result = new Array<number>(target.length).fill(0);
  let group = merged.shape.length - 1;
  let left = group >= 0 ? merged.shape[group] : 1;
  let stride = group >= 0 ? merged.strides[0][group] : 1;
  for (let d = target.length - 1; d >= 0; d--) {
    if (target[d] === 1) continue;
    if (left === 1 && group > 0) {
      group--;
      left = merged.shape[group];
      stride = merged.strides[0][group];
    }
    if (left % target[d] !== 0) return null;
    result[d] = stride;
    stride *= target[d];
    left /= target[d];
  }
  return result;
}

/**
 * The fewest dimensions that walk the same elements in the same order: drops extents of 1 and merges neighbours that
 * every operand can step over as one.
 */
export function collapse(shape: Shape, strides: readonly Strides[]): { shape: number[]; strides: number[][] } {
  const outShape: number[] = [];
  const outStrides: number[][] = strides.map(() => []);
  for (let d = 0; d < shape.length; d++) {
    if (shape[d] === 1) continue;
    const last = outShape.length - 1;
    if (last >= 0 && strides.every((s, i) => outStrides[i][last] === s[d] * shape[d])) {
      outShape[last] *= shape[d];
      for (let i = 0; i < strides.length; i++) outStrides[i][last] = strides[i][d];
    } else {
      outShape.push(shape[d]);
      for (let i = 0; i < strides.length; i++) outStrides[i].push(strides[i][d]);
    }
  }
  return { shape: outShape, strides: outStrides };
}

/** Dims `from` to `to` as one extent and its stride (1 if there is one element), or null where they don't lie together. */
export function mergedDims(
  { shape, strides }: { shape: Shape; strides: Strides },
  from: number,
  to: number,
): readonly [extent: number, stride: number] | null {
  let extent = 1;
  let stride = 1;
  for (let d = to - 1; d >= from; d--) {
    if (shape[d] === 1) continue;
    if (extent === 1) stride = strides[d];
    else if (strides[d] !== extent * stride) return null;
    extent *= shape[d];
  }
  return [extent, stride];
}

/** Calls `visit` with each operand's element offset, in row-major order of the indices of `shape`. */
export function forEachOffset(
  shape: Shape,
  strides: readonly Strides[],
  visit: (offsets: readonly number[]) => void,
): void {
  if (sizeOf(shape) === 0) return;
  const index = new Array<number>(shape.length).fill(0);
  const offsets = strides.map(() => 0);
  for (;;) {
    visit(offsets);
    let d = shape.length - 1;
    for (; d >= 0; d--) {
      for (let i = 0; i < strides.length; i++) offsets[i] += strides[i][d];
      if (++index[d] < shape[d]) break;
      for (let i = 0; i < strides.length; i++) offsets[i] -= strides[i][d] * shape[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}
