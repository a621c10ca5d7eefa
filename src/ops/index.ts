/** `F`: every public operation. Those whose first parameter is a tensor are methods too (methods.ts). */
export {
  type EluOptions,
  elu,
  type GatedOptions,
  type GluOptions,
  geglu,
  glu,
  hardsigmoid,
  hardswish,
  type LeakyReluOptions,
  leakyRelu,
  logSigmoid,
  mish,
  prelu,
  quickGelu,
  reglu,
  relu6,
  type SoftplusOptions,
  type SwigluOptions,
  selu,
  siluMul,
  softplus,
  swiglu,
} from "./activation.js";
export { type AttentionOptions, scaledDotProductAttention } from "./attention.js";
export { type BatchNormOptions, batchNorm } from "./batchNorm.js";
export {
  type AddcmulOptions,
  add,
  addcmul,
  div,
  lerp,
  maximum,
  minimum,
  mul,
  pow,
  sub,
  where,
} from "./binary.js";
export { type AllcloseOptions, all, allclose, any, eq, ge, gt, isfinite, isnan, le, lt, ne } from "./compare.js";
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  convTranspose2d,
  type PerDim,
} from "./conv.js";
export { to } from "./convert.js";
export { clone } from "./copy.js";
export { type CrossEntropyOptions, crossEntropy, type NLLLossOptions, nllLoss } from "./crossEntropy.js";
export { type DropoutOptions, dropout, type StochasticDepthOptions, stochasticDepth } from "./dropout.js";
export { einsum, outer } from "./einsum.js";
export { type EmbeddingOptions, embedding, gather, indexSelect, oneHot, scatterAdd } from "./gather.js";
export { add_, clamp_, copy_, fill_, mul_, normal_, uniform_, zero_ } from "./inplace.js";
export { type InterpolateOptions, interpolate } from "./interpolate.js";
export { linear } from "./linear.js";
export {
  type BCEWithLogitsOptions,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  type HuberLossOptions,
  huberLoss,
  type KLDivOptions,
  klDiv,
  type LossOptions,
  l1Loss,
  mseLoss,
  type Reduction,
  type SmoothL1LossOptions,
  smoothL1Loss,
} from "./loss.js";
export {
  type CosineEmbeddingLossOptions,
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  type MarginLossOptions,
  type TripletMarginLossOptions,
  tripletMarginLoss,
} from "./marginLoss.js";
export { maskedFill, type TriangleOptions, tril, triu } from "./mask.js";
export { matmul } from "./matmul.js";
export { type MultinomialOptions, multinomial } from "./multinomial.js";
export {
  groupNorm,
  type LayerNormOptions,
  layerNorm,
  type NormalizeOptions,
  normalize,
  type RMSNormOptions,
  rmsNorm,
} from "./norm.js";
export { type ElasticNetOptions, elasticNet, l1Penalty, l2Penalty } from "./penalty.js";
export {
  type AvgPoolOptions,
  adaptiveAvgPool2d,
  avgPool2d,
  type MaxPoolOptions,
  maxPool2d,
} from "./pooling.js";
export {
  flip,
  type PadOptions,
  pad,
  type RepeatInterleaveOptions,
  type RollOptions,
  repeat,
  repeatInterleave,
  roll,
} from "./rearrange.js";
export { amax, amax as max, amin, amin as min, argmax, argmin, mean, prod, type ReduceOptions, sum } from "./reduce.js";
export { type RotaryOptions, rotaryEmbedding } from "./rotary.js";
export { type CumsumOptions, cumsum } from "./scan.js";
export { logSoftmax, type SoftmaxOptions, softmax } from "./softmax.js";
export { type Sorted, type SortOptions, sort, type TopkOptions, topk } from "./sort.js";
export { logsumexp, type NormOptions, norm, std, type VarianceOptions, variance } from "./statistics.js";
export {
  abs,
  type ClampOptions,
  ceil,
  clamp,
  cos,
  erf,
  exp,
  expm1,
  floor,
  type GeluOptions,
  gelu,
  log,
  log1p,
  neg,
  reciprocal,
  relu,
  round,
  rsqrt,
  sigmoid,
  sign,
  silu,
  sin,
  sqrt,
  square,
  tanh,
} from "./unary.js";
export {
  cat,
  chunk,
  expand,
  flatten,
  narrow,
  permute,
  type Range,
  reshape,
  select,
  slice,
  split,
  squeeze,
  stack,
  transpose,
  unsqueeze,
  view,
} from "./view.js";
