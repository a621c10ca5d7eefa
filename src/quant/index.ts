export { QuantizedLinear } from "./linear.js";
export {
  dequantizeModel,
  type LayerReport,
  type QuantizationReport,
  type QuantizationTargets,
  type QuantizeModelOptions,
  quantizeModel,
} from "./model.js";
export { bytesOf, dequantize, type QuantizedTensor, type QuantizeOptions, quantize, unpackCodes } from "./quantize.js";
export { int4, int8, log4, nf4, type Scheme, type SchemeName } from "./scheme.js";
