import { quickGelu, siluMul } from "../ops/activation.js";
import { mul } from "../ops/binary.js";
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
  silu,
  swish: silu,
  tanh: (x) => tanh(x),
};

/** The activation that `config.<field>` names. */
export function activationOf(model: string, field: string, name: string): (x: Tensor) => Tensor {
  if (Object.hasOwn(activations, name)) return activations[name];
  throw new Error(
    `${model}: config.${field} must be one of ${Object.keys(activations).join(", ")}, got ${JSON.stringify(name)}`,
  );
}

/** The activation that `config.<field>` names, of `gate`, times `x`. */
export function gateOf(model: string, field: string, name: string): (gate: Tensor, x: Tensor) => Tensor {
  const activation = activationOf(model, field, name);
  return activation === silu ? siluMul : (gate, x) => mul(activation(gate), x);
}
