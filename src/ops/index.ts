  cat,
  chunk,
  expand,
  flatten,
  narrow,
  permute,
  reshape,
  select,
  split,
  squeeze,
  stack,
  transpose,
  unsqueeze,
  view,
/** `F`: every public operation. Those whose first parameter is a tensor are methods too (methods.ts). */
export {
export { linear } from "./linear.js";
export { matmul } from "./matmul.js";
export { relu } from "./unary.js";
export { type LayerNormOptions, layerNorm, type RMSNormOptions, rmsNorm } from "./norm.js";
} from "./view.js";
