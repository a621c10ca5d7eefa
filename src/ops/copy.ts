import * as copies from "../copy.js";
import { record } from "../graph.js";
import type { Tensor } from "../tensor.js";

/** y = x, on a storage of its own */
export function clone(x: Tensor): Tensor {
  return record("clone", copies.clone(x), [x], [], [(dy) => dy]);
}
