/** Elements and rows picked by int32 indices. */
import { clone, copyInto, dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { type Dim, normalizeDim, positionOf, type Shape, sameShape, sizeOf } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { int32View } from "../wasm/memory.js";
import { checkDtype, checkFourBytes } from "./dtype.js";

export interface EmbeddingOptions {
  /** A row that gets no gradient; negative counts from the end. */
  paddingIdx?: number;
}

/** y[…] = weight[ids[…]]: rows of the table `weight` [count, dim] by int32 `ids` of any shape. */
export function embedding(ids: Tensor, weight: Tensor, { paddingIdx }: EmbeddingOptions = {}): Tensor {
  checkDtype("embedding", "ids", ids, "int32");
  checkDtype("embedding", "the weight", weight, "float32");
  if (weight.ndim !== 2)
    throw new ShapeError(`embedding: the weight must have two dimensions, got ${showShape(weight.shape)}`);
  const [count, dim] = weight.shape;
  const padding = normalizePadding(paddingIdx, count);
  const rows = dense(ids);
  checkIndices("embedding: ids", rows, count);
  const table = dense(weight);
  const y = empty([...ids.shape, dim]);
  kernels.embedding(y.ptr, table.ptr, rows.ptr, rows.size, dim);
  if (table !== weight) table.dispose();
  return record(
    "embedding",
    y,
    [ids, weight],
    [rows],
    [
      null,
      (dy) => {
        const dw = empty(weight.shape).fillWith(0);
        kernels.embeddingGrad(dw.ptr, dense(dy).ptr, rows.ptr, rows.size, dim, padding);
        return dw;
      },
    ],
  );
}

/** The parts of x along `dim` that `index` [k] lists, in its order. */
export function indexSelect(x: Tensor, dim: Dim, index: Tensor): Tensor {
  const d = normalizeDim("indexSelect", dim, x.ndim);
  checkFourBytes("indexSelect", x);
  checkDtype("indexSelect", "the index", index, "int32");
  if (index.ndim !== 1 || x.ndim === 0) {
    throw new ShapeError(
      `indexSelect: the index must have one dimension and x at least one, got ${showShape(index.shape)} and ${showShape(x.shape)}`,
    );
  }
  const rows = dense(index);
  checkIndices("indexSelect: the index", rows, x.shape[d]);
  const source = dense(x);
  const extents = planes(x.shape, d, index.size);
  const y = empty(withExtent(x.shape, d, index.size), x.dtype);
  kernels.indexSelect(y.ptr, source.ptr, rows.ptr, ...extents);
  if (source !== x) source.dispose();
  const dx = (dy: Tensor) => {
    const total = empty(x.shape).fillWith(0);
    kernels.indexSelectGrad(total.ptr, dense(dy).ptr, rows.ptr, ...extents);
    return total;
  };
  return record("indexSelect", y, [x, index], [rows], [dx, null]);
}

/**
 * y[i, j, …] = x[i, index[i, j, …], …] with the index in the place of dimension `dim`.
 *
 * @param index of the shape of y; outside `dim` it may be smaller than x
 */
export function gather(x: Tensor, dim: Dim, index: Tensor): Tensor {
  const d = normalizeDim("gather", dim, x.ndim);
  checkFourBytes("gather", x);
  checkIndex("gather", index, d, x);
  const rows = dense(index);
  checkIndices("gather: the index", rows, x.shape[d]);
  const y = gathered(x, d, rows);
  return record("gather", y, [x, index], [rows], [(dy) => scattered(empty(x.shape).fillWith(0), d, rows, dy), null]);
}

/**
 * y = x, with src[i, j, …] added at [i, index[i, j, …], …], the index in the place of dimension `dim`.
 *
 * @param index outside `dim` it may be smaller than x, and everywhere than src
 */
export function scatterAdd(x: Tensor, dim: Dim, index: Tensor, src: Tensor): Tensor {
  const d = normalizeDim("scatterAdd", dim, x.ndim);
  checkDtype("scatterAdd", "x", x, "float32");
  checkDtype("scatterAdd", "src", src, "float32");
  checkIndex("scatterAdd", index, d, x);
  if (src.ndim !== index.ndim || index.shape.some((extent, i) => extent > src.shape[i])) {
    throw new ShapeError(
      `scatterAdd: the index must lie within src, got ${showShape(index.shape)} and ${showShape(src.shape)}`,
    );
  }
  const rows = dense(index);
  checkIndices("scatterAdd: the index", rows, x.shape[d]);
  const y = scattered(clone(x), d, rows, corner(src, index.shape));
  const dsrc = (dy: Tensor) => {
    const g = gathered(dy, d, rows);
    if (sameShape(src.shape, g.shape)) return g;
    const padded = empty(src.shape).fillWith(0);
    copyInto(corner(padded, g.shape), g);
    return padded;
  };
  return record("scatterAdd", y, [x, index, src], [rows], [(dy) => dy, null, dsrc]);
}

/** y[…, c] = 1 where c is the class x[…], else 0; int32, as its classes. */
export function oneHot(x: Tensor, classes: number): Tensor {
  checkDtype("oneHot", "the classes", x, "int32");
  if (!(Number.isInteger(classes) && classes > 0))
    throw new Error(`oneHot: the number of classes must be a whole number from 1, got ${classes}`);
  const ids = dense(x);
  checkIndices("oneHot: the classes", ids, classes);
  const y = empty([...x.shape, classes], "int32").fillWith(0);
  kernels.oneHot(y.ptr, ids.ptr, ids.size, classes);
  if (ids !== x) ids.dispose();
  return record("oneHot", y, [x], [], [null]);
}

/** -1 for none. */
function normalizePadding(paddingIdx: number | undefined, count: number): number {
  if (paddingIdx === undefined) return -1;
  const row = paddingIdx < 0 ? paddingIdx + count : paddingIdx;
  if (!(Number.isInteger(row) && row >= 0 && row < count)) {
    throw new Error(`embedding: paddingIdx must be from ${-count} to ${count - 1}, got ${paddingIdx}`);
  }
  return row;
}

/** What `gather` computes; `index` is dense. */
function gathered(x: Tensor, d: number, index: Tensor): Tensor {
  const part = corner(x, withExtent(index.shape, d, x.shape[d]));
  const source = dense(part);
  const y = empty(index.shape, x.dtype);
  kernels.gather(y.ptr, source.ptr, index.ptr, ...planes(source.shape, d, index.shape[d]));
  if (source !== part) source.dispose();
  part.dispose();
  return y;
}

/** Adds `src`, of the shape of `index`, to the dense `y` in place. */
function scattered(y: Tensor, d: number, index: Tensor, src: Tensor): Tensor {
  const part = corner(y, withExtent(index.shape, d, y.shape[d]));
  const target = dense(part);
  kernels.scatterAdd(target.ptr, dense(src).ptr, index.ptr, ...planes(target.shape, d, index.shape[d]));
  if (target !== part) copyInto(part, target);
  return y;
}

/** How kernels see the index [outer, k, inner] and x [outer, n, inner]. */
function planes(shape: Shape, d: number, k: number): [outer: number, k: number, n: number, inner: number] {
  return [sizeOf(shape.slice(0, d)), k, shape[d], sizeOf(shape.slice(d + 1))];
}

/** The first elements of x along every dimension, as many as `shape` says. */
function corner(x: Tensor, shape: Shape): Tensor {
  return alias(x, shape, x.strides);
}

function withExtent(shape: Shape, d: number, extent: number): number[] {
  return shape.map((e, i) => (i === d ? extent : e));
}

function checkIndex(op: string, index: Tensor, d: number, x: Tensor): void {
  checkDtype(op, "the index", index, "int32");
  if (index.ndim !== x.ndim || x.ndim === 0 || index.shape.some((extent, i) => i !== d && extent > x.shape[i])) {
    throw new ShapeError(
      `${op}: the index must have x's dimensions (at least one) and lie within x outside dim ${d}, got ${showShape(index.shape)} and ${showShape(x.shape)}`,
    );
  }
}

/** `what` says whose: `embedding: ids must be from 0 to 2, got 3 at [1, 1]`. */
function checkIndices(what: string, index: Tensor, count: number): void {
  const at = kernels.firstOutOfRange(index.ptr, index.size, count);
  if (at < 0) return;
  const got = int32View(index.ptr, index.size)[at];
  throw new Error(`${what} must be from 0 to ${count - 1}, got ${got} at ${showShape(positionOf(index.shape, at))}`);
}
