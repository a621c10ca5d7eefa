import type { Module } from "../nn/module.js";
import { Adapter } from "./adapter.js";
import { type LoraOptions, resolveConfig } from "./config.js";
import { handleOf, LoraHandle } from "./handle.js";

/**
 * Freezes `model` and gives every target layer a trainable ΔW = scaling · B A, which changes nothing at first. Hu et al.
 * 2021; options and formulas are PEFT's.
 * Errors: a target that matches nothing (the message lists the names there are), a rank above a layer's size, a model
 * that has an adapter; the model is then as it was.
 */
export function apply(model: Module, options: LoraOptions = {}): LoraHandle {
  if (handleOf(model)) {
    throw new Error(
      "lora.apply: the model must have no adapter yet, got one that has; detach() it first, or use its addAdapter()",
    );
  }
  return new LoraHandle(model, new Adapter("lora.apply", model, resolveConfig("lora.apply", model, options)));
}
