import { bytesPerElement, type DType } from "../storage.js";
import type { Tensor } from "../tensor.js";

/** Checks the type of an operand; `what` names it: `embedding: ids must be "int32", got "float32"`. */
export function checkDtype(op: string, what: string, x: Tensor, dtype: DType): void {
  if (x.dtype !== dtype)
    throw new Error(`${op}: ${what} must be "${dtype}", got "${x.dtype}"; give it dtype: "${dtype}"`);
}

/** Checks that elements have four bytes, as kernels that only move them want. */
export function checkFourBytes(op: string, x: Tensor): void {
  if (bytesPerElement(x.dtype) !== 4)
    throw new Error(`${op}: the operand must be "float32" or "int32", got "${x.dtype}"`);
}
