import { clone } from "../copy.js";
import { scope } from "../scope.js";
import { Module } from "./module.js";
import { Buffer, Parameter } from "./parameter.js";

/**
 * A module of the same class with tensors of its own that have the same values; sharing among them stays. What is no
 * module and no tensor is common to both; hooks stay with the original.
 */
export function cloneModule<M extends Module>(module: M): M {
  return copyOf(module, new Map()) as M;
}

function copyOf(value: unknown, copies: Map<unknown, unknown>): unknown {
  const known = copies.get(value);
  if (known) return known;
  if (value instanceof Parameter) return remember(scope(() => new Parameter(clone(value), value.requiresGrad)));
  if (value instanceof Buffer) {
    return remember(scope(() => new Buffer(clone(value), { persistent: value.persistent })));
  }
  if (value instanceof Module) {
    const copy = remember(Object.create(Object.getPrototypeOf(value)));
    for (const [name, field] of Object.entries(value)) copy[name] = copyOf(field, copies);
    return copy;
  }
  if (Array.isArray(value)) return remember(value.map((item) => copyOf(item, copies)));
  if (value instanceof Map) return remember(new Map([...value].map(([key, item]) => [key, copyOf(item, copies)])));
  return value;

  function remember<T>(copy: T): T {
    copies.set(value, copy);
    return copy;
  }
}
