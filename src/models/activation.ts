import { quickGelu } from "../ops/activation.js";
import { gelu, relu, sigmoid, silu, tanh } from "../ops/unary.js";
import type { Tensor } from "../tensor.js";

const tanhGelu = (x: Tensor): Tensor => gelu(x, { approximate: "tanh" });

/** Activations by the names that config.json gives them. */
const activations: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  gelu: (x) => gelu(x),
  gelu_new: tanhGelu,
  gelu_fast: tanhGelu,
  gelu_pytorch_tanh: tanhGelu,
  quick_gelu: (x) => quickGelu(x),
  relu: (x) => relu(x),
  sigmoid: (x) => sigmoid(x),
  silu: (x) => silu(x),
  swish: (x) => silu(x),
  tanh: (x) => tanh(x),
};

/** The activation that `config.<field>` names. */
export function activationOf(model: string, field: string, name: string): (x: Tensor) => Tensor {
  if (Object.hasOwn(activations, name)) return activations[name];
  throw new Error(
    `${model}: config.${field} must be one of ${Object.keys(activations).join(", ")}, got ${JSON.stringify(name)}`,
  );
}
