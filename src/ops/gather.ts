/** Rows picked by index. */
import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { denseStrides } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { int32View } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";

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
  checkIds(rows, count);
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

/** -1 for none. */
function normalizePadding(paddingIdx: number | undefined, count: number): number {
  if (paddingIdx === undefined) return -1;
  const row = paddingIdx < 0 ? paddingIdx + count : paddingIdx;
  if (!(Number.isInteger(row) && row >= 0 && row < count)) {
    throw new Error(`embedding: paddingIdx must be from ${-count} to ${count - 1}, got ${paddingIdx}`);
  }
  return row;
}

function checkIds(ids: Tensor, count: number): void {
  const at = kernels.firstOutOfRange(ids.ptr, ids.size, count);
  if (at < 0) return;
  const position = denseStrides(ids.shape).map((stride, d) => Math.floor(at / stride) % ids.shape[d]);
  throw new Error(
    `embedding: ids must be from 0 to ${count - 1}, got ${int32View(ids.ptr, ids.size)[at]} at ${showShape(position)}`,
  );
}
