export { apply, type LoraHandle } from "./apply.js";
export type { LoraConfig } from "./config.js";
export { LinearWithLoRA, LoRALayer } from "./layer.js";
export { type AdapterFiles, loadAdapter, saveAdapter } from "./peft.js";
