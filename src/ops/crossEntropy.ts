/** Losses of logits or log-probabilities of classes. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { positionOf, type Shape, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, type Ptr } from "../wasm/memory.js";
import { add, div, mul } from "./binary.js";
import { checkDtype } from "./dtype.js";
import { checkReduction, type LossOptions, type Reduction } from "./loss.js";
import { sum } from "./reduce.js";
import { logSoftmax } from "./softmax.js";
import { neg } from "./unary.js";
import { permute, reshape } from "./view.js";

export interface NLLLossOptions extends LossOptions {
  /** A factor for each class [C]; "mean" then divides by the sum of the targets' factors. It gets no gradient. */
  weight?: Tensor;
  /** Targets of this value do not count. */
  ignoreIndex?: number;
}

export interface CrossEntropyOptions extends NLLLossOptions {
  /** The part of each target that is spread evenly over all classes. Szegedy et al. 2015 */
  labelSmoothing?: number;
}

/**
 * −log softmax(input)[target], softmax and loss in one pass; only two numbers a row are saved for the gradient.
 * With targets that are probabilities, −Σ target·log softmax(input), and "mean" divides by N·d₁·….
 *
 * @param input logits [N, C], [C] or [N, C, d₁, …]
 * @param target int32 classes [N], [] or [N, d₁, …], from 0 to C − 1 or `ignoreIndex`; or float32 of the input's shape
 * All targets ignored: the mean is NaN, as in torch.nn.functional.cross_entropy.
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions("crossEntropy", options, ["reduction", "weight", "ignoreIndex", "labelSmoothing"]);
  checkReduction("crossEntropy", options);
  const { labelSmoothing = 0, weight } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new Error(`crossEntropy: labelSmoothing must be from 0 to 1, got ${labelSmoothing}`);
  if (target.dtype === "float32" && sameShape(target.shape, input.shape))
    return ofProbabilities(input, target, options);
  const rows = classRows("crossEntropy", input, target, options);
  return weight || labelSmoothing > 0 ? weightedCrossEntropy(rows, labelSmoothing) : plainCrossEntropy(rows);
}

/**
 * −weight[target]·input[target]: the negative log-likelihood where the input is log-probabilities.
 *
 * @param input log-probabilities [N, C], [C] or [N, C, d₁, …]
 * @param target int32 classes [N], [] or [N, d₁, …], from 0 to C − 1 or `ignoreIndex`
 * Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html
 */
export function nllLoss(input: Tensor, target: Tensor, options: NLLLossOptions = {}): Tensor {
  checkOptions("nllLoss", options, ["reduction", "weight", "ignoreIndex"]);
  checkReduction("nllLoss", options);
  const rows = classRows("nllLoss", input, target, options);
  const { x, t, weight, count, classes, ignore } = rows;
  const losses = empty(target.shape);
  const factors = weight?.ptr ?? nullPtr;
  const counted = kernels.nll(losses.ptr, x.ptr, t.ptr, factors, count, classes, ignore);
  return recordRows("nllLoss", rows, losses, counted, [], (dloss, dlossRow, scale) => {
    const dx = empty(x.shape).fillWith(0);
    kernels.nllGrad(dx.ptr, dloss, t.ptr, weight?.ptr ?? nullPtr, count, classes, dlossRow, ignore, scale);
    return dx;
  });
}

/** Rows of one class target each, checked and dense. */
interface ClassRows {
  /** The input with its classes last. */
  input: Tensor;
  x: Tensor;
  target: Tensor;
  t: Tensor;
  weight: Tensor | null;
  count: number;
  classes: number;
  ignore: number;
  reduction: Reduction;
}

function classRows(op: string, input: Tensor, target: Tensor, options: NLLLossOptions): ClassRows {
  const { ignoreIndex: ignore = -100, reduction = "mean", weight } = options;
  checkClassTargets(op, input, target);
  const last = classesLast(input);
  const classes = last.shape[last.ndim - 1];
  if (weight) checkWeight(op, weight, classes);
  const [x, t] = [dense(last), dense(target)];
  const bad = kernels.firstBadTarget(t.ptr, t.size, classes, ignore);
  if (bad >= 0) {
    throw new Error(
      `${op}: targets must be from 0 to ${classes - 1} or ignoreIndex ${ignore}, got ${t.data()[bad]} at ${showShape(positionOf(t.shape, bad))}`,
    );
  }
  const factors = weight ? dense(weight) : null;
  return { input: last, x, target, t, weight: factors, count: t.size, classes, ignore, reduction };
}

function plainCrossEntropy(rows: ClassRows): Tensor {
  const { x, t, count, classes, ignore } = rows;
  const losses = empty(rows.target.shape);
  const shift = empty([count, 2]);
  const counted = kernels.crossEntropy(losses.ptr, shift.ptr, x.ptr, t.ptr, count, classes, ignore);
  return recordRows("crossEntropy", rows, losses, counted, [x, shift], (dloss, dlossRow, scale) => {
    const dx = empty(x.shape);
    kernels.crossEntropyGrad(dx.ptr, dloss, x.ptr, t.ptr, shift.ptr, count, classes, dlossRow, ignore, scale);
    return dx;
  });
}

function weightedCrossEntropy(rows: ClassRows, smoothing: number): Tensor {
  const { x, t, count, classes, ignore } = rows;
  const weight = rows.weight ?? empty([classes]).fillWith(1);
  const losses = empty(rows.target.shape);
  const shift = empty([count, 2]);
  const counted = kernels.weightedCrossEntropy(
    losses.ptr,
    shift.ptr,
    x.ptr,
    t.ptr,
    weight.ptr,
    count,
    classes,
    ignore,
    smoothing,
  );
  return recordRows("crossEntropy", rows, losses, counted, [x, weight, shift], (dloss, dlossRow, scale) => {
    const dx = empty(x.shape);
    kernels.weightedCrossEntropyGrad(
      dx.ptr,
      dloss,
      x.ptr,
      t.ptr,
      weight.ptr,
      shift.ptr,
      count,
      classes,
      dlossRow,
      ignore,
      smoothing,
      scale,
    );
    return dx;
  });
}

/** Reduces the losses of rows, of which `counted` (or so much weight) count, and records how. */
function recordRows(
  op: string,
  { input, target, t, weight, reduction }: ClassRows,
  losses: Tensor,
  counted: number,
  saved: readonly Tensor[],
  gradient: (dloss: Ptr, dlossRow: number, scale: number) => Tensor,
): Tensor {
  const y = reduction === "none" ? losses : reduction === "sum" ? sum(losses) : div(sum(losses), counted);
  const scale = reduction === "mean" ? 1 / counted : 1;
  const vjp = (dy: Tensor) => gradient(dense(dy).ptr, reduction === "none" ? 1 : 0, scale);
  return record(op, y, [input, target], [t, ...(weight ? [weight] : []), ...saved], [vjp, null]);
}

function ofProbabilities(input: Tensor, target: Tensor, options: CrossEntropyOptions): Tensor {
  checkDtype("crossEntropy", "the input", input, "float32");
  const { reduction = "mean", weight, labelSmoothing = 0 } = options;
  const dim = input.ndim === 1 ? 0 : 1;
  const classes = input.shape[dim];
  if (weight) checkWeight("crossEntropy", weight, classes);
  return scope(() => {
    const smoothed = labelSmoothing > 0 ? add(mul(target, 1 - labelSmoothing), labelSmoothing / classes) : target;
    const alongDim = input.shape.map((_, d) => (d === dim ? classes : 1));
    const weighted = weight ? mul(smoothed, reshape(alias(weight), alongDim)) : smoothed;
    const terms = mul(weighted, logSoftmax(input, { dim }));
    if (reduction === "none") return neg(sum(terms, { dim }));
    return reduction === "sum" ? neg(sum(terms)) : div(sum(terms), -input.size / classes);
  });
}

function checkWeight(op: string, weight: Tensor, classes: number): void {
  checkDtype(op, "the weight", weight, "float32");
  if (!sameShape(weight.shape, [classes]))
    throw new ShapeError(`${op}: the weight must have shape ${showShape([classes])}, got ${showShape(weight.shape)}`);
}

function checkClassTargets(op: string, { shape, dtype }: Tensor, target: Tensor): void {
  const expected: Shape = shape.length < 2 ? [] : [shape[0], ...shape.slice(2)];
  if (dtype !== "float32") throw new Error(`${op}: the input must be "float32", got "${dtype}"`);
  if (shape.length === 0 || !sameShape(target.shape, expected)) {
    throw new ShapeError(
      `${op}: targets must have shape ${showShape(expected)} for an input ${showShape(shape)}, got ${showShape(target.shape)}`,
    );
  }
  if (target.dtype !== "int32")
    throw new Error(`${op}: targets must be class indices of dtype: "int32", got ${target.dtype}`);
}

/** [N, C, d₁, …] as [N, d₁, …, C] */
function classesLast(x: Tensor): Tensor {
  if (x.ndim <= 2) return x;
  const [n, c, ...rest] = x.shape.keys();
  return permute(x, [n, ...rest, c]);
}
