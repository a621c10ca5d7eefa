/** `train`: the training loop, what listens to it, and what tells of gradients. */
export type { Callback, EpochEvent, FitEvent, StepEvent } from "./callbacks.js";
export { EarlyStopping, type EarlyStoppingOptions } from "./earlyStopping.js";
export { type FitOptions, fit } from "./fit.js";
export { type GradientReport, gradientReport, type LayerReport } from "./gradientReport.js";
export type { EpochSummary, History } from "./history.js";
export { type Batches, evaluate, type LossFunction } from "./loss.js";
export { ModelCheckpoint, type ModelCheckpointOptions } from "./modelCheckpoint.js";
export { ProgressBar, type ProgressBarOptions, type ProgressOutput } from "./progressBar.js";
export type { RunCheckpointOptions } from "./runCheckpoint.js";
