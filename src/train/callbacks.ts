/** What `fit` tells while it runs. */
import type { Module } from "../nn/module.js";
import type { History } from "./history.js";

/** What every event carries. */
export interface FitEvent<Model extends Module = Module> {
  model: Model;
  /** What there is so far. */
  history: History;
  /** Epochs and, where the loader knows its length, steps that were asked for. */
  totalEpochs: number;
  totalSteps: number | undefined;
  /** Ends the training after the present step; its `history.stopped` is "early". */
  stop(): void;
}

/** After one step of the optimizer, with the gradients still there. */
export interface StepEvent<Model extends Module = Module> extends FitEvent<Model> {
  /** Counted from 1, over all epochs. */
  step: number;
  /** Counted from 1. */
  epoch: number;
  /** The mean loss of what the step saw. */
  loss: number;
  /** Per parameter group. */
  learningRates: number[];
  /** The gradients' norm before clipping, where they are clipped. */
  gradientNorm: number | undefined;
}

/** After an epoch and its validation. */
export interface EpochEvent<Model extends Module = Module> extends FitEvent<Model> {
  /** Counted from 1. */
  epoch: number;
  loss: number;
  validationLoss: number | undefined;
}

/** Each may be asynchronous; training waits. */
export interface Callback<Model extends Module = Module> {
  onStart?(event: FitEvent<Model>): void | Promise<void>;
  onStep?(event: StepEvent<Model>): void | Promise<void>;
  onEpoch?(event: EpochEvent<Model>): void | Promise<void>;
  /** Also after an error. */
  onEnd?(event: FitEvent<Model>): void | Promise<void>;
  /** What a checkpoint keeps of it, as JSON; given back after `onStart` of the run that goes on. */
  stateDict?(): object;
  loadStateDict?(state: object): void;
}

/** What callbacks compare: the loss on the validation data where there is any. */
export function monitored({ loss, validationLoss }: EpochEvent): number {
  return validationLoss ?? loss;
}
