/** `optim`: what changes parameters by their gradients, and how fast. */
export { Adadelta, type AdadeltaOptions } from "./adadelta.js";
export { Adagrad, type AdagradOptions } from "./adagrad.js";
export { Adam, type AdamOptions } from "./adam.js";
export { AdamW } from "./adamw.js";
export { Lion, type LionOptions } from "./lion.js";
export { NAdam, type NAdamOptions } from "./nadam.js";
export {
  type CommonOptions,
  type GroupOptions,
  Optimizer,
  type OptimizerStateDict,
  type ParamGroup,
  type Params,
  type Update,
} from "./optimizer.js";
export { RMSprop, type RMSpropOptions } from "./rmsprop.js";
export * as schedulers from "./schedulers.js";
export { SGD, type SGDOptions } from "./sgd.js";
