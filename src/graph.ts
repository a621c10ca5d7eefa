/** Recording operations and walking them backward. Knows tensors, and no operation. */
import { accumulate, clone, copyInto } from "./copy.js";
import { checkOptions, showShape } from "./errors.js";
import { currentScope, moveTo, rejectThenable, Scope, scope } from "./scope.js";
import { type Shape, sameShape } from "./shape.js";
import type { Storage } from "./storage.js";
import { alias, empty, section, setHistory, Tensor } from "./tensor.js";

/** A gradient that is 0 but for the stretch of `dim` from `start` on: what reading a part of a tensor gives it. */
export interface Stretch {
  readonly values: Tensor;
  readonly dim: number;
  readonly start: number;
}

/** Vector–Jacobian product: the gradient of one input from the gradient of the output. */
export type Vjp = (dy: Tensor) => Tensor | Stretch;
/** One entry per input: a forgotten one does not compile; null where there is no gradient. */
export type Vjps<Inputs extends readonly unknown[]> = { readonly [K in keyof Inputs]: Vjp | null };

/** What a node holds: storages it saved and the nodes before it. Free of handles, so that those can be collected. */
export class Lifetime {
  private holders = 1;

  constructor(
    private storages: readonly Storage[],
    private parents: readonly Lifetime[],
  ) {
    for (const storage of storages) storage.retain();
    for (const parent of parents) parent.holders++;
  }

  retain(): void {
    this.holders++;
  }

  release(): void {
    if (--this.holders === 0) this.drop();
  }

  /** Lets go of everything now, whoever still holds the node; iterative, since graphs are deep. */
  drop(): void {
    const ended: Lifetime[] = [this];
    for (let life = ended.pop(); life; life = ended.pop()) {
      for (const storage of life.storages) storage.release();
      for (const parent of life.parents) if (--parent.holders === 0) ended.push(parent);
      life.storages = [];
      life.parents = [];
    }
  }
}

let nodes = 0;

/** One recorded operation. */
export class GraphNode {
  readonly id: number = nodes++;
  readonly lifetime: Lifetime;
  private versions: number[];
  freed = false;

  constructor(
    readonly op: string,
    readonly shape: readonly number[],
    /** Per input: where its gradient goes, null for nowhere. */
    public targets: readonly (Tensor | null)[],
    public vjps: readonly (Vjp | null)[],
    private saved: readonly Tensor[],
  ) {
    const storages = saved.map((t) => t.storage);
    this.versions = storages.map((storage) => storage.version);
    const parents: Lifetime[] = [];
    for (const target of targets) if (target?.node) parents.push(target.node.lifetime);
    this.lifetime = new Lifetime(storages, parents);
  }

  /** The gradient of input `i`. What was saved is readable meanwhile, even if its handle has been released. */
  gradient(i: number, dy: Tensor): Tensor | Stretch {
    for (const [s, tensor] of this.saved.entries()) {
      if (tensor.buffer.version !== this.versions[s]) {
        throw new Error(
          `backward: what ${this.op} saved must be unchanged, got a tensor of shape ${showShape(tensor.shape)} changed in place since; use clone() before the change`,
        );
      }
    }
    const released = this.saved.filter((tensor) => tensor.released);
    for (const tensor of released) tensor.released = false;
    try {
      return (this.vjps[i] as Vjp)(dy);
    } finally {
      for (const tensor of released) tensor.released = true;
    }
  }

  /** Ends the node after its backward: what it saved is released. */
  free(): void {
    this.freed = true;
    this.targets = [];
    this.vjps = [];
    this.saved = [];
    this.versions = [];
    this.lifetime.drop();
  }
}

let recording = true;

/** Whether operations on tensors that require gradients are recorded. */
export function isRecording(): boolean {
  return recording;
}

/** Runs `fn` without recording. A promise is an error: the mode ends when `fn` returns. */
export function noGrad<T>(fn: () => T): T {
  return withRecording("noGrad", false, fn);
}

/** Runs `fn` with recording, also inside `noGrad` and in what a backward runs. */
export function enableGrad<T>(fn: () => T): T {
  return withRecording("enableGrad", true, fn);
}

function withRecording<T>(op: string, mode: boolean, fn: () => T): T {
  const outer = recording;
  recording = mode;
  try {
    return rejectThenable(op, fn());
  } finally {
    recording = outer;
  }
}

/**
 * Notes how `output` was computed, where recording is on and an input requires a gradient; returns `output`.
 *
 * @param saved the tensors that the vjps read; they are kept until the graph is freed, and must not change before
 * @param vjps one per input, computed only for inputs that require a gradient; each returns a tensor of its input's shape
 */
export function record<const Inputs extends readonly (Tensor | undefined)[]>(
  op: string,
  output: Tensor,
  inputs: Inputs,
  saved: readonly Tensor[],
  vjps: Vjps<Inputs>,
): Tensor {
  for (const x of inputs) {
    if (x !== undefined && !(x instanceof Tensor)) {
      throw new Error(`${op}: inputs must be tensors of this copy of the library, got one of another; load it once`);
    }
  }
  const rules = vjps as unknown as readonly (Vjp | null)[];
  const targets = recording ? inputs.map((x, i) => (x?.requiresGrad && rules[i] ? x : null)) : [];
  const wanted = targets.some((x) => x !== null);
  setHistory(output, op, wanted ? new GraphNode(op, output.shape, targets, rules, saved) : null);
  return output;
}

/** The vjps of inputs whose gradients are computed together: the first that runs computes all, the rest take theirs. */
export function jointVjps<const Inputs extends readonly Tensor[]>(
  inputs: Inputs,
  gradients: (dy: Tensor) => { readonly [K in keyof Inputs]: Tensor },
): Vjps<Inputs> {
  const wanted = inputs.map((x) => x.requiresGrad);
  const waiting = new Map<number, Tensor>();
  let source: Tensor | null = null;
  const vjps = inputs.map((_, i) => (dy: Tensor) => {
    if (source !== dy || !waiting.has(i)) {
      for (const g of waiting.values()) g.dispose();
      waiting.clear();
      source = dy;
      for (const [j, g] of gradients(dy).entries()) {
        if (!wanted[j]) continue;
        currentScope()?.handOver(g); // the backward's own scope, which releases what no vjp fetches
        waiting.set(j, g);
      }
    }
    const g = waiting.get(i) as Tensor;
    waiting.delete(i);
    moveTo(currentScope(), g);
    return g;
  });
  return vjps as unknown as Vjps<Inputs>;
}

export interface BackwardOptions {
  /** Keep what the graph saved for another backward. */
  retainGraph?: boolean;
}

/**
 * Accumulates d`output`/dθ into `.grad` of every leaf θ that requires a gradient, and frees the graph.
 *
 * @param gradient d(objective)/d`output`; may be left out where `output` has one element
 */
export function backward(output: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  walk("backward", output, gradient, retainsGraph("backward", options), accumulateGrad);
}

/** The gradients of `output` with respect to `inputs`, without touching any `.grad`; zeros where there is no path. */
export function grad(
  output: Tensor,
  inputs: readonly Tensor[],
  gradOutput?: Tensor,
  options: BackwardOptions = {},
): Tensor[] {
  const retainGraph = retainsGraph("autograd.grad", options);
  for (const [i, input] of inputs.entries()) {
    if (!input.requiresGrad)
      throw new Error(`autograd.grad: inputs must require gradients, got input ${i} that does not`);
  }
  checkRoot("autograd.grad", output, gradOutput);
  const results = inputs.map(zerosOf);
  const sink = (source: Tensor | GraphNode, g: Tensor) => {
    for (const [i, input] of inputs.entries()) if ((input.node ?? input) === source) accumulate(results[i], g);
  };
  walk("autograd.grad", output, gradOutput, retainGraph, sink, sink);
  return results;
}

function retainsGraph(op: string, options: BackwardOptions): boolean {
  if ("createGraph" in options)
    throw new Error(
      `${op}: gradients must be of first order, got createGraph; higher-order gradients are not supported`,
    );
  checkOptions(op, options, ["retainGraph"]);
  return options.retainGraph ?? false;
}

/** Visits the nodes from `output` down, newest first: every consumer comes before what it consumed. */
function walk(
  op: string,
  output: Tensor,
  gradient: Tensor | undefined,
  retainGraph: boolean,
  onLeaf: (leaf: Tensor, g: Tensor) => void,
  onNode?: (node: GraphNode, g: Tensor) => void,
): void {
  checkRoot(op, output, gradient);
  const nodes = output.node ? nodesFrom(op, output.node) : [];
  for (const node of nodes) node.lifetime.retain();
  const outer = recording;
  recording = false;
  const work = new Scope();
  try {
    work.run(() => {
      const seed = gradient ? alias(gradient) : onesOf(output);
      if (!output.node) return onLeaf(output, seed);
      const gradients = new Map<GraphNode, Arrived>([[output.node, new Arrived().add(seed)]]);
      for (const node of nodes) {
        const arrived = gradients.get(node);
        if (arrived) {
          gradients.delete(node);
          const dy = arrived.whole(node.shape);
          onNode?.(node, dy);
          propagate(node, dy, gradients, onLeaf);
          dy.dispose();
        }
        if (!retainGraph) node.free();
      }
    });
  } finally {
    recording = outer;
    for (const node of nodes) node.lifetime.release();
    work.release();
  }
}

/** Sends the gradient of one node's output on to its inputs. */
function propagate(
  node: GraphNode,
  dy: Tensor,
  gradients: Map<GraphNode, Arrived>,
  onLeaf: (leaf: Tensor, g: Tensor) => void,
): void {
  for (const [i, target] of node.targets.entries()) {
    if (!target) continue;
    const g = scope(() => node.gradient(i, dy));
    checkGradient(node.op, i, g, target.shape);
    if (!target.node) {
      onLeaf(target, new Arrived().add(owned(g, dy)).whole(target.shape));
      continue;
    }
    const arrived = gradients.get(target.node);
    if (arrived) arrived.add(owned(g, dy));
    else gradients.set(target.node, new Arrived().add(owned(g, dy)));
  }
}

function checkGradient(op: string, i: number, g: Tensor | Stretch, shape: Shape): void {
  const got = g instanceof Tensor ? g.shape : g.values.shape;
  const isRight =
    g instanceof Tensor
      ? sameShape(got, shape)
      : got.length === shape.length &&
        g.start >= 0 &&
        got.every((extent, d) => (d === g.dim ? g.start + extent <= shape[d] : extent === shape[d]));
  if (isRight) return;
  const wanted = g instanceof Tensor ? "have its shape" : `be a stretch of dim ${g.dim} of its shape`;
  throw new Error(`${op}: the gradient of input ${i} must ${wanted} ${showShape(shape)}, got ${showShape(got)}`);
}

/** `g` on handles that belong to the running scope and are not `dy`, which is released. */
function owned(g: Tensor | Stretch, dy: Tensor): Tensor | Stretch {
  if (g instanceof Tensor) return g === dy || g.owner !== currentScope() ? alias(g) : g;
  return { ...g, values: owned(g.values, dy) as Tensor };
}

/** What has arrived of one gradient: tensors are summed at once, stretches wait, since together they may be all of it. */
class Arrived {
  private total: Tensor | undefined;
  private readonly stretches: Stretch[] = [];

  add(g: Tensor | Stretch): this {
    if (g instanceof Tensor) this.total = sum(this.total, g);
    else this.stretches.push(g);
    return this;
  }

  whole(shape: Shape): Tensor {
    const { stretches } = this;
    if (!this.total && isTiling(stretches, shape)) return joined(stretches, shape);
    for (const stretch of stretches) this.total = sum(this.total, joined([stretch], shape));
    return this.total as Tensor;
  }
}

/** Whether the stretches, in some order, make up the whole of one dimension. */
function isTiling(stretches: Stretch[], shape: Shape): boolean {
  const [{ dim }] = stretches;
  let end = 0;
  for (const { values, dim: d, start } of stretches.sort((a, b) => a.start - b.start)) {
    if (d !== dim || start !== end) return false;
    end += values.shape[d];
  }
  return end === shape[dim];
}

/** The stretches at their places, 0 elsewhere. */
function joined(stretches: readonly Stretch[], shape: Shape): Tensor {
  const whole = empty(shape);
  if (stretches.length === 1) whole.fillWith(0);
  for (const { values, dim, start } of stretches) {
    const place = section(whole, dim, start, values.shape[dim]);
    copyInto(place, values);
    place.dispose();
    values.dispose();
  }
  return whole;
}

/** total + g; in place where nothing else sees `total`. Both belong to the running scope. */
function sum(total: Tensor | undefined, g: Tensor): Tensor {
  if (!total) return g;
  const result = isExclusive(total) ? total : clone(total);
  accumulate(result, g);
  if (result !== total) total.dispose();
  g.dispose();
  return result;
}

/** leaf.grad += g. The gradient has the leaf's owner and never aliases another tensor. */
function accumulateGrad(leaf: Tensor, g: Tensor): void {
  if (leaf.released) return;
  if (leaf.grad) {
    accumulate(leaf.grad, g);
    g.dispose();
  } else {
    leaf.adoptGrad(isExclusive(g) ? g : clone(g));
  }
}

function isExclusive(g: Tensor): boolean {
  return g.isDense && !g.storage.isShared;
}

/** Every node that `root` was computed from, newest first. */
function nodesFrom(op: string, root: GraphNode): GraphNode[] {
  const found = new Set<GraphNode>([root]);
  for (const node of found) {
    if (node.freed) {
      throw new Error(
        `${op}: the graph must still hold what it saved, got one that a backward has freed; pass { retainGraph: true } to that one`,
      );
    }
    for (const target of node.targets) if (target?.node) found.add(target.node);
  }
  return [...found].sort((a, b) => b.id - a.id);
}

function checkRoot(op: string, output: Tensor, gradient: Tensor | undefined): void {
  if (gradient && gradient.dtype !== "float32") {
    throw new Error(`${op}: the gradient must be float32, got ${gradient.dtype}`);
  }
  if (!output.requiresGrad) {
    throw new Error(
      `${op}: the output must depend on a tensor that requires a gradient, got one that does not (${showShape(output.shape)})`,
    );
  }
  if (!gradient && output.size !== 1) {
    throw new Error(
      `${op}: the output must have one element or a gradient must be given, got shape ${showShape(output.shape)}`,
    );
  }
  if (gradient && !sameShape(gradient.shape, output.shape)) {
    throw new Error(
      `${op}: the gradient must have the output's shape ${showShape(output.shape)}, got ${showShape(gradient.shape)}`,
    );
  }
  if (gradient?.requiresGrad && recording) {
    throw new Error(
      `${op}: the gradient must not require a gradient itself, got one that does; higher-order gradients are not supported`,
    );
  }
}

function onesOf(x: Tensor): Tensor {
  return empty(x.shape).fillWith(1);
}

function zerosOf(x: Tensor): Tensor {
  return empty(x.shape).fillWith(0);
}
