/** What a loss function of `fit` returns, and how much it counts. */
import { showShape } from "../errors.js";
import { noGrad } from "../graph.js";
import { inMode } from "../nn/mode.js";
import type { Module } from "../nn/module.js";
import { Pacer } from "../pause.js";
import { scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import { WeightedMean } from "./history.js";

/** The mean loss of a batch; `count` is over how many terms, by default the rows of the batch's first tensor. */
export type LossFunction<Model, Batch> = (model: Model, batch: Batch) => Tensor | { loss: Tensor; count: number };

export type Batches<Batch> = Iterable<Batch> | AsyncIterable<Batch>;

/** The loss of one batch: one number that may be differentiated, and its weight among others. */
export function weightedLoss<Model, Batch>(
  op: string,
  lossOf: LossFunction<Model, Batch>,
  model: Model,
  batch: Batch,
): { loss: Tensor; count: number } {
  const result = lossOf(model, batch);
  const { loss, count } = result instanceof Tensor ? { loss: result, count: rowsOf(batch) } : result;
  if (!(loss instanceof Tensor && loss.size === 1)) {
    const got = loss instanceof Tensor ? showShape(loss.shape) : String(loss);
    throw new Error(`${op}: the loss must be a tensor of one element, got ${got}`);
  }
  if (!(count >= 0 && count < Infinity)) throw new Error(`${op}: the count must be 0 or more, got ${count}`);
  return { loss, count };
}

/** The mean loss over all batches, in evaluation mode and without gradients. */
export async function evaluate<Model extends Module, Batch>(
  model: Model,
  batches: Batches<Batch>,
  lossOf: LossFunction<Model, Batch>,
): Promise<number> {
  const pacer = new Pacer();
  const mean = new WeightedMean();
  const restore = inMode(model, false);
  try {
    for await (const batch of batches) {
      noGrad(() =>
        scope(() => {
          const { loss, count } = weightedLoss("evaluate", lossOf, model, batch);
          mean.add(loss.item(), count);
        }),
      );
      await pacer.pause();
    }
  } finally {
    restore();
  }
  return mean.value;
}

/** The first extent of the first tensor in the batch, 1 where there is none. */
function rowsOf(batch: unknown): number {
  if (batch instanceof Tensor) return batch.shape[0] ?? 1;
  const parts = typeof batch === "object" && batch !== null ? Object.values(batch) : [];
  const first = parts.find((part) => part instanceof Tensor);
  return first?.shape[0] ?? 1;
}
