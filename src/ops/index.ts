/** `F`: every public operation. Those whose first parameter is a tensor are methods too (methods.ts). */
export { relu } from "./unary.js";
export { cat, chunk, expand, flatten, narrow, permute, reshape, select, split, squeeze, stack, transpose, unsqueeze, view } from "./view.js";
