/** Types of elements, and what operands of different types become. */
import { dense } from "../copy.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import type { DType } from "../storage.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import type { Ptr } from "../wasm/memory.js";

/** A tensor, or one number for all its elements. */
export type Operand = Tensor | number;

const dtypes: readonly DType[] = ["float32", "int32", "uint8", "bool"];

/**
 * x with elements of another type; x itself where it has that type. Fractions are cut off, int32 takes the nearest value
 * it has (0 for NaN), uint8 the low 8 bits, bool whether an element is not 0. No gradient passes.
 */
export function to(x: Tensor, dtype: DType): Tensor {
  if (!dtypes.includes(dtype)) {
    throw new Error(
      `to: the dtype must be ${dtypes.map((d) => JSON.stringify(d)).join(", ")}, got ${JSON.stringify(dtype)}`,
    );
  }
  return x.dtype === dtype ? x : record("to", convert(x, dtype), [x], [], [null]);
}

/** `to`, without history. */
export function convert(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  if (x.dtype === "int32") {
    if (dtype === "float32") return apply(x, dtype, kernels.toFloat32);
    return dtype === "uint8" ? apply(x, dtype, kernels.lowBytes) : apply(x, dtype, kernels.nonzero, -1);
  }
  if (x.dtype === "float32" && dtype === "bool") return apply(x, dtype, kernels.nonzero, 0x7fffffff); // -0 is 0
  if (dtype === "int32") return apply(x, dtype, x.dtype === "float32" ? kernels.truncate : kernels.widenBytes);
  return scope(() => convert(convert(x, "int32"), dtype));
}

/**
 * The operands in the type in which they are computed: float32 where one is float32 or a number with a fraction, else
 * int32. So bool and uint8 count as int32, and a mask times floats gives floats.
 */
export function promote(op: string, a: Tensor, b: Operand): { a: Tensor; b: Operand; dtype: "float32" | "int32" } {
  const dtype = a.dtype !== "float32" && isWhole(b) ? "int32" : "float32";
  if (typeof b !== "number") return { a: convert(a, dtype), b: convert(b, dtype), dtype };
  if (dtype === "int32" && b !== (b | 0)) {
    throw new Error(`${op}: a whole number beside "${a.dtype}" must be in the range of int32, got ${b}`);
  }
  return { a: convert(a, dtype), b, dtype };
}

function isWhole(b: Operand): boolean {
  return typeof b === "number" ? Number.isInteger(b) : b.dtype !== "float32";
}

type ConvertKernel<S extends readonly number[]> = (y: Ptr, x: Ptr, n: number, ...scalars: S) => void;

function apply<S extends readonly number[]>(x: Tensor, dtype: DType, kernel: ConvertKernel<S>, ...scalars: S): Tensor {
  const y = empty(x.shape, dtype);
  const source = dense(x);
  kernel(y.ptr, source.ptr, y.size, ...scalars);
  if (source !== x) source.dispose();
  return y;
}
