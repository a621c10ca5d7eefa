import type { Module } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import { float32View } from "../wasm/memory.js";

/** What is trained where there are gradients: a model's parameters but for the frozen ones. */
export class EvolvedParameters {
  readonly entries: readonly (readonly [path: string, parameter: Parameter])[];

  /** @param owner who evolves them, for errors */
  constructor(
    private readonly owner: string,
    private readonly model: Module,
  ) {
    this.entries = evolvedOf(model);
    if (this.entries.length > 0) return;
    const frozen = model.parameters().length;
    throw new Error(
      `${owner}: the model must have a parameter to evolve, got ${frozen === 0 ? "none" : `${frozen} that are frozen; use requiresGrad_()`}`,
    );
  }

  /** Throws where the model has others than when this was made. */
  check(): void {
    const present = evolvedOf(this.model);
    const lacks = (list: typeof this.entries, parameter: Parameter) => !list.some(([, other]) => other === parameter);
    const gone = this.entries.filter(([, parameter]) => lacks(present, parameter)).map(([path]) => `${path} gone`);
    const added = present.filter(([, parameter]) => lacks(this.entries, parameter)).map(([path]) => `${path} new`);
    if (gone.length + added.length > 0) {
      throw new Error(
        `${this.owner}: the model must keep the parameters it had at first, got ${[...gone, ...added].join(", ")}`,
      );
    }
    for (const [, parameter] of this.entries) parameter.storage; // throws where it has been released
  }

  checkFinite(): void {
    for (const [path, parameter] of this.entries) {
      const wrong = float32View(parameter.ptr, parameter.size).find((value) => !Number.isFinite(value));
      if (wrong !== undefined)
        throw new Error(`${this.owner}: the model's values must be finite, got ${wrong} in ${path}`);
    }
  }

  checkNotAllZero(): void {
    const isZero = ([, parameter]: readonly [string, Parameter]) =>
      float32View(parameter.ptr, parameter.size).every((value) => value === 0);
    if (this.entries.every(isZero))
      throw new Error(`${this.owner}: the model must have a value other than 0, got zeros alone`);
  }

  /** Copies of their values, for `restore`. */
  values(): Float32Array[] {
    return this.entries.map(([, parameter]) => parameter.data<Float32Array<ArrayBuffer>>());
  }

  restore(values: readonly Float32Array[]): void {
    for (const [i, [, parameter]] of this.entries.entries()) parameter.set(values[i]);
  }
}

function evolvedOf(model: Module): [string, Parameter][] {
  return [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
}
