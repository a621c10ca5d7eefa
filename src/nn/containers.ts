import { discard, scope } from "../scope.js";
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

  /** Equal neighbours as one, as PyTorch shows them: `(0-5): 6 x Block(…)`. */
  protected override listed(children: [name: string, text: string][]): [string, string][] {
    const shown: [string, string][] = [];
    for (let i = 0, end = 1; i < children.length; i = end++) {
      const [name, text] = children[i];
      while (children[end]?.[1] === text) end++;
      shown.push(end === i + 1 ? [name, text] : [`${name}-${end - 1}`, `${end - i} x ${text}`]);
    }
    return shown;
  }

  override forward(): never {
    throw new Error(
      "ModuleList: forward must be called on its modules, got a call on the list; use Sequential for a chain",
    );
  }
}

/** Modules by name, in the order in which the names were set. */
export class ModuleDict<T extends Module = Module> extends Module implements Iterable<[string, T]> {
  private readonly items: Map<string, T>;

  constructor(items: Readonly<Record<string, T>> | Iterable<readonly [string, T]> = {}) {
    super();
    this.items = new Map();
    for (const [name, item] of Symbol.iterator in items ? items : Object.entries(items)) this.set(name, item);
  }

  get size(): number {
    return this.items.size;
  }

  has(name: string): boolean {
    return this.items.has(name);
  }

  get(name: string): T {
    const item = this.items.get(name);
    if (!item) {
      throw new Error(`ModuleDict: the name must be one of ${[...this.items.keys()].join(", ")}, got ${name}`);
    }
    return item;
  }

  set(name: string, item: T): this {
    if (name === "" || name.includes(".")) {
      throw new Error(`ModuleDict: a name must not be empty or contain ".", got ${JSON.stringify(name)}`);
    }
    this.items.set(name, item);
    return this;
  }

  delete(name: string): boolean {
    return this.items.delete(name);
  }

  keys(): IterableIterator<string> {
    return this.items.keys();
  }

  values(): IterableIterator<T> {
    return this.items.values();
  }

  [Symbol.iterator](): IterableIterator<[string, T]> {
    return this.items[Symbol.iterator]();
  }

  override fields(): Iterable<[string, unknown]> {
    return this.items;
  }

  override setField(name: string, module: Module): void {
    this.set(name, module as T);
  }

  override forward(): never {
    throw new Error("ModuleDict: forward must be called on its modules, got a call on the dict");
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
    if (input !== x && input !== y) discard(input);
  }
  return y;
}
