export {
  type CheckpointParts,
  type CheckpointSource,
  type CheckpointTarget,
  loadCheckpoint,
  type Stateful,
  saveCheckpoint,
} from "./checkpoint.js";
export { fromHub, type HubFiles, type HubOptions } from "./hub.js";
export * as safetensors from "./safetensors.js";
