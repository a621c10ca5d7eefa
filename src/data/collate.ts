/** From samples to a batch. */
import { tensor } from "../ops/create.js";
import { stack } from "../ops/view.js";
import { Tensor, type TypedArray } from "../tensor.js";

/** Numbers, booleans, typed arrays and tensors become one tensor; arrays and plain objects are collated part by part. */
export type Collated<Sample> = Sample extends Tensor | number | boolean | TypedArray
  ? Tensor
  : Sample extends string
    ? string[]
    : Sample extends object
      ? { [K in keyof Sample]: Collated<Sample[K]> }
      : unknown;

/** Samples of one form, joined along a new first dimension; what cannot be in a tensor becomes an array. */
export function collate<Sample>(samples: readonly Sample[]): Collated<Sample> {
  return join(samples) as Collated<Sample>;
}

function join(samples: readonly unknown[]): unknown {
  const [first] = samples;
  if (first instanceof Tensor) return stack(samples as Tensor[]);
  if (typeof first === "number" || typeof first === "boolean") return tensor(samples as number[]);
  if (ArrayBuffer.isView(first)) return joinArrays(samples as TypedArray[]);
  if (Array.isArray(first)) return first.map((_, i) => join((samples as unknown[][]).map((sample) => sample[i])));
  if (isPlainObject(first)) {
    const parts = samples as Record<string, unknown>[];
    return Object.fromEntries(Object.keys(first).map((key) => [key, join(parts.map((sample) => sample[key]))]));
  }
  return samples;
}

function joinArrays(samples: readonly TypedArray[]): Tensor {
  return stack(samples.map((sample) => tensor(sample)));
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
