/** New tensors from values. */
import { ShapeError, showShape } from "../errors.js";
import { nextStream } from "../random.js";
import { checkShape, type Shape, sameShape, sizeOf } from "../shape.js";
import { checkValues, type DType } from "../storage.js";
import { empty, type NestedArray, type Tensor, type TypedArray } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { float32View, int32View } from "../wasm/memory.js";

export type TensorData = number | boolean | NestedArray | TypedArray | Float64Array | BigInt64Array;

export interface TensorOptions {
  dtype?: DType;
  requiresGrad?: boolean;
}

export type RandomOptions = Pick<TensorOptions, "requiresGrad">;

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
  checkValues("full", [value], dtype);
  return empty(shape, dtype).fillWith(value).requiresGrad_(requiresGrad);
}

export function zerosLike(x: Tensor): Tensor {
  return zeros(x.shape, { dtype: x.dtype });
}

export function onesLike(x: Tensor): Tensor {
  return ones(x.shape, { dtype: x.dtype });
}

/** Independent values from N(0, 1), of the shape of `x`. */
export function randnLike(x: Tensor): Tensor {
  return randn(x.shape);
}

/** Independent values from U[0, 1). */
export function rand(shape: Shape, { requiresGrad = false }: RandomOptions = {}): Tensor {
  checkShape("rand", shape);
  const y = empty(shape);
  kernels.uniform(y.ptr, y.size, ...nextStream(y.size), 0, 1);
  return y.requiresGrad_(requiresGrad);
}

/** Independent values from N(0, 1). */
export function randn(shape: Shape, { requiresGrad = false }: RandomOptions = {}): Tensor {
  checkShape("randn", shape);
  const y = empty(shape);
  kernels.normal(y.ptr, y.size, ...nextStream(y.size), 0, 1);
  return y.requiresGrad_(requiresGrad);
}

/** Independent whole numbers (int32) from `low` to `high` − 1. */
export function randint(low: number, high: number, shape: Shape): Tensor {
  checkShape("randint", shape);
  checkValues("randint", [low, high - 1], "int32");
  if (low >= high) throw new Error(`randint: low must be below high, got ${low} and ${high}`);
  const y = empty(shape, "int32");
  kernels.philox(y.ptr, y.size, ...nextStream(y.size), 0, 0);
  const values = int32View(y.ptr, y.size);
  for (let i = 0; i < values.length; i++) values[i] = low + Math.floor(((values[i] >>> 0) / 4294967296) * (high - low));
  return y;
}

/** Ones on the diagonal of [n, n], else zeros. */
export function eye(n: number): Tensor {
  const y = zeros([n, n]);
  const values = float32View(y.ptr, y.size);
  for (let i = 0; i < n; i++) values[i * (n + 1)] = 1;
  return y;
}

/** start, start + step, … below `end` (above it where step is negative): int32 where both are whole, else float32. */
export function arange(start: number, end: number, step = 1): Tensor {
  const length = Math.ceil((end - start) / step);
  if (!(length >= 0 && length < Infinity)) {
    throw new Error(`arange: step must lead from start to end, got ${start} to ${end} by ${step}`);
  }
  const isWhole = Number.isInteger(start) && Number.isInteger(step);
  return tensor(
    Float64Array.from({ length }, (_, i) => start + i * step),
    { dtype: isWhole ? "int32" : "float32" },
  );
}

/** `n` values from `start` to `end`, both included, at equal distances. */
export function linspace(start: number, end: number, n: number): Tensor {
  checkShape("linspace", [n]);
  const step = (end - start) / Math.max(n - 1, 1);
  return tensor(Float64Array.from({ length: n }, (_, i) => (i < n / 2 ? start + i * step : end - (n - 1 - i) * step)));
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
