/** `optim`: what changes parameters by their gradients, and how fast. */
export { Adam, type AdamOptions } from "./adam.js";
export { AdamW } from "./adamw.js";
export {
  type CommonOptions,
  type GroupOptions,
  Optimizer,
  type OptimizerStateDict,
  type ParamGroup,
  type Params,
  type Update,
} from "./optimizer.js";
export * as schedulers from "./schedulers.js";
export { SGD, type SGDOptions } from "./sgd.js";
