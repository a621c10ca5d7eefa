/** New tensors from values. */
import { ShapeError, showShape } from "../errors.js";
import { checkShape, type Shape, sameShape, sizeOf } from "../shape.js";
import type { DType } from "../storage.js";
import { empty, type NestedArray, type Tensor, type TypedArray } from "../tensor.js";

export type TensorData = number | boolean | NestedArray | TypedArray | Float64Array | BigInt64Array;

export interface TensorOptions {
  dtype?: DType;
  requiresGrad?: boolean;
}

/**
 * A tensor of the given values. Numbers give float32, booleans bool, Int32Array and BigInt64Array int32, Uint8Array uint8.
 *
 * @param options.shape for flat data; nested arrays bring their own
 */
export function tensor(data: TensorData, options: TensorOptions & { shape?: Shape } = {}): Tensor {
  const own = shapeOf(data);
  const { dtype = dtypeOf(data), shape = own, requiresGrad = false } = options;
  checkShape("tensor", shape);
  const values = flatten(data);
  if (values.length !== sizeOf(shape)) {
    throw new ShapeError(`tensor: the data must fill shape ${showShape(shape)}, got ${values.length} values`);
  }
  checkRange(values, dtype);
  return empty(shape, dtype).set(values).requiresGrad_(requiresGrad);
}

export function zeros(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 1, options);
}

export function full(
  shape: Shape,
  value: number,
  { dtype = "float32", requiresGrad = false }: TensorOptions = {},
): Tensor {
  checkShape("full", shape);
  checkRange([value], dtype);
  return empty(shape, dtype).fillWith(value).requiresGrad_(requiresGrad);
}

function shapeOf(data: TensorData): number[] {
  if (typeof data === "number" || typeof data === "boolean") return [];
  if (ArrayBuffer.isView(data)) return [data.length];
  if (data.length === 0) return [0];
  const inner = data.map((item) => shapeOf(item));
  const odd = inner.findIndex((shape) => !sameShape(shape, inner[0]));
  if (odd > 0) {
    throw new ShapeError(
      `tensor: nested arrays must have equal lengths, got ${showShape(inner[0])} at 0 and ${showShape(inner[odd])} at ${odd}`,
    );
  }
  return [data.length, ...inner[0]];
}

function dtypeOf(data: TensorData): DType {
  if (data instanceof Int32Array || data instanceof BigInt64Array) return "int32";
  if (data instanceof Uint8Array) return "uint8";
  if (ArrayBuffer.isView(data)) return "float32";
  let first: TensorData = data;
  while (Array.isArray(first)) first = first[0];
  return typeof first === "boolean" ? "bool" : "float32";
}

function flatten(data: TensorData): ArrayLike<number> {
  if (data instanceof BigInt64Array) return Array.from(data, Number);
  if (ArrayBuffer.isView(data)) return data;
  const flat: number[] = [];
  const walk = (item: number | boolean | NestedArray) => {
    if (typeof item === "object") for (const inner of item) walk(inner);
    else flat.push(Number(item));
  };
  walk(data);
  return flat;
}

const ranges: Partial<Record<DType, [number, number]>> = { int32: [-2147483648, 2147483647], uint8: [0, 255] };

function checkRange(values: ArrayLike<number>, dtype: DType): void {
  const range = ranges[dtype];
  if (!range || values instanceof Int32Array || values instanceof Uint8Array) return;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!Number.isInteger(value) || value < range[0] || value > range[1]) {
      throw new Error(
        `tensor: ${dtype} values must be whole numbers from ${range[0]} to ${range[1]}, got ${value} at ${i}`,
      );
    }
  }
}
