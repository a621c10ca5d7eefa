export { KeyValueCache } from "./cache.js";
export type { GenerateOptions } from "./generate.js";
export { Llama, type LlamaConfig, type LlamaForwardOptions } from "./llama.js";
export type { LoadOptions, ModelFiles } from "./pretrained.js";
