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

for (const [name, operation] of Object.entries(F)) {
  if (functionsOnly.includes(name as FunctionsOnly)) continue;
  define(name, function (this: Tensor, ...rest: unknown[]) {
    return (operation as (...args: unknown[]) => unknown)(this, ...rest);
  });
}
define("backward", function (this: Tensor, gradient?: Tensor, options?: BackwardOptions) {
  backward(this, gradient, options);
});
define("detach", function (this: Tensor) {
  return alias(this);
});

function define(name: string, value: (this: Tensor, ...rest: never[]) => unknown): void {
  Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true });
}
