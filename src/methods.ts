/** Attaches the operations to `Tensor` as methods, from the operations' own table. */
import { type BackwardOptions, backward } from "./graph.js";
import * as F from "./ops/index.js";
import { alias, Tensor } from "./tensor.js";

type Operations = typeof F;

/** Operations whose first parameter is not one tensor, and `where`, whose subject is the second. */
const functionsOnly = ["cat", "einsum", "stack", "where", "l1Penalty", "l2Penalty", "elasticNet"] as const;
type FunctionsOnly = (typeof functionsOnly)[number];
type MethodName = Exclude<keyof Operations, FunctionsOnly>;

export type TensorMethods = {
  [K in MethodName]: Operations[K] extends (x: Tensor, ...rest: infer Rest) => infer Result
    ? (...rest: Rest) => Result
    : never;
};

declare module "./tensor.js" {
  interface Tensor extends TensorMethods {
    /** Accumulates d(this)/dθ into `.grad` of every leaf θ that requires a gradient, and frees the graph. */
    backward(gradient?: Tensor, options?: BackwardOptions): void;
    /** A handle on the same storage, without history: no gradient flows through it. */
    detach(): Tensor;
  }
}

type Operation = (x: Tensor, ...rest: unknown[]) => unknown;

/** Between Tensor and what it extends: to add so many to a class's own prototype takes V8 2 ms (bench/startup). */
const methods = Object.create(Object.getPrototypeOf(Tensor.prototype));

const operations: Operations = F;
for (const name of Object.keys(operations) as (keyof Operations)[]) {
  if (functionsOnly.includes(name as FunctionsOnly)) continue;
  // Looked up by its first call: in a bundle each is a getter, which must be compiled.
  let operation: Operation | undefined;
  define(name, function (this: Tensor, ...rest: unknown[]) {
    operation ??= operations[name] as Operation;
    return operation(this, ...rest);
  });
}
define("backward", function (this: Tensor, gradient?: Tensor, options?: BackwardOptions) {
  backward(this, gradient, options);
});
define("detach", function (this: Tensor) {
  return alias(this);
});
Object.setPrototypeOf(Tensor.prototype, methods);

function define(name: string, value: (this: Tensor, ...rest: never[]) => unknown): void {
  Object.defineProperty(methods, name, { value, writable: true, configurable: true });
}
