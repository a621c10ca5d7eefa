/** Activations as layers. */

import { softmax } from "../ops/softmax.js";
import { gelu, relu, sigmoid, silu, tanh } from "../ops/unary.js";
import type { Dim } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** y = max(x, 0) */
export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** y = x·σ(x) */
export class SiLU extends Module {
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** y = x·Φ(x), Φ the normal distribution function, or its tanh approximation */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";

  constructor({ approximate = "none" }: { approximate?: "none" | "tanh" } = {}) {
    super();
    this.approximate = approximate;
  }

  override forward(x: Tensor): Tensor {
    return gelu(x, { approximate: this.approximate });
  }
}

/** y = tanh x */
export class Tanh extends Module {
  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** y = 1 / (1 + e⁻ˣ) */
export class Sigmoid extends Module {
  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** y = eˣ / Σ eˣ along `dim` */
export class Softmax extends Module {
  constructor(readonly dim: Dim = -1) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return softmax(x, { dim: this.dim });
  }
}

/** y = x */
export class Identity extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}
