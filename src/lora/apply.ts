import type { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import type { StateDict } from "../stateDict.js";
import { alias } from "../tensor.js";
import { findTargets, type LoraConfig, resolveConfig, sizeOfAdapter } from "./config.js";
import { LoraDelta } from "./delta.js";
import { checkRank } from "./layer.js";

/** One layer of the model and what is added to its weight. */
export interface AdaptedLayer {
  readonly path: string;
  readonly layer: Linear;
  readonly delta: LoraDelta;
}

const handles = new WeakMap<Module, LoraHandle>();

/**
 * Freezes `model` and gives every target layer a trainable ΔW = scaling · B A, which is zero at first.
 * Errors: a target that matches nothing (the message lists the names there are), a rank above a layer's size, a model
 * that has an adapter; the model is then as it was.
 */
export function apply(model: Module, options: Partial<LoraConfig> = {}): LoraHandle {
  if (handles.has(model))
    throw new Error("lora.apply: the model must have no adapter yet, got one that has; detach() it first");
  const config = resolveConfig(model, options);
  const adapted: AdaptedLayer[] = [];
  try {
    for (const [path, layer] of findTargets(model, config)) {
      if (layer.delta)
        throw new Error(`lora.apply: a layer must have no adapter yet, got ${path} that has; detach() it first`);
      const { rank, scaling } = sizeOfAdapter(config, path);
      checkRank(`lora.apply: rank of ${path}`, rank, layer.inFeatures, layer.outFeatures);
      adapted.push({ path, layer, delta: new LoraDelta(layer, { rank, scaling, dropout: config.dropout }) });
    }
  } catch (error) {
    for (const { delta } of adapted) delta.dispose();
    throw error;
  }
  const handle = new LoraHandle(model, config, adapted);
  handles.set(model, handle);
  return handle;
}

/** The adapter of `model`. */
export function handleOf(model: Module): LoraHandle | undefined {
  return handles.get(model);
}

/** One adapter on one model. */
export class LoraHandle {
  private readonly wasTrainable: ReadonlySet<Parameter>;
  private merged = false;
  private attached = true;

  /** @internal */
  constructor(
    readonly model: Module,
    readonly config: LoraConfig,
    /** @internal */
    readonly adapted: readonly AdaptedLayer[],
  ) {
    this.wasTrainable = new Set(model.parameters().filter((p) => p.requiresGrad));
    model.requiresGrad_(false);
    for (const { layer, delta } of adapted) {
      delta.train(layer.training);
      layer.delta = delta;
    }
  }

  /** What an optimizer should train. */
  trainableParameters(): Parameter[] {
    return this.adapted.flatMap(({ delta }) => delta.parameters()).filter((p) => p.requiresGrad);
  }

  parameterCount(): { trainable: number; total: number; percent: number } {
    const trainable = this.trainableParameters().reduce((sum, p) => sum + p.size, 0);
    const total = this.model.numParameters();
    return { trainable, total, percent: (100 * trainable) / total };
  }

  /**
   * Adds ΔW to the weights: the model computes the same without the adapter's cost.
   * Errors: an adapted weight that another module shares, since that would change too.
   */
  merge(): void {
    this.checkState("merge", false);
    this.checkUntied();
    for (const { layer, delta } of this.adapted) delta.merge(layer);
    this.merged = true;
  }

  /** Takes ΔW out of the weights again. */
  unmerge(): void {
    this.checkState("unmerge", true);
    for (const { layer, delta } of this.adapted) delta.unmerge(layer);
    this.merged = false;
  }

  /**
   * Ends the adapter: the model has the layers that were there, trainable where they were. After `merge`, they keep ΔW.
   */
  detach(): void {
    this.checkState("detach", this.merged);
    for (const { layer, delta } of this.adapted) {
      layer.delta = null;
      delta.dispose();
    }
    for (const parameter of this.wasTrainable) parameter.requiresGrad_(true);
    handles.delete(this.model);
    this.attached = false;
  }

  /** Runs `fn`, and what it awaits, on the model without the adapter. */
  async disable<T>(fn: () => T | Promise<T>): Promise<T> {
    this.checkState("disable", false);
    for (const { delta } of this.adapted) delta.enabled = false;
    try {
      return await fn();
    } finally {
      for (const { delta } of this.adapted) delta.enabled = true;
    }
  }

  /** The adapter's tensors under PEFT's names. */
  stateDict(): StateDict {
    this.checkAttached("stateDict");
    return Object.fromEntries(
      this.adapted.flatMap(({ path, delta }) => [
        [`${peftPrefix}${path}.lora_A.weight`, alias(delta.lora_A)],
        [`${peftPrefix}${path}.lora_B.weight`, alias(delta.lora_B)],
      ]),
    );
  }

  private checkUntied(): void {
    const weights = [...this.model.state()];
    for (const { path, layer } of this.adapted) {
      const others = weights.filter(([key, tensor]) => tensor === layer.weight && key !== `${path}.weight`);
      if (others.length > 0) {
        throw new Error(
          `lora: merge must not change a weight that is tied, got ${path}.weight, tied to ${others[0][0]}; keep the adapter separate`,
        );
      }
    }
  }

  private checkState(call: string, merged: boolean): void {
    this.checkAttached(call);
    if (this.merged !== merged) {
      throw new Error(
        `lora: ${call} must be called on ${merged ? "a merged" : "an unmerged"} adapter, got ${merged ? "an unmerged" : "a merged"} one`,
      );
    }
  }

  private checkAttached(call: string): void {
    if (!this.attached) throw new Error(`lora: ${call} must be called before detach, got a detached adapter`);
  }
}

/** What PEFT puts before the path of every module. */
export const peftPrefix = "base_model.model.";
