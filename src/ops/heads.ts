/** Tensors [B, H, T, D] as the kernels of attention read and write them: rows of D contiguous, else strided freely. */
import { clone } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import type { Shape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";

export function checkHeads(op: string, name: string, x: Tensor): void {
  if (x.ndim !== 4) throw new ShapeError(`${op}: ${name} must be [B, H, T, D], got ${showShape(x.shape)}`);
  if (x.dtype !== "float32") throw new Error(`${op}: ${name} must be "float32", got "${x.dtype}"`);
}

/** `x` itself where its rows are contiguous, else a dense copy. */
export function withRows(x: Tensor): Tensor {
  return x.shape[3] <= 1 || x.strides[3] === 1 ? x : clone(x);
}

/** The strides of batch entries, heads and rows. */
export function rowStrides(x: Tensor): [number, number, number] {
  return [x.strides[0], x.strides[1], x.strides[2]];
}

/** An uninitialized tensor that lies in memory like `x`: [B, H, T, D], or [B, T, H, D] if `x` is a permuted projection. */
export function emptyHeads([B, H, T, D]: Shape, x: Tensor): Tensor {
  if (x.strides[1] >= x.strides[2]) return empty([B, H, T, D]);
  const byRows = empty([B, T, H, D]);
  const [batch, row, head, element] = byRows.strides;
  const y = alias(byRows, [B, H, T, D], [batch, head, row, element]);
  byRows.dispose();
  return y;
}
