/** Losses: (input, target, { reduction }). */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { type Shape, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { div, sub } from "./binary.js";
import { mean, sum } from "./reduce.js";
import { square } from "./unary.js";
import { permute } from "./view.js";

/** "mean" divides by the number of terms that count, "none" leaves one loss for each. */
export type Reduction = "mean" | "sum" | "none";

export interface LossOptions {
  reduction?: Reduction;
}

export interface CrossEntropyOptions extends LossOptions {
  /** Targets of this value do not count. */
  ignoreIndex?: number;
}

/**
 * −log softmax(input)[target], softmax and loss in one pass; only two numbers a row are saved for the gradient.
 *
 * @param input logits [N, C], [C] or [N, C, d₁, …]
 * @param target int32 classes [N], [] or [N, d₁, …], from 0 to C − 1 or `ignoreIndex`
 * All targets ignored: the mean is NaN, as in torch.nn.functional.cross_entropy.
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions("crossEntropy", options, ["reduction", "ignoreIndex"]);
  checkReduction("crossEntropy", options);
  const { reduction = "mean", ignoreIndex = -100 } = options;
  checkClassTargets(input, target);
  const logits = classesLast(input);
  const classes = logits.shape[logits.ndim - 1];
  const x = dense(logits);
  const t = dense(target);
  const rows = t.size;
  const bad = kernels.firstBadTarget(t.ptr, rows, classes, ignoreIndex);
  if (bad >= 0) {
    throw new Error(
      `crossEntropy: targets must be from 0 to ${classes - 1} or ignoreIndex ${ignoreIndex}, got ${t.data()[bad]} at ${bad}`,
    );
  }
  const losses = empty(target.shape);
  const shift = empty([rows, 2]);
  const counted = kernels.crossEntropy(losses.ptr, shift.ptr, x.ptr, t.ptr, rows, classes, ignoreIndex);
  const y = reduction === "none" ? losses : reduction === "sum" ? sum(losses) : div(sum(losses), counted);
  const scale = reduction === "mean" ? 1 / counted : 1;
  return record(
    "crossEntropy",
    y,
    [logits, target],
    [x, t, shift],
    [
      (dy) => {
        const dx = empty(x.shape);
        const dloss = dense(dy);
        kernels.crossEntropyGrad(
          dx.ptr,
          dloss.ptr,
          x.ptr,
          t.ptr,
          shift.ptr,
          rows,
          classes,
          reduction === "none" ? 1 : 0,
          ignoreIndex,
          scale,
        );
        return dx;
      },
      null,
    ],
  );
}

/** (input − target)² */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("mseLoss", options, ["reduction"]);
  checkReduction("mseLoss", options);
  return reduce(square(sub(input, target)), options.reduction);
}

function reduce(losses: Tensor, reduction: Reduction = "mean"): Tensor {
  if (reduction === "none") return losses;
  return reduction === "sum" ? sum(losses) : mean(losses);
}

function checkReduction(op: string, { reduction = "mean" }: LossOptions): void {
  if (!["mean", "sum", "none"].includes(reduction)) {
    throw new Error(`${op}: reduction must be "mean", "sum" or "none", got "${reduction}"`);
  }
}

function checkClassTargets({ shape, dtype }: Tensor, target: Tensor): void {
  const expected: Shape = shape.length < 2 ? [] : [shape[0], ...shape.slice(2)];
  if (dtype !== "float32") throw new Error(`crossEntropy: the input must be float32 logits, got ${dtype}`);
  if (shape.length === 0 || !sameShape(target.shape, expected)) {
    throw new ShapeError(
      `crossEntropy: targets must have shape ${showShape(expected)} for logits ${showShape(shape)}, got ${showShape(target.shape)}`,
    );
  }
  if (target.dtype !== "int32")
    throw new Error(`crossEntropy: targets must be class indices of dtype: "int32", got ${target.dtype}`);
}

/** [N, C, d₁, …] as [N, d₁, …, C] */
function classesLast(x: Tensor): Tensor {
  if (x.ndim <= 2) return x;
  const [n, c, ...rest] = x.shape.keys();
  return permute(x, [n, ...rest, c]);
}
