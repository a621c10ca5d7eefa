import { copyInto } from "../copy.js";
import { checkOptions } from "../errors.js";
import { checkKeys, type StateDict } from "../stateDict.js";
import { alias, type Tensor } from "../tensor.js";
import { type BackwardHook, type ForwardHook, hooksOf } from "./hooks.js";
import { Buffer, Parameter } from "./parameter.js";

/** A module that maps one tensor to one tensor. */
export type Layer = Module & { forward(x: Tensor): Tensor };

/**
 * A part of a model. A module is its fields: parameters, buffers and modules in them (also inside arrays) are found by
 * walking, and named by their path, so that state-dict keys are what the field names say.
 */
export abstract class Module {
  training = true;

  abstract forward(...inputs: never[]): unknown;

  /** @internal The fields to walk, by name. */
  fields(): Iterable<[string, unknown]> {
    return Object.entries(this);
  }

  /** Every module from this one down with its path; "" is this one. `enters` may leave out modules with all below them. */
  *namedModules(prefix = "", enters: (module: Module) => boolean = () => true): Iterable<[string, Module]> {
    yield [prefix, this];
    for (const [name, member] of membersOf(this)) {
      if (member instanceof Module && enters(member)) yield* member.namedModules(join(prefix, name), enters);
    }
  }

  modules(): Module[] {
    return [...this.namedModules()].map(([, module]) => module);
  }

  /** Every parameter with its path, each once, under the first path that leads to it. */
  *namedParameters(): Iterable<[string, Parameter]> {
    const seen = new Set<Parameter>();
    for (const [path, tensor] of this.namedTensors()) {
      if (!(tensor instanceof Parameter) || seen.has(tensor)) continue;
      seen.add(tensor);
      yield [path, tensor];
    }
  }

  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, parameter]) => parameter);
  }

  *namedBuffers(): Iterable<[string, Buffer]> {
    for (const [path, tensor] of this.namedTensors()) if (tensor instanceof Buffer) yield [path, tensor];
  }

  buffers(): Buffer[] {
    return [...new Set([...this.namedBuffers()].map(([, buffer]) => buffer))];
  }

  /** Each module's own tensors, then its children's, as PyTorch orders them. */
  private *namedTensors(enters?: (module: Module) => boolean): Iterable<[string, Parameter | Buffer]> {
    for (const [path, module] of this.namedModules("", enters)) {
      for (const [name, member] of membersOf(module)) if (!(member instanceof Module)) yield [join(path, name), member];
    }
  }

  /** Parameters and persistent buffers by path, tied ones under each of their paths, as handles without history. */
  stateDict(): StateDict {
    return Object.fromEntries([...this.state()].map(([path, tensor]) => [path, alias(tensor)]));
  }

  /** @internal What the state dict lists: everything but adapters, which have state dicts of their own. */
  *state(): Iterable<[string, Parameter | Buffer]> {
    for (const [path, tensor] of this.namedTensors((module) => !module.isAdapter)) {
      if (tensor instanceof Parameter || tensor.persistent) yield [path, tensor];
    }
  }

  /** @internal */
  get isAdapter(): boolean {
    return false;
  }

  /**
   * Copies values into the existing storage.
   * Errors: every missing, unexpected (both only if `strict`) and mis-shaped key at once; then nothing has been copied.
   */
  loadStateDict(stateDict: StateDict, options: { strict?: boolean } = {}): void {
    checkOptions("loadStateDict", options, ["strict"]);
    const { strict = true } = options;
    const own = new Map(this.state());
    const lenient = () => !strict;
    checkKeys("loadStateDict", own, new Map(Object.entries(stateDict)), { mayMiss: lenient, mayExceed: lenient });
    for (const [key, tensor] of own) if (stateDict[key]) copyInto(tensor, stateDict[key]);
  }

  /** Sets training mode (dropout acts, batch statistics are used) for this module and all below. */
  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Freezes (false) or unfreezes every parameter. */
  requiresGrad_(value = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad_(value);
    return this;
  }

  /** Calls `fn` with every module, the innermost first. */
  apply(fn: (module: Module) => void): this {
    for (const module of this.modules().reverse()) fn(module);
    return this;
  }

  /** The module at `path`, "" for this one. */
  getSubmodule(path: string): Module {
    const module = path.split(".").reduce<unknown>((at, name) => (name === "" ? at : memberOf(at, name)), this);
    if (!(module instanceof Module)) throw new Error(`getSubmodule: the path must lead to a module, got "${path}"`);
    return module;
  }

  /** Puts `module` in the place that `path` names. */
  setSubmodule(path: string, module: Module): void {
    const names = path.split(".");
    const last = names.pop() as string;
    const parent = this.getSubmodule(names.join("."));
    const owner = Object.fromEntries(parent.fields());
    if (!(owner[last] instanceof Module))
      throw new Error(`setSubmodule: the path must lead to a module, got "${path}"`);
    parent.setField(last, module);
  }

  /** @internal */
  setField(name: string, module: Module): void {
    (this as unknown as Record<string, unknown>)[name] = module;
  }

  zeroGrad(options: { setToNone?: boolean } = {}): void {
    checkOptions("zeroGrad", options, ["setToNone"]);
    const { setToNone = true } = options;
    for (const parameter of this.parameters()) zeroGradOf(parameter, setToNone);
  }

  /** Of parameters, and of weights in codes, which are never trainable. Shared ones count once. */
  numParameters(options: { trainableOnly?: boolean } = {}): number {
    checkOptions("numParameters", options, ["trainableOnly"]);
    const { trainableOnly = false } = options;
    const parameters = this.parameters()
      .filter((p) => p.requiresGrad || !trainableOnly)
      .reduce((sum, p) => sum + p.size, 0);
    if (trainableOnly) return parameters;
    return [...new Set(this.modules())].reduce((sum, { weightsInCodes }) => sum + weightsInCodes, parameters);
  }

  /** @internal How many weights of this module alone are no parameters since they are kept in codes. */
  get weightsInCodes(): number {
    return 0;
  }

  /** Calls `hook` after every forward of this module. Returns what removes it. */
  registerForwardHook(hook: ForwardHook): () => void {
    hooksOf(this).forward.add(hook);
    return () => void hooksOf(this).forward.delete(hook);
  }

  /**
   * Calls `hook` with the gradients of this module's inputs and outputs whenever a backward has passed it. Returns what
   * removes it. As `torch.nn.Module.register_full_backward_hook`
   */
  registerBackwardHook(hook: BackwardHook): () => void {
    hooksOf(this).backward.add(hook);
    return () => void hooksOf(this).backward.delete(hook);
  }

  /** Releases parameters, buffers and their gradients. */
  dispose(): void {
    for (const [, tensor] of [...this.namedTensors()]) tensor.dispose();
    dependents.get(this)?.();
  }

  /** One line of facts for `toString`, such as `in=4, out=2`. */
  protected describe(): string {
    return "";
  }

  /** What `toString` shows of the modules in this one. */
  protected listed(children: [name: string, text: string][]): [string, string][] {
    return children;
  }

  toString(): string {
    const children = [...membersOf(this)].filter((entry): entry is [string, Module] => entry[1] instanceof Module);
    const lines = this.listed(children.map(([name, child]) => [name, child.toString()]));
    const body = lines.map(([name, text]) => `\n  (${name}): ${text.replaceAll("\n", "\n  ")}`).join("");
    return `${this.constructor.name}(${this.describe()}${body}${body && "\n"})`;
  }
}

const dependents = new WeakMap<Module, () => void>();

/** Calls `end` when `module` itself is disposed: for what depends on it without being a part of it. Null: for nothing. */
export function whenDisposed(module: Module, end: (() => void) | null): void {
  if (end) dependents.set(module, end);
  else dependents.delete(module);
}

type Member = Parameter | Buffer | Module;

function* membersOf(module: Module): Iterable<[string, Member]> {
  for (const [name, value] of module.fields()) yield* flatMembers(name, value);
}

function* flatMembers(name: string, value: unknown): Iterable<[string, Member]> {
  if (value instanceof Module || value instanceof Parameter || value instanceof Buffer) yield [name, value];
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* flatMembers(`${name}.${i}`, item);
}

function memberOf(at: unknown, name: string): unknown {
  if (at instanceof Module) return Object.fromEntries(at.fields())[name];
  return Array.isArray(at) ? at[Number(name)] : undefined;
}

function join(prefix: string, name: string): string {
  return prefix === "" ? name : `${prefix}.${name}`;
}

/** Ends the gradient, or fills it with zeros. */
export function zeroGradOf(tensor: Tensor, setToNone: boolean): void {
  if (!setToNone) {
    tensor.grad?.fillWith(0);
  } else {
    tensor.grad?.dispose();
    tensor.grad = null;
  }
}
