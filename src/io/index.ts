export {
  type CheckpointParts,
  type CheckpointSource,
  type CheckpointTarget,
  loadCheckpoint,
  type Stateful,
  saveCheckpoint,
} from "./checkpoint.js";
export * as safetensors from "./safetensors.js";
