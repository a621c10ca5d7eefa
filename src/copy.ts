/** Copies below the graph: what recording, operations and modules need to move values, without history. */
import { empty, type Tensor } from "./tensor.js";
import { forEachOffset } from "./shape.js";
import { float32View, uint8View } from "./wasm/memory.js";

/** Writes the values of `x` into `y`, which has the same shape and type; either may be strided. */
export function copyInto(y: Tensor, x: Tensor): void {
  const values = x.data();
  const target = uint8View(y.storage.ptr, y.storage.bytes);
  const elements = y.dtype === "float32" ? new Float32Array(target.buffer) : y.dtype === "int32" ? new Int32Array(target.buffer) : target;
  const start = y.dtype === "uint8" || y.dtype === "bool" ? 0 : target.byteOffset / 4;
  let i = 0;
  forEachOffset(y.shape, [y.strides], ([offset]) => {
    elements[start + y.offset + offset] = values[i++];
  });
  y.storage.version++;
}

/** y += x, elementwise; `y` is dense, float32. */
export function accumulate(y: Tensor, x: Tensor): void {
  const a = float32View(y.ptr, y.size);
  x.data().forEach((v, i) => {
    a[i] += v;
  });
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
