import { copyInto, dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { zeroGradOf } from "../nn/module.js";
import { keep, scope } from "../scope.js";
import { sameShape } from "../shape.js";
import { checkKeys, type StateDict } from "../stateDict.js";
import { alias, empty, Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { offsetBy, type Ptr, workspace } from "../wasm/memory.js";

/** What every optimizer takes, for all parameters or per group. */
export interface CommonOptions {
  /** The learning rate. */
  lr: number;
  weightDecay: number;
  /** λ: λ·sgn θ is added to the gradient; with `proximal`, θ is instead moved towards 0 by lr·λ after the step, and rests there. */
  l1: number | { lambda: number; proximal?: boolean };
  /** Climb instead of descending. */
  maximize: boolean;
}

/** Parameters with options of their own; the others are the optimizer's. */
export type GroupOptions<Options> = Partial<Options> & { params: Iterable<Tensor> };
export type ParamGroup<Options> = Options & { params: readonly Tensor[] };
export type Params<Options> = Iterable<Tensor> | Iterable<GroupOptions<Options>>;

export interface OptimizerStateDict {
  /** `"0.exp_avg"`: the number of the parameter, counted through all groups, and PyTorch's name of the tensor. */
  tensors: StateDict;
  /** Steps taken, by number of the parameter. */
  steps: Record<string, number>;
  /** The options of each group, and the numbers of its parameters. */
  paramGroups: (Record<string, unknown> & { params: number[] })[];
}

/** One parameter's part in a step, or a chunk of it: addresses of `n` floats each. */
export interface Update {
  p: Ptr;
  g: Ptr;
  state: readonly Ptr[];
  n: number;
  /** Counted from 1. */
  step: number;
  /** The state has just been made, and is zero. */
  isFirst: boolean;
}

interface ParameterState {
  step: number;
  tensors: Record<string, Tensor>;
}

/** Where there are penalties, gradients are prepared this many floats at a time, so that they stay in the cache. */
const CHUNK = 16384;

/**
 * Changes parameters in place by their gradients. State belongs to the optimizer, whatever the scope, until `dispose`.
 */
export abstract class Optimizer<Options extends CommonOptions = CommonOptions> {
  readonly paramGroups: ParamGroup<Options>[];
  private readonly states = new Map<Tensor, ParameterState>();

  protected constructor(
    /** As errors and checkpoints call it. */
    readonly name: string,
    params: Params<Options>,
    options: Partial<Options>,
    defaults: Options,
  ) {
    const shared = withOptions(name, defaults, options);
    this.paramGroups = groupsOf(name, params).map(({ params, own }) => ({ ...withOptions(name, shared, own), params }));
    this.checkGroups(this.paramGroups);
    checkParameters(name, this.parameters());
  }

  /** Names, as in PyTorch, of the tensors kept for each parameter. */
  protected abstract stateNames(group: Options): readonly string[];

  /** Changes a parameter by its gradient. */
  protected abstract update(group: Options, update: Update): void;

  /** Throws where an option of this kind of optimizer is out of range. */
  protected abstract checkOptions(group: Options): void;

  /** The factor of θ in the gradient; optimizers whose weight decay is decoupled from the gradient give 0. */
  protected gradientDecay(group: Options): number {
    return group.weightDecay;
  }

  /** Updates every parameter that has a gradient. `closure` may compute the gradients first; its result is returned. */
  step<T>(closure?: () => T): T | undefined {
    const result = closure?.();
    for (const group of this.paramGroups) {
      for (const parameter of group.params) if (parameter.grad) this.stepOn(group, parameter, parameter.grad);
    }
    return result;
  }

  private stepOn(group: ParamGroup<Options>, parameter: Tensor, gradient: Tensor): void {
    if (!sameShape(gradient.shape, parameter.shape)) {
      throw new ShapeError(
        `${this.name}: a gradient must have its parameter's shape ${showShape(parameter.shape)}, got ${showShape(gradient.shape)}`,
      );
    }
    const state = this.stateOf(parameter);
    const names = this.stateNames(group);
    const g = dense(gradient);
    const isFirst = names.some((name) => !state.tensors[name]);
    for (const name of names) state.tensors[name] ??= zerosFor(parameter);
    state.step++;
    const whole = {
      p: parameter.ptr,
      g: g.ptr,
      state: names.map((name) => state.tensors[name].ptr),
      n: parameter.size,
      step: state.step,
      isFirst,
    };
    const { lambda, proximal = false } = typeof group.l1 === "number" ? { lambda: group.l1 } : group.l1;
    const decay = this.gradientDecay(group);
    if (decay === 0 && (lambda === 0 || proximal) && !group.maximize) this.update(group, whole);
    else this.updateWithPenalties(group, whole, decay, proximal ? 0 : lambda);
    if (proximal) kernels.softThreshold(whole.p, whole.n, group.lr * lambda);
    parameter.storage.version++;
    if (g !== gradient) g.dispose();
  }

  private updateWithPenalties(group: Options, whole: Update, decay: number, lambda: number): void {
    const g = workspace(4 * Math.min(CHUNK, whole.n));
    for (let start = 0; start < whole.n; start += CHUNK) {
      const at = (ptr: Ptr) => offsetBy(ptr, 4 * start);
      const p = at(whole.p);
      const n = Math.min(CHUNK, whole.n - start);
      kernels.penalize(g, at(whole.g), p, n, group.maximize ? -1 : 1, decay, lambda);
      this.update(group, { ...whole, p, g, n, state: whole.state.map(at) });
    }
  }

  zeroGrad({ setToNone = true }: { setToNone?: boolean } = {}): void {
    for (const { params } of this.paramGroups) for (const parameter of params) zeroGradOf(parameter, setToNone);
  }

  /** State as handles without copies, and options. */
  stateDict(): OptimizerStateDict {
    const tensors: StateDict = {};
    const steps: Record<string, number> = {};
    for (const [number, parameter] of this.parameters().entries()) {
      const state = this.states.get(parameter);
      if (!state) continue;
      steps[number] = state.step;
      for (const [name, tensor] of Object.entries(state.tensors)) tensors[`${number}.${name}`] = alias(tensor);
    }
    let first = 0;
    const paramGroups = this.paramGroups.map(({ params, ...options }) => {
      const numbers = params.map((_, i) => first + i);
      first += params.length;
      return { ...structuredClone(options), params: numbers };
    });
    return { tensors, steps, paramGroups };
  }

  /**
   * Takes over options and state, which is copied.
   * Errors: groups or parameters that don't match in number; all missing, unexpected and mis-shaped tensors at once.
   */
  loadStateDict({ tensors, steps, paramGroups }: OptimizerStateDict): void {
    const op = `${this.name}.loadStateDict`;
    const own = this.paramGroups.map(({ params }) => params.length);
    const given = paramGroups.map(({ params }) => params.length);
    if (own.join() !== given.join()) {
      throw new Error(`${op}: groups must have ${showShape(own)} parameters, got ${showShape(given)}`);
    }
    const groups = this.paramGroups.map((group, i) => {
      const { params: _, ...options } = paramGroups[i];
      return withOptions(op, group, options as Partial<typeof group>);
    });
    this.checkGroups(groups);
    const parameters = groups.flatMap((group) => group.params.map((parameter) => ({ group, parameter })));
    const expected = parameters.flatMap(({ group, parameter }, number) =>
      steps[number] === undefined
        ? []
        : this.stateNames(group).map((name) => [`${number}.${name}`, parameter] as const),
    );
    checkKeys(op, new Map(expected), new Map(Object.entries(tensors)));
    for (const [i, group] of this.paramGroups.entries()) Object.assign(group, groups[i]);
    this.dispose();
    for (const [number, { group, parameter }] of parameters.entries()) {
      if (steps[number] === undefined) continue;
      const state = this.stateOf(parameter);
      state.step = steps[number];
      for (const name of this.stateNames(group)) {
        state.tensors[name] = zerosFor(parameter);
        copyInto(state.tensors[name], tensors[`${number}.${name}`]);
      }
    }
  }

  /** Releases the state; parameters and their gradients are not the optimizer's. */
  dispose(): void {
    for (const { tensors } of this.states.values()) for (const tensor of Object.values(tensors)) tensor.dispose();
    this.states.clear();
  }

  private parameters(): Tensor[] {
    return this.paramGroups.flatMap(({ params }) => params);
  }

  private stateOf(parameter: Tensor): ParameterState {
    const known = this.states.get(parameter);
    if (known) return known;
    const state = { step: 0, tensors: {} };
    this.states.set(parameter, state);
    return state;
  }

  private checkGroups(groups: readonly ParamGroup<Options>[]): void {
    for (const group of groups) {
      const lambda = typeof group.l1 === "number" ? group.l1 : group.l1.lambda;
      checkRange(this.name, "lr", group.lr, group.lr >= 0, "0 or more");
      checkRange(this.name, "weightDecay", group.weightDecay, group.weightDecay >= 0, "0 or more");
      checkRange(this.name, "l1", lambda, lambda >= 0, "0 or more");
      this.checkOptions(group);
    }
  }
}

export function checkRange(name: string, option: string, value: unknown, holds: boolean, range: string): void {
  if (!holds) throw new Error(`${name}: ${option} must be ${range}, got ${value}`);
}

function checkParameters(name: string, parameters: readonly Tensor[]): void {
  if (parameters.length === 0) throw new Error(`${name}: parameters must be given, got an empty list`);
  if (new Set(parameters).size < parameters.length)
    throw new Error(`${name}: every parameter must be in one group once, got one twice`);
  for (const parameter of parameters) {
    if (!parameter.isLeaf) {
      throw new Error(
        `${name}: parameters must be leaves, got the result of ${parameter.op}, ${showShape(parameter.shape)}`,
      );
    }
    if (parameter.dtype !== "float32" || !parameter.isDense) {
      throw new Error(
        `${name}: parameters must be dense and "float32", got "${parameter.dtype}", ${showShape(parameter.shape)}`,
      );
    }
  }
}

/** The groups' parameters and own options; plain parameters are one group. */
function groupsOf<Options>(name: string, params: Params<Options>): { params: Tensor[]; own: Partial<Options> }[] {
  const list: (Tensor | GroupOptions<Options>)[] = [...params];
  const tensors = list.filter((item) => item instanceof Tensor);
  if (tensors.length === list.length) return [{ params: tensors, own: {} }];
  if (tensors.length > 0) throw new Error(`${name}: parameters must be all tensors or all groups, got both`);
  return (list as GroupOptions<Options>[]).map(({ params, ...own }) => ({
    params: [...params],
    own: own as unknown as Partial<Options>,
  }));
}

/** `defaults` with what `options` gives; a key that `defaults` lacks is an error. */
function withOptions<Options extends object>(name: string, defaults: Options, options: Partial<Options>): Options {
  const unknown = Object.keys(options).filter((key) => !(key in defaults));
  if (unknown.length > 0) {
    throw new Error(`${name}: options must be among ${Object.keys(defaults).join(", ")}, got ${unknown.join(", ")}`);
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

function zerosFor(parameter: Tensor): Tensor {
  return scope(() => keep(empty(parameter.shape).fillWith(0)));
}
