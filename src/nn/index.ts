export * from "./activation.js";
export { type AttendOptions, MultiheadAttention, type MultiheadAttentionOptions } from "./attention.js";
export { BatchNorm1d, BatchNorm2d, type BatchNormLayerOptions } from "./batchNorm.js";
export { ModuleDict, ModuleList, Sequential } from "./containers.js";
export {
  Conv1d,
  Conv2d,
  type ConvLayerOptions,
  ConvTranspose2d,
  type ConvTransposeLayerOptions,
} from "./conv.js";
export { Conv1D } from "./conv1d.js";
export { AdaptableLayer, type SavedWeight, WeightDelta } from "./delta.js";
export { Dropout, StochasticDepth } from "./dropout.js";
export { Embedding } from "./embedding.js";
export type { BackwardHook, ForwardHook } from "./hooks.js";
export * as init from "./init.js";
export { KANLinear, type KANLinearOptions } from "./kan.js";
export { Linear } from "./linear.js";
export * from "./loss.js";
export { type Layer, Module } from "./module.js";
export { GroupNorm, LayerNorm, type LayerNormOptions, RMSNorm } from "./norm.js";
export { Buffer, Parameter } from "./parameter.js";
export { AdaptiveAvgPool2d, AvgPool2d, Flatten, MaxPool2d } from "./pooling.js";
export { GRU, LSTM, type LSTMState, type RecurrentOptions } from "./recurrent.js";
export {
  type DecodeOptions,
  type EncodeOptions,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
} from "./transformer.js";
export * as utils from "./utils.js";
