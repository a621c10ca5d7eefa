/** Functions that a module calls after its forward, and when gradients have passed it. */
import { isRecording, record } from "../graph.js";
import { zerosLike } from "../ops/create.js";
import { currentScope, moveTo } from "../scope.js";
import { alias, empty, Tensor } from "../tensor.js";
import type { Module } from "./module.js";

/** Called after a module's forward; what it returns, unless undefined, replaces the output. */
export type ForwardHook = (module: Module, inputs: readonly unknown[], output: unknown) => unknown;

/**
 * Called once the gradients of a module's inputs are known (null for an input that wants none; without any that does,
 * once those of the outputs are); what it returns, unless undefined, replaces the inputs' gradients. They belong to the
 * backward that is running: clone() what should outlive it.
 */
export type BackwardHook = (
  module: Module,
  gradInputs: readonly (Tensor | null)[],
  gradOutputs: readonly Tensor[],
) => readonly (Tensor | null)[] | undefined;

interface Hooks {
  readonly forward: Set<ForwardHook>;
  readonly backward: Set<BackwardHook>;
}

const hooked = new WeakMap<Module, Hooks>();

/** The hooks of one module; the first call wraps its `forward`, so that modules without hooks pay nothing. */
export function hooksOf(module: Module): Hooks {
  const known = hooked.get(module);
  if (known) return known;
  const hooks: Hooks = { forward: new Set(), backward: new Set() };
  hooked.set(module, hooks);
  const forward = module.forward as (...inputs: unknown[]) => unknown;
  const value = (...inputs: unknown[]) => {
    const watch = hooks.backward.size > 0 && isRecording() ? watcher(module, hooks.backward, inputs) : null;
    let output = forward.apply(module, watch?.inputs ?? inputs);
    for (const hook of hooks.forward) output = hook(module, inputs, output) ?? output;
    return watch ? watch.output(output) : output;
  };
  Object.defineProperty(module, "forward", { enumerable: false, value });
  return hooks;
}

/** Gates before and behind a module: walking backward, the gradients of its outputs are known before its inputs'. */
function watcher(module: Module, hooks: Iterable<BackwardHook>, given: readonly unknown[]) {
  const isWatched = (x: unknown): x is Tensor => x instanceof Tensor && x.requiresGrad;
  let gradOutputs: readonly Tensor[] = [];
  const run = (gradients: readonly Tensor[]) => {
    const left = [...gradients];
    let all: readonly (Tensor | null)[] = given.map((x) => (isWatched(x) ? (left.shift() ?? null) : null));
    for (const hook of hooks) all = hook(module, all, gradOutputs) ?? all;
    return given.flatMap((x, i) => (isWatched(x) ? (all[i] ?? zerosLike(x)) : []));
  };
  const inputs = gate(given, isWatched, run) as unknown[];
  const output = (result: unknown) =>
    gate(result, isWatched, (gradients) => {
      gradOutputs = gradients;
      if (!given.some(isWatched)) run([]);
      return gradients;
    });
  return { inputs, output };
}

/**
 * `value` with every watched tensor in it (also in arrays and plain objects) replaced by a handle: once all their
 * gradients are known, `exchange` sees them and returns those to go on with.
 */
function gate(
  value: unknown,
  isWatched: (x: unknown) => x is Tensor,
  exchange: (gradients: readonly Tensor[]) => readonly Tensor[],
): unknown {
  const tensors: Tensor[] = [];
  mapLeaves(value, (x) => isWatched(x) && tensors.push(x));
  if (tensors.length === 0) return value;
  const arrived = new Map<number, Tensor>();
  let source: Tensor | null = null;
  let results: readonly Tensor[] = [];
  // Every handle depends on this empty tensor, and it on all of them: its gradient comes when all the others have.
  const exchanges = tensors.map((_, i) => (dy: Tensor) => {
    if (source !== dy) {
      source = dy;
      results = exchange(tensors.map((t, j) => arrived.get(j) ?? zerosLike(t)));
      for (const g of results) if (g.owner === currentScope()) moveTo(dy.owner, g);
      arrived.clear();
    }
    return alias(results[i]);
  });
  const meeting = record("backwardHook", empty([0]), tensors, [], exchanges);
  let i = 0;
  return mapLeaves(value, (x) => {
    if (!isWatched(x)) return x;
    const at = i++;
    const arrive = (dy: Tensor) => {
      const g = alias(dy);
      moveTo(dy.owner, g);
      arrived.set(at, g);
      return empty([0]);
    };
    return record("backwardHook", alias(x), [meeting], [], [arrive]);
  });
}

function mapLeaves(value: unknown, map: (leaf: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapLeaves(item, map));
  if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype)
    return map(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapLeaves(item, map)]));
}
