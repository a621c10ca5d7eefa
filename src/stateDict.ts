import { StateDictError, showShape } from "./errors.js";
import { type Shape, sameShape } from "./shape.js";
import type { DType } from "./storage.js";
import type { Tensor } from "./tensor.js";

/** Tensors by name, as in PyTorch: `"layers.0.weight"`. */
export type StateDict = Record<string, Tensor>;

/** Names, shapes and types: a state dict, or the header of a file. */
export type TensorsByKey = ReadonlyMap<string, { readonly shape: Shape; readonly dtype: DType }>;

export interface KeyRules {
  /** Whether a missing key of the module may be absent. */
  mayMiss?: (key: string) => boolean;
  /** Whether a key that the module lacks may be present. */
  mayExceed?: (key: string) => boolean;
}

/** Throws one error that lists every missing and unexpected key, and every one of another shape or type. */
export function checkKeys(
  op: string,
  expected: TensorsByKey,
  given: TensorsByKey,
  { mayMiss, mayExceed }: KeyRules = {},
): void {
  const missing = [...expected.keys()].filter((key) => !given.has(key) && !mayMiss?.(key));
  const unexpected = [...given.keys()].filter((key) => !expected.has(key) && !mayExceed?.(key));
  const misfits = [...expected].flatMap(([key, { shape, dtype }]) => {
    const got = given.get(key);
    if (!got) return [];
    if (!sameShape(shape, got.shape)) return `${key} must have shape ${showShape(shape)}, has ${showShape(got.shape)}`;
    return dtype === got.dtype ? [] : `${key} must have dtype ${dtype}, has ${got.dtype}`;
  });
  const problems = [
    ...(missing.length ? [`missing keys: ${missing.join(", ")}`] : []),
    ...(unexpected.length ? [`unexpected keys: ${unexpected.join(", ")}`] : []),
    ...misfits,
  ];
  if (problems.length > 0)
    throw new StateDictError(`${op}: the tensors must fit the module, got\n  ${problems.join("\n  ")}`);
}
