/** Losses of elements: (input, target, { reduction }). */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { broadcastShapes, positionOf, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, type Ptr } from "../wasm/memory.js";
import { div, mul, sub } from "./binary.js";
import { zip } from "./broadcast.js";
import { checkDtype } from "./dtype.js";
import { mean, sum } from "./reduce.js";
import { abs, exp, square } from "./unary.js";
import { expand } from "./view.js";

/** "mean" divides by the number of terms that count, "none" leaves one loss for each. */
export type Reduction = "mean" | "sum" | "none";

export interface LossOptions {
  reduction?: Reduction;
}

/** (input − target)², broadcast */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkLoss("mseLoss", options);
  return scope(() => reduce(square(sub(input, target)), options.reduction));
}

/** |input − target|, broadcast */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkLoss("l1Loss", options);
  return scope(() => reduce(abs(sub(input, target)), options.reduction));
}

export interface SmoothL1LossOptions extends LossOptions {
  /** Where |input − target| is smaller, the loss is a parabola; 0 gives `l1Loss`. */
  beta?: number;
}

/** d²/2β where |d| < β, else |d| − β/2, with d = input − target, broadcast. Girshick 2015 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1LossOptions = {}): Tensor {
  checkLoss("smoothL1Loss", options, ["beta"]);
  const { beta = 1, reduction } = options;
  if (!(beta >= 0)) throw new Error(`smoothL1Loss: beta must be 0 or more, got ${beta}`);
  return scope(() => reduce(smoothL1(sub(input, target), beta), reduction));
}

export interface HuberLossOptions extends LossOptions {
  /** Where |input − target| is smaller, the loss is a parabola. */
  delta?: number;
}

/** d²/2 where |d| < δ, else δ·(|d| − δ/2), with d = input − target, broadcast. Huber 1964 */
export function huberLoss(input: Tensor, target: Tensor, options: HuberLossOptions = {}): Tensor {
  checkLoss("huberLoss", options, ["delta"]);
  const { delta = 1, reduction } = options;
  if (!(delta > 0)) throw new Error(`huberLoss: delta must be above 0, got ${delta}`);
  return scope(() => reduce(mul(smoothL1(sub(input, target), delta), delta), reduction));
}

/**
 * −target·log input − (1 − target)·log(1 − input), logarithms −100 at least.
 *
 * @param input probabilities from 0 to 1; others are an error that says where
 * @param target of the input's shape
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html
 */
export function binaryCrossEntropy(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkLoss("binaryCrossEntropy", options);
  checkPair("binaryCrossEntropy", input, target);
  return scope(() => {
    const [x, t] = [dense(input), dense(target)];
    checkProbabilities("binaryCrossEntropy", x);
    const y = written(x, (to) => kernels.binaryCrossEntropy(to, x.ptr, t.ptr, x.size));
    const dx = (to: Ptr) => kernels.binaryCrossEntropyGrad(to, x.ptr, t.ptr, x.size);
    const dt = (to: Ptr) => kernels.binaryCrossEntropyTargetGrad(to, x.ptr, x.size);
    const losses = record("binaryCrossEntropy", y, [input, target], [x, t], [slope(x, dx), slope(x, dt)]);
    return reduce(losses, options.reduction);
  });
}

export interface BCEWithLogitsOptions extends LossOptions {
  /** The factor of the loss of positives, such as one for each class; broadcasts to the input. It gets no gradient. */
  posWeight?: Tensor;
}

/**
 * −posWeight·target·log σ(input) − (1 − target)·log σ(−input): `binaryCrossEntropy` of σ(input), accurate for any logit.
 *
 * @param target of the input's shape
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html
 */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: BCEWithLogitsOptions = {},
): Tensor {
  checkLoss("binaryCrossEntropyWithLogits", options, ["posWeight"]);
  checkPair("binaryCrossEntropyWithLogits", input, target);
  const { posWeight, reduction } = options;
  return scope(() => {
    const [x, t] = [dense(input), dense(target)];
    const w = posWeight && dense(weightFor("binaryCrossEntropyWithLogits", posWeight, input));
    const weight = () => w?.ptr ?? nullPtr;
    const y = written(x, (to) => kernels.logitCrossEntropy(to, x.ptr, t.ptr, weight(), x.size));
    const dx = (to: Ptr) => kernels.logitCrossEntropyGrad(to, x.ptr, t.ptr, weight(), x.size);
    const dt = (to: Ptr) => kernels.logitCrossEntropyTargetGrad(to, x.ptr, weight(), x.size);
    const saved = w ? [x, t, w] : [x, t];
    const vjps = [slope(x, dx), slope(x, dt)] as const;
    return reduce(record("binaryCrossEntropyWithLogits", y, [input, target], saved, vjps), reduction);
  });
}

export interface KLDivOptions {
  /** "batchmean" divides the sum by the first extent, as the divergence is defined; "mean" by the number of elements. */
  reduction?: Reduction | "batchmean";
  /** The target is log-probabilities too. */
  logTarget?: boolean;
}

/**
 * target·(log target − input), the terms of the Kullback–Leibler divergence of exp(input) from the target.
 *
 * @param input log-probabilities
 * @param target probabilities of the input's shape, or with `logTarget` their logarithms
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html
 */
export function klDiv(input: Tensor, target: Tensor, options: KLDivOptions = {}): Tensor {
  checkOptions("klDiv", options, ["reduction", "logTarget"]);
  const { reduction = "mean", logTarget = false } = options;
  checkReduction("klDiv", { reduction }, ["mean", "sum", "none", "batchmean"]);
  checkPair("klDiv", input, target);
  return scope(() => {
    const terms = logTarget ? mul(exp(target), sub(target, input)) : klTerms(input, target);
    return reduction === "batchmean" ? div(sum(terms), input.shape[0] ?? 1) : reduce(terms, reduction);
  });
}

function klTerms(input: Tensor, target: Tensor): Tensor {
  const [x, t] = [dense(input), dense(target)];
  const y = written(x, (to) => kernels.klDiv(to, x.ptr, t.ptr, x.size));
  const dx = (dy: Tensor) => zip("mul", zip("mul", dy, t), -1);
  const dt = slope(x, (to) => kernels.klDivTargetGrad(to, x.ptr, t.ptr, x.size));
  return record("klDiv", y, [input, target], [x, t], [dx, dt]);
}

function smoothL1(difference: Tensor, beta: number): Tensor {
  const d = dense(difference);
  const y = written(d, (to) => kernels.smoothL1(to, d.ptr, d.size, beta));
  const dx = slope(d, (to) => kernels.smoothL1Grad(to, d.ptr, d.size, beta));
  return record("smoothL1", y, [difference], [d], [dx]);
}

/** A new tensor of the shape of `x`, filled by a kernel. */
function written({ shape }: Tensor, write: (to: Ptr) => void): Tensor {
  const y = empty(shape);
  write(y.ptr);
  return y;
}

/** The vjp of an elementwise function whose derivative a kernel writes. */
function slope(x: Tensor, write: (to: Ptr) => void): (dy: Tensor) => Tensor {
  return (dy) => zip("mul", written(x, write), dy);
}

/** The losses, their sum or their mean. */
export function reduce(losses: Tensor, reduction: Reduction = "mean"): Tensor {
  if (reduction === "none") return losses;
  return reduction === "sum" ? sum(losses) : mean(losses);
}

/** Checks the keys of the options, `more` than the reduction, and the reduction. */
export function checkLoss(op: string, options: LossOptions, more: readonly string[] = []): void {
  checkOptions(op, options, ["reduction", ...more]);
  checkReduction(op, options);
}

export function checkReduction(
  op: string,
  { reduction = "mean" }: { reduction?: string },
  known: readonly string[] = ["mean", "sum", "none"],
): void {
  if (!known.includes(reduction)) {
    const list = known.map((name) => `"${name}"`).join(", ");
    throw new Error(`${op}: reduction must be one of ${list}, got "${reduction}"`);
  }
}

function checkPair(op: string, input: Tensor, target: Tensor): void {
  checkDtype(op, "the input", input, "float32");
  checkDtype(op, "the target", target, "float32");
  if (!sameShape(input.shape, target.shape)) {
    throw new ShapeError(
      `${op}: the target must have the input's shape ${showShape(input.shape)}, got ${showShape(target.shape)}`,
    );
  }
}

function checkProbabilities(op: string, x: Tensor): void {
  const at = kernels.firstImprobable(x.ptr, x.size);
  if (at < 0) return;
  throw new Error(`${op}: the input must be from 0 to 1, got ${x.data()[at]} at ${showShape(positionOf(x.shape, at))}`);
}

function weightFor(op: string, weight: Tensor, { shape }: Tensor): Tensor {
  checkDtype(op, "posWeight", weight, "float32");
  if (!sameShape(broadcastShapes(op, weight.shape, shape), shape)) {
    throw new ShapeError(`${op}: posWeight must broadcast to ${showShape(shape)}, got ${showShape(weight.shape)}`);
  }
  return expand(alias(weight), shape);
}
