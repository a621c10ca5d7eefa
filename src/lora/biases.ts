import { clone, copyInto } from "../copy.js";
import { type Module, zeroGradOf } from "../nn/module.js";
import { Buffer, type Parameter } from "../nn/parameter.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import type { LoraConfig } from "./config.js";

/** Biases of a model that an adapter trains in place, and what they were. */
export class TrainedBiases {
  private readonly own: readonly (readonly [path: string, parameter: Parameter])[];
  /** The values that are not in the model now: the model's own while the adapter is active, else the adapter's. */
  private readonly others: readonly Buffer[];
  private active = false;

  constructor(model: Module, mode: LoraConfig["biasMode"], layers: readonly string[], whole: readonly string[]) {
    const isWanted = (path: string) => {
      if (mode === "none" || !(path === "bias" || path.endsWith(".bias"))) return false;
      if (mode === "lora_only") return layers.some((layer) => path === `${layer}.bias`);
      return !whole.some((module) => path.startsWith(`${module}.`));
    };
    this.own = [...model.namedParameters()].filter(([path]) => isWanted(path));
    this.others = this.own.map(([, parameter]) => scope(() => new Buffer(clone(parameter))));
  }

  /** The adapter's values by the paths of the model. */
  values(): (readonly [path: string, values: Tensor])[] {
    return this.own.map(([path, parameter], i) => [path, this.active ? parameter : this.others[i]]);
  }

  parameters(): Parameter[] {
    return this.own.map(([, parameter]) => parameter);
  }

  /** Puts the adapter's values into the model. */
  enter(trainable: boolean): void {
    this.exchange();
    for (const parameter of this.parameters()) parameter.requiresGrad_(trainable);
  }

  /** Puts the model's own values back, unless it is to keep the adapter's. */
  leave(keeps: boolean): void {
    if (!keeps) this.exchange();
    for (const parameter of this.parameters()) {
      zeroGradOf(parameter, true);
      parameter.requiresGrad_(false);
    }
  }

  private exchange(): void {
    this.own.forEach(([, parameter], i) => {
      scope(() => {
        const present = clone(parameter);
        copyInto(parameter, this.others[i]);
        copyInto(this.others[i], present);
      });
    });
    this.active = !this.active;
  }

  dispose(): void {
    for (const values of this.others) values.dispose();
  }
}
