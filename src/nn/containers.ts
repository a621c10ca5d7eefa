import { currentScope, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { type Layer, Module } from "./module.js";

/** A list of modules, named by their index. */
export class ModuleList<T extends Module = Module> extends Module implements Iterable<T> {
  private readonly items: T[];

  constructor(items: Iterable<T> = []) {
    super();
    this.items = [...items];
  }

  get length(): number {
    return this.items.length;
  }

  at(i: number): T {
    return this.items.at(i) as T;
  }

  append(item: T): this {
    this.items.push(item);
    return this;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.items[Symbol.iterator]();
  }

  override fields(): Iterable<[string, unknown]> {
    return this.items.map((item, i) => [String(i), item]);
  }

  override setField(name: string, module: Module): void {
    this.items[Number(name)] = module as T;
  }

  override forward(): never {
    throw new Error(
      "ModuleList: forward must be called on its modules, got a call on the list; use Sequential for a chain",
    );
  }
}

/** Layers one after the other. */
export class Sequential extends Module {
  private readonly layers: Layer[];

  constructor(...layers: Layer[]) {
    super();
    this.layers = layers;
  }

  override fields(): Iterable<[string, unknown]> {
    return this.layers.map((layer, i) => [String(i), layer]);
  }

  override setField(name: string, module: Module): void {
    this.layers[Number(name)] = module as Layer;
  }

  override forward(x: Tensor): Tensor {
    return chain(x, this.layers);
  }
}

/**
 * layers[n](… layers[0](x)), releasing each result once the next layer has it: while recording, the graph holds what
 * backward needs; otherwise two activations are alive at a time.
 */
export function chain(x: Tensor, layers: Iterable<Layer>): Tensor {
  let y = x;
  for (const layer of layers) {
    const input = y;
    y = scope(() => layer.forward(input));
    if (input !== x && input !== y && input.owner && input.owner === currentScope()) input.dispose();
  }
  return y;
}
