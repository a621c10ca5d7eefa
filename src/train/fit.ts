/** The training loop. */
import { checkOptions } from "../errors.js";
import type { Stateful } from "../io/checkpoint.js";
import { inMode } from "../nn/mode.js";
import type { Module } from "../nn/module.js";
import { clipGradNorm_ } from "../nn/utils.js";
import { full } from "../ops/create.js";
import { mul_ } from "../ops/inplace.js";
import type { Optimizer } from "../optim/optimizer.js";
import { Pacer } from "../pause.js";
import { scope } from "../scope.js";
import type { Callback, FitEvent } from "./callbacks.js";
import { type History, WeightedMean } from "./history.js";
import { type Batches, evaluate, type LossFunction, weightedLoss } from "./loss.js";
import { isStateful, RunCheckpoint, type RunCheckpointOptions } from "./runCheckpoint.js";

export interface FitOptions<Model extends Module, Batch> {
  /** How often to go through the loader. */
  epochs: number;
  optimizer: FitOptimizer;
  loss: LossFunction<Model, Batch>;
  /** Stepped after each step, with its loss, or after each epoch, with its validation loss if there is one, else its loss. */
  scheduler?: { scheduler: { step(metric: number): void }; interval: "step" | "epoch" };
  /** Batches to a step: their mean losses count by their counts, so that a step is that of one large batch. */
  gradientAccumulationSteps?: number;
  /** The largest norm of all gradients together. */
  clipGradNorm?: number;
  /** Batches whose loss is taken after each epoch. */
  validation?: Batches<Batch>;
  callbacks?: readonly Callback<Model>[];
  /** Saves all that a run needs to go on, bit for bit, and goes on: the same call, started again, ends as one that never stopped. */
  checkpoint?: RunCheckpointOptions;
  /** An abort ends the training after the present step. */
  signal?: AbortSignal;
}

type FitOptimizer = Pick<Optimizer, "step" | "zeroGrad"> & {
  paramGroups: readonly Pick<Optimizer["paramGroups"][number], "params" | "lr">[];
};

/**
 * Trains `model` on the batches of `loader` and gives way to events about every 12 ms. Every step runs in a scope of
 * its own. The model is in training mode meanwhile, in evaluation mode for validation, and as it was afterwards.
 */
export async function fit<Model extends Module, Batch>(
  model: Model,
  loader: Batches<Batch>,
  options: FitOptions<NoInfer<Model>, NoInfer<Batch>>,
): Promise<History> {
  checkFitOptions(options);
  const run = new Run(model, loader, options);
  const callbackStates = await run.resume();
  const restore = inMode(model, true);
  try {
    await run.tell((callback, event) => callback.onStart?.(event));
    for (const [i, state] of callbackStates.entries()) run.statefulCallbacks[i].loadStateDict(state as object);
    while (run.history.epochs.length < options.epochs && !run.isOver()) await run.epoch();
  } finally {
    options.optimizer.zeroGrad();
    restore();
    await run.tell((callback, event) => callback.onEnd?.(event));
  }
  return run.history;
}

class Run<Model extends Module, Batch> {
  readonly history: History = { steps: [], epochs: [], stopped: "completed" };
  private readonly pacer = new Pacer();
  private readonly event: FitEvent<Model>;
  private readonly checkpoint: RunCheckpoint | null;
  /** Of the present epoch. */
  private mean = new WeightedMean();
  /** The present epoch has no batch left. */
  private isRead = false;
  /** The batches since the last step. */
  private group = { batches: 0, mean: new WeightedMean() };

  constructor(
    private readonly model: Model,
    private readonly loader: Batches<Batch>,
    private readonly options: FitOptions<Model, Batch>,
  ) {
    const { epochs, gradientAccumulationSteps = 1, checkpoint, optimizer, scheduler } = options;
    const { length } = loader as { length?: unknown };
    this.event = {
      model,
      history: this.history,
      totalEpochs: epochs,
      totalSteps: typeof length === "number" ? epochs * Math.ceil(length / gradientAccumulationSteps) : undefined,
      stop: () => {
        this.history.stopped = "early";
      },
    };
    const parts = { model: checkpoint?.model ?? model, optimizer, scheduler: scheduler?.scheduler, loader };
    this.checkpoint = checkpoint ? new RunCheckpoint(checkpoint, parts) : null;
  }

  get statefulCallbacks(): Stateful<object>[] {
    return (this.options.callbacks ?? []).filter(isStateful) as Stateful<object>[];
  }

  /** Where a checkpoint is to be resumed, takes its place; gives the states of the callbacks. */
  async resume(): Promise<unknown[]> {
    const state = await this.checkpoint?.load(this.statefulCallbacks.length);
    if (!state) return [];
    const { history, mean, isRead, validation, callbacks } = state;
    Object.assign(this.history, history, { stopped: "completed" });
    this.mean = new WeightedMean(mean.sum, mean.count);
    this.isRead = isRead;
    if (isStateful(this.options.validation)) this.options.validation.loadStateDict(validation);
    return callbacks;
  }

  private async save(isInEpoch: boolean): Promise<void> {
    const { validation } = this.options;
    await this.checkpoint?.save(isInEpoch, {
      history: this.history,
      mean: this.mean,
      validation: isStateful(validation) ? validation.stateDict() : null,
      callbacks: this.statefulCallbacks.map((callback) => callback.stateDict()),
    });
  }

  /** An abort is noticed between steps. */
  isOver(): boolean {
    if (this.options.signal?.aborted) this.history.stopped = "aborted";
    return this.history.stopped !== "completed";
  }

  /** What is left of the epoch after those in the history. */
  async epoch(): Promise<void> {
    const { optimizer, validation, loss: lossOf, scheduler } = this.options;
    const epoch = this.history.epochs.length + 1;
    if (!this.isRead) await this.readBatches(epoch);
    if (this.isOver()) return;
    const loss = this.mean.value;
    const validationLoss = validation && (await evaluate(this.model, validation, lossOf));
    if (scheduler?.interval === "epoch") scheduler.scheduler.step(validationLoss ?? loss);
    const learningRates = ratesOf(optimizer);
    this.history.epochs.push({ epoch, loss, learningRates, ...(validation && { validationLoss }) });
    this.mean = new WeightedMean();
    this.isRead = false;
    await this.tell((callback, event) => callback.onEpoch?.({ ...event, epoch, loss, validationLoss }));
    await this.save(false);
  }

  private async readBatches(epoch: number): Promise<void> {
    const { gradientAccumulationSteps = 1 } = this.options;
    let batches = 0;
    for await (const batch of this.loader) {
      batches++;
      this.accumulate(batch);
      if (this.group.batches === gradientAccumulationSteps) await this.step(epoch);
      await this.pacer.pause();
      if (this.group.batches > 0) continue;
      // here, since a loop that is left goes on with the next epoch
      if (this.isOver() || this.checkpoint?.isDue(this.history.steps.length)) await this.save(true);
      if (this.isOver()) break;
    }
    if (batches === 0) throw new Error(`fit: the loader must give a batch, got none in epoch ${epoch}`);
    if (this.group.batches === 0) return;
    await this.step(epoch);
    if (this.isOver()) await this.save(true);
  }

  /** Adds the gradient of count · loss; alone in its step, a batch needs no weight. */
  private accumulate(batch: Batch): void {
    const { optimizer, loss: lossOf, gradientAccumulationSteps = 1 } = this.options;
    if (this.group.batches === 0) optimizer.zeroGrad();
    scope(() => {
      const { loss, count } = weightedLoss("fit", lossOf, this.model, batch);
      const weight = gradientAccumulationSteps === 1 ? 1 : count;
      if (count > 0) loss.backward(full(loss.shape, weight));
      this.mean.add(loss.item(), count);
      this.group.mean.add(loss.item(), count);
    });
    this.group.batches++;
  }

  private async step(epoch: number): Promise<void> {
    const { optimizer, clipGradNorm, scheduler, gradientAccumulationSteps = 1 } = this.options;
    const { value: loss, count } = this.group.mean;
    this.group = { batches: 0, mean: new WeightedMean() };
    const parameters = optimizer.paramGroups.flatMap(({ params }) => params);
    if (gradientAccumulationSteps > 1) for (const { grad } of parameters) if (grad) mul_(grad, 1 / count);
    const gradientNorm = clipGradNorm === undefined ? undefined : clipGradNorm_(parameters, clipGradNorm);
    const learningRates = ratesOf(optimizer);
    optimizer.step();
    if (scheduler?.interval === "step") scheduler.scheduler.step(loss);
    this.history.steps.push(loss);
    const facts = { step: this.history.steps.length, epoch, loss, learningRates, gradientNorm };
    await this.tell((callback, event) => callback.onStep?.({ ...event, ...facts }));
  }

  async tell(notify: (callback: Callback<Model>, event: FitEvent<Model>) => void | Promise<void>): Promise<void> {
    for (const callback of this.options.callbacks ?? []) await notify(callback, this.event);
  }
}

function ratesOf({ paramGroups }: FitOptimizer): number[] {
  return paramGroups.map(({ lr }) => lr);
}

function checkFitOptions<Model extends Module, Batch>(options: FitOptions<Model, Batch>): void {
  checkOptions("fit", options, [
    "epochs",
    "optimizer",
    "loss",
    "scheduler",
    "gradientAccumulationSteps",
    "clipGradNorm",
    "validation",
    "callbacks",
    "checkpoint",
    "signal",
  ]);
  const { epochs, gradientAccumulationSteps: group = 1, clipGradNorm, scheduler } = options;
  if (!(Number.isInteger(epochs) && epochs >= 0)) {
    throw new Error(`fit: epochs must be a whole number from 0, got ${epochs}`);
  }
  if (!(Number.isInteger(group) && group >= 1)) {
    throw new Error(`fit: gradientAccumulationSteps must be a whole number from 1, got ${group}`);
  }
  if (clipGradNorm !== undefined && !(clipGradNorm > 0)) {
    throw new Error(`fit: clipGradNorm must be above 0, got ${clipGradNorm}`);
  }
  if (scheduler && !["step", "epoch"].includes(scheduler.interval)) {
    throw new Error(`fit: the scheduler's interval must be "step" or "epoch", got "${scheduler.interval}"`);
  }
}
