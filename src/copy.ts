/** Copies below the graph: what recording, operations and modules need to move values, without history. */
import { collapse, forEachOffset } from "./shape.js";
import { bytesPerElement } from "./storage.js";
import { empty, type Tensor } from "./tensor.js";
import { kernels } from "./wasm/kernels.js";
import { offsetBy } from "./wasm/memory.js";

/** Writes the values of `x` into `y`, which has the same shape and type; either may be strided. */
export function copyInto(y: Tensor, x: Tensor): void {
  if (x.dtype !== y.dtype) throw new Error(`internal: a copy must keep the dtype ${y.dtype}, got ${x.dtype}`);
  const bytes = bytesPerElement(y.dtype);
  const copy = bytes === 4 ? kernels.copyStrided : kernels.copyStridedBytes;
  const { shape, strides } = collapse(y.shape, [y.strides, x.strides]);
  const [row, col] = plane(shape, strides[0], strides[1]);
  const rows = shape[row] ?? 1;
  const cols = shape[col] ?? 1;
  const [yRow, xRow] = strides.map((s) => s[row] ?? cols);
  const [yCol, xCol] = strides.map((s) => s[col] ?? 1);
  const isOuter = (_: number, d: number) => d !== row && d !== col;
  const outer = strides.map((s) => s.filter(isOuter));
  forEachOffset(shape.filter(isOuter), outer, ([to, from]) => {
    copy(offsetBy(y.ptr, to * bytes), offsetBy(x.ptr, from * bytes), rows, cols, yRow, yCol, xRow, xCol);
  });
  y.storage.version++;
}

/** The two dims one kernel call copies: those in which y and x are densest, else the densest and the longest. */
function plane(shape: readonly number[], yStrides: readonly number[], xStrides: readonly number[]): [number, number] {
  const dims = [...shape.keys()];
  const densest = (strides: readonly number[]) => dims.reduce((a, b) => (strides[b] <= strides[a] ? b : a), 0);
  const col = densest(yStrides);
  const xCol = densest(xStrides);
  if (xCol !== col) return [xCol, col];
  const others = dims.filter((d) => d !== col);
  return [others.reduce((a, b) => (shape[b] >= shape[a] ? b : a), others[0] ?? -1), col];
}

/** y += x, elementwise; `y` is dense, float32. */
export function accumulate(y: Tensor, x: Tensor): void {
  const a = dense(x);
  kernels.addScaled(y.ptr, a.ptr, y.size, 1);
  if (a !== x) a.dispose();
  y.storage.version++;
}

/** A dense copy of `x` on a storage of its own. */
export function clone(x: Tensor): Tensor {
  const y = empty(x.shape, x.dtype);
  copyInto(y, x);
  return y;
}

/** `x` itself where it is dense, else a dense copy: for kernels that take no strides. */
export function dense(x: Tensor): Tensor {
  return x.isDense ? x : clone(x);
}
