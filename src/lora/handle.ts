import { copyInto } from "../copy.js";
import { checkOptions } from "../errors.js";
import { type Module, whenDisposed } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import { scope } from "../scope.js";
import { checkKeys, type StateDict } from "../stateDict.js";
import { type AdaptedLayer, Adapter } from "./adapter.js";
import { type CombineOptions, combine } from "./combine.js";
import { type LoraConfig, type LoraOptions, resolveConfig } from "./config.js";

type State = "separate" | "merged" | "disabled" | "detached";

export interface MergeOptions {
  /** Also merge into quantized weights, which round what they are given. */
  requantize?: boolean;
}

export interface MergeReport {
  /** The largest difference between a merged weight and W + ΔW: 0 unless a quantized one was rounded. */
  maxError: number;
  /** The mean one, over all quantized weights that were merged into. */
  meanError: number;
}

const handles = new WeakMap<Module, LoraHandle>();

/** The adapters of `model`. */
export function handleOf(model: Module): LoraHandle | undefined {
  return handles.get(model);
}

/** The adapters of one model. One of them is active: it is what the model computes with, and what is trained and saved. */
export class LoraHandle {
  private readonly adapters: Map<string, Adapter> = new Map();
  private readonly wasTrainable: readonly Parameter[];
  private active: Adapter;
  private state: State = "separate";

  /** @internal Freezes the model and puts `adapter` into it. */
  constructor(
    readonly model: Module,
    adapter: Adapter,
  ) {
    this.wasTrainable = model.parameters().filter((p) => p.requiresGrad);
    model.requiresGrad_(false);
    try {
      adapter.enter();
    } catch (error) {
      adapter.dispose();
      for (const parameter of this.wasTrainable) parameter.requiresGrad_(true);
      throw error;
    }
    this.active = adapter;
    this.adapters.set(adapter.config.adapterName, adapter);
    handles.set(model, this);
    whenDisposed(model, () => this.end(true));
  }

  /** The active adapter's. */
  get config(): LoraConfig {
    return this.active.config;
  }

  get adapterNames(): string[] {
    return [...this.adapters.keys()];
  }

  /** @internal The layers of the active adapter. */
  get adapted(): readonly AdaptedLayer[] {
    return this.active.layers;
  }

  /** @internal */
  adapter(name: string): Adapter {
    this.checkState("adapter", "separate", "merged", "disabled");
    const adapter = this.adapters.get(name);
    if (!adapter) throw new Error(`lora: the adapter must be one of ${this.adapterNames.join(", ")}, got ${name}`);
    return adapter;
  }

  /** What an optimizer should train: the active adapter's parameters. */
  trainableParameters(): Parameter[] {
    this.checkState("trainableParameters", "separate", "merged", "disabled");
    return this.active.parameters().filter((p) => p.requiresGrad);
  }

  /** Of the model with the active adapter. */
  parameterCount(): { trainable: number; total: number; percent: number } {
    const trainable = this.trainableParameters().reduce((sum, p) => sum + p.size, 0);
    const total = this.model.numParameters();
    return { trainable, total, percent: (100 * trainable) / total };
  }

  /** Makes another adapter the active one. */
  setAdapter(name: string): void {
    this.checkState("setAdapter", "separate");
    const next = this.adapter(name);
    if (next === this.active) return;
    this.active.leave();
    this.active = next;
    next.enter();
  }

  /** Makes a new adapter beside the others; `setAdapter` makes it the active one. */
  addAdapter(name: string, options: LoraOptions = {}): void {
    this.insert(name, () => {
      const config = resolveConfig("lora.addAdapter", this.model, { ...options, adapterName: name });
      return new Adapter("lora.addAdapter", this.model, config);
    });
  }

  /** Makes Σ weightᵢ · ΔWᵢ of the named adapters a new one. As PEFT's `add_weighted_adapter`, whose default is "svd". */
  addWeightedAdapter(
    names: readonly string[],
    weights: readonly number[],
    newName: string,
    options: CombineOptions = {},
  ): void {
    this.insert(newName, () => {
      const adapters = names.map((name) => this.adapter(name));
      return combine(this.model, adapters, weights, newName, options);
    });
  }

  /** @internal Adds what `make` makes while no adapter is in the model. */
  insert(name: string, make: () => Adapter): void {
    this.checkState("addAdapter", "separate");
    if (this.adapters.has(name)) throw new Error(`lora: an adapter's name must be new, got ${name}`);
    const adapter = this.apart(make);
    if (adapter.trainsBiases && [...this.adapters.values()].some(({ trainsBiases }) => trainsBiases)) {
      adapter.dispose();
      throw new Error(`lora: one adapter of a model may train biases, got ${name} beside another`);
    }
    this.adapters.set(name, adapter);
  }

  /** Ends an adapter that is not the active one. */
  deleteAdapter(name: string): void {
    this.checkState("deleteAdapter", "separate", "merged");
    const adapter = this.adapter(name);
    if (adapter === this.active) {
      throw new Error(
        `lora: deleteAdapter must name an adapter that is not active, got ${name}; call setAdapter or detach first`,
      );
    }
    this.adapters.delete(name);
    adapter.dispose();
  }

  /**
   * Adds ΔW to the weights: the model computes the same without the adapter's cost.
   * Errors: an adapted weight that another module shares, since that would change too; a quantized one, unless
   * `requantize` allows to round it again. The model is then as it was.
   */
  merge(options: MergeOptions = {}): MergeReport {
    checkOptions("lora.merge", options, ["requantize"]);
    const { requantize = false } = options;
    this.checkState("merge", "separate");
    this.checkUntied();
    for (const { path, layer, delta } of this.adapted) {
      const obstacle = delta.obstacle(layer, requantize);
      if (obstacle) throw new Error(`lora: merge must find weights that take the change, got ${obstacle} (${path})`);
    }
    let [maxError, sum, count] = [0, 0, 0];
    for (const { layer, delta } of this.adapted) {
      const errors = delta.merge(layer);
      maxError = errors.reduce((most, error) => Math.max(most, error), maxError);
      sum = errors.reduce((total, error) => total + error, sum);
      count += errors.length;
    }
    this.state = "merged";
    return { maxError, meanError: sum / Math.max(count, 1) };
  }

  /** Takes ΔW out of the weights again: the weights are what they were, to rounding. */
  unmerge(): void {
    this.checkState("unmerge", "merged");
    for (const { layer, delta } of this.adapted) delta.unmerge(layer);
    this.state = "separate";
  }

  /**
   * Ends all adapters: the model has the layers that were there, trainable where they were. After `merge` they keep what
   * the active one trained.
   */
  detach(): void {
    this.checkState("detach", "separate", "merged");
    this.active.leave(this.state === "merged");
    for (const parameter of this.wasTrainable) parameter.requiresGrad_(true);
    this.end(false);
  }

  /** Runs `fn`, and what it awaits, on the model without an adapter. */
  async disable<T>(fn: () => T | Promise<T>): Promise<T> {
    this.checkState("disable", "separate");
    this.active.leave();
    this.state = "disabled";
    try {
      return await fn();
    } finally {
      this.active.enter();
      this.state = "separate";
    }
  }

  /** The active adapter's tensors under PEFT's names. */
  stateDict(): StateDict {
    this.checkState("stateDict", "separate", "merged", "disabled");
    return this.active.stateDict();
  }

  /** Copies values into the active adapter. Errors: every missing, unexpected and mis-shaped key at once. */
  loadStateDict(stateDict: StateDict): void {
    this.checkState("loadStateDict", "separate");
    scope(() => {
      const own = this.stateDict();
      checkKeys("lora: loadStateDict", new Map(Object.entries(own)), new Map(Object.entries(stateDict)));
      for (const [key, tensor] of Object.entries(own)) copyInto(tensor, stateDict[key]);
    });
  }

  private apart<T>(fn: () => T): T {
    this.active.leave();
    try {
      return fn();
    } finally {
      this.active.enter();
    }
  }

  private end(withModel: boolean): void {
    for (const adapter of this.adapters.values()) adapter.dispose(withModel);
    handles.delete(this.model);
    whenDisposed(this.model, null);
    this.state = "detached";
  }

  private checkUntied(): void {
    const tensors = [...this.model.state()];
    for (const [key, tensor] of this.active.changedTensors()) {
      const other = tensors.find(([name, each]) => each === tensor && name !== key);
      if (other) {
        throw new Error(
          `lora: merge must not change a weight that is tied, got ${key}, tied to ${other[0]}; keep the adapter separate`,
        );
      }
    }
  }

  private checkState(call: string, ...allowed: readonly State[]): void {
    if (this.state === "detached")
      throw new Error(`lora: ${call} must be called before detach, got a detached adapter`);
    if (allowed.includes(this.state)) return;
    const wanted = allowed.includes("merged") ? "a merged" : "an unmerged";
    const got = { separate: "an unmerged one", merged: "a merged one", disabled: "a call while it is disabled" };
    throw new Error(`lora: ${call} must be called on ${wanted} adapter, got ${got[this.state]}`);
  }
}
