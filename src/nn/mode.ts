import type { Module } from "./module.js";

/** Sets training or evaluation mode; returns what gives every module the mode that it had. */
export function inMode(model: Module, training: boolean): () => void {
  const modes = model.modules().map((module) => [module, module.training] as const);
  model.train(training);
  return () => {
    for (const [module, mode] of modes) module.training = mode;
  };
}
