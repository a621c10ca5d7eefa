import { copyInto } from "../copy.js";
import { cloneModule } from "../nn/clone.js";
import type { Module } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import type { Tensor } from "../tensor.js";

/** Modules that an adapter trains whole: its copies take the originals' places while it is active. */
export class WholeModules {
  private readonly swaps: readonly { paths: readonly string[]; original: Module; copy: Module }[];

  constructor(
    private readonly model: Module,
    found: readonly { module: Module; paths: readonly string[] }[],
  ) {
    this.swaps = found.map(({ module, paths }) => ({
      paths,
      original: module,
      copy: cloneModule(module).requiresGrad_(true),
    }));
  }

  /** The copies' tensors by the paths of the model. */
  values(): [path: string, values: Tensor][] {
    return this.swaps.flatMap(({ paths, copy }) => stateAt(paths[0], copy));
  }

  originals(): [path: string, tensor: Tensor][] {
    return this.swaps.flatMap(({ paths, original }) => stateAt(paths[0], original));
  }

  parameters(): Parameter[] {
    return this.swaps.flatMap(({ copy }) => copy.parameters());
  }

  /** The paths of the originals. */
  get paths(): string[] {
    return this.swaps.flatMap(({ paths }) => paths);
  }

  enter(): void {
    for (const { paths, original, copy } of this.swaps) {
      copy.train(original.training);
      for (const path of paths) this.model.setSubmodule(path, copy);
    }
  }

  /** Puts the originals back, with the copies' values if it is to keep those. */
  leave(keeps: boolean): void {
    for (const { paths, original, copy } of this.swaps) {
      for (const path of paths) this.model.setSubmodule(path, original);
      if (keeps) {
        const values = new Map(copy.state());
        for (const [key, tensor] of original.state()) copyInto(tensor, values.get(key) as Tensor);
      }
    }
  }

  requiresGrad_(value: boolean): void {
    for (const { copy } of this.swaps) copy.requiresGrad_(value);
  }

  /** Ends the copies, and with the model also the originals, one of which is in it. */
  dispose(withModel: boolean): void {
    for (const { original, copy } of this.swaps) {
      copy.dispose();
      if (withModel) original.dispose();
    }
  }
}

function stateAt(path: string, module: Module): [path: string, tensor: Tensor][] {
  return [...module.state()].map(([key, tensor]) => [`${path}.${key}`, tensor]);
}
