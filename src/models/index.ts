export { KeyValueCache } from "./cache.js";
export type { PretrainedConfig } from "./config.js";
export {
  DistilBert,
  type DistilBertConfig,
  DistilBertForSequenceClassification,
  type DistilBertForwardOptions,
} from "./distilbert.js";
export type { LoadOptions, ModelFiles } from "./files.js";
export type { GenerateOptions } from "./generate.js";
export { Llama, type LlamaConfig, type LlamaForwardOptions } from "./llama.js";
export { PretrainedModel } from "./pretrained.js";
