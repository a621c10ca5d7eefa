export { apply } from "./apply.js";
export type { CombineOptions } from "./combine.js";
export type { LoraConfig, LoraOptions } from "./config.js";
export type { LoraHandle, MergeOptions, MergeReport } from "./handle.js";
export { LinearWithLoRA, LoRALayer } from "./layer.js";
export { type AdapterFiles, type AdapterSource, loadAdapter, saveAdapter } from "./peft.js";
export { type Parts, targetsFor } from "./targets.js";
