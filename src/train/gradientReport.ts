/** How strongly each layer answers, and how much of the loss's gradient reaches it. */
import type { Module } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import { sumOfSquares } from "../ops/reduce.js";
import { scope } from "../scope.js";
import { Tensor } from "../tensor.js";

/** Against the gradient at the output of the last layer: beyond this, it has vanished or exploded on its way back. */
const RANGE = 1000;

export interface LayerReport {
  /** The path of a module that has parameters of its own. */
  name: string;
  /** ‖∂loss/∂θ‖₂ over the layer's own parameters. */
  gradientNorm: number;
  /** ‖y‖₂ of what the layer's forward gave; 0 where it was not called or gave no tensor. */
  activationNorm: number;
  /** ‖∂loss/∂y‖₂. */
  activationGradientNorm: number;
  /** ‖∂loss/∂y‖₂ is less than a thousandth of the last layer's. */
  vanishing: boolean;
  /** ‖∂loss/∂y‖₂ is more than a thousand times the last layer's, or not finite. */
  exploding: boolean;
}

export interface GradientReport {
  loss: number;
  /** In the order of their last calls, then those that were not called. */
  layers: LayerReport[];
}

/** One layer's sums of squares. */
interface Trace {
  parameters: Parameter[];
  activation: number;
  activationGradient: number;
  lastCall: number;
}

/** Runs forward and backward once. Every `.grad` is left as it was; what the forward pass itself changes is not. */
export function gradientReport(model: Module, lossFn: () => Tensor): GradientReport {
  const traces = tracesOf(model);
  const parameters = model.parameters();
  const before = parameters.map(({ grad }) => grad);
  for (const parameter of parameters) parameter.grad = null;
  const unhook = watch(traces);
  try {
    const loss = scope(() => {
      const loss = lossFn();
      loss.backward();
      return loss.item();
    });
    return { loss, layers: reportOf(model, traces) };
  } finally {
    unhook();
    for (const [i, parameter] of parameters.entries()) {
      parameter.grad?.dispose();
      parameter.grad = before[i];
    }
  }
}

/** Every module with parameters of its own. */
function tracesOf(model: Module): Map<Module, Trace> {
  const traces = new Map<Module, Trace>();
  for (const module of model.modules()) {
    const inner = new Set(
      module
        .modules()
        .slice(1)
        .flatMap((child) => child.parameters()),
    );
    const parameters = module.parameters().filter((parameter) => !inner.has(parameter));
    if (parameters.length > 0) traces.set(module, { parameters, activation: 0, activationGradient: 0, lastCall: -1 });
  }
  return traces;
}

/** Sums up what goes forward out of each module and what comes back into it. Returns what ends it. */
function watch(traces: Map<Module, Trace>): () => void {
  let calls = 0;
  const removers = [...traces].flatMap(([module, trace]) => [
    module.registerForwardHook((_module, _inputs, output) => {
      trace.lastCall = calls++;
      if (output instanceof Tensor) trace.activation += sumOfSquares(output);
      return undefined;
    }),
    module.registerBackwardHook((_module, _gradInputs, gradOutputs) => {
      for (const dy of gradOutputs) trace.activationGradient += sumOfSquares(dy);
      return undefined;
    }),
  ]);
  return () => {
    for (const remove of removers) remove();
  };
}

function reportOf(model: Module, traces: Map<Module, Trace>): LayerReport[] {
  const names = new Map([...model.namedModules()].map(([name, module]) => [module, name]));
  const called = [...traces]
    .filter(([, { lastCall }]) => lastCall >= 0)
    .sort(([, a], [, b]) => a.lastCall - b.lastCall);
  const others = [...traces].filter(([, { lastCall }]) => lastCall < 0);
  const reference = Math.sqrt(called.at(-1)?.[1].activationGradient ?? 0);
  return [...called, ...others].map(([module, trace]) => {
    const gradient = Math.sqrt(trace.activationGradient);
    const isCalled = trace.lastCall >= 0;
    return {
      name: names.get(module) as string,
      gradientNorm: normOf(trace.parameters),
      activationNorm: Math.sqrt(trace.activation),
      activationGradientNorm: gradient,
      vanishing: isCalled && (gradient === 0 || gradient * RANGE < reference),
      exploding: isCalled && !(gradient <= reference * RANGE && gradient < Infinity),
    };
  });
}

function normOf(parameters: readonly Parameter[]): number {
  return Math.sqrt(parameters.reduce((sum, { grad }) => sum + (grad ? sumOfSquares(grad) : 0), 0));
}
