export { KeyValueCache } from "./cache.js";
export { type CausalForwardOptions, CausalLanguageModel } from "./causal.js";
export type { PretrainedConfig } from "./config.js";
export {
  DistilBert,
  type DistilBertConfig,
  DistilBertForSequenceClassification,
  type DistilBertForwardOptions,
} from "./distilbert.js";
export type { LoadOptions, ModelFiles, ModelSource } from "./files.js";
export type { GenerateOptions } from "./generate.js";
export { GPT2, type GPT2Config } from "./gpt2.js";
export { Llama, type LlamaConfig } from "./llama.js";
export { PretrainedModel } from "./pretrained.js";
export type { SaveOptions, WrittenFiles } from "./write.js";
