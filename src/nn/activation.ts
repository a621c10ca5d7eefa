/** Activations as layers. */
import { checkOptions } from "../errors.js";
import * as ops from "../ops/activation.js";
import { logSoftmax, softmax } from "../ops/softmax.js";
import { gelu, relu, sigmoid, silu, tanh } from "../ops/unary.js";
import { scope } from "../scope.js";
import type { Dim } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { constant_ } from "./init.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

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

/** y = x where x > 0, else negativeSlope·x */
export class LeakyReLU extends Module {
  readonly negativeSlope: number;

  constructor(options: ops.LeakyReluOptions = {}) {
    super();
    checkOptions("LeakyReLU", options, ["negativeSlope"]);
    this.negativeSlope = options.negativeSlope ?? 0.01;
  }

  override forward(x: Tensor): Tensor {
    return ops.leakyRelu(x, { negativeSlope: this.negativeSlope });
  }

  protected override describe(): string {
    return `negativeSlope=${this.negativeSlope}`;
  }
}

/** y = x where x > 0, else α·(eˣ − 1) */
export class ELU extends Module {
  readonly alpha: number;

  constructor(options: ops.EluOptions = {}) {
    super();
    checkOptions("ELU", options, ["alpha"]);
    this.alpha = options.alpha ?? 1;
  }

  override forward(x: Tensor): Tensor {
    return ops.elu(x, { alpha: this.alpha });
  }

  protected override describe(): string {
    return `alpha=${this.alpha}`;
  }
}

/** y = log(1 + e^βx) / β */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;

  constructor(options: ops.SoftplusOptions = {}) {
    super();
    checkOptions("Softplus", options, ["beta", "threshold"]);
    this.beta = options.beta ?? 1;
    this.threshold = options.threshold ?? 20;
  }

  override forward(x: Tensor): Tensor {
    return ops.softplus(x, { beta: this.beta, threshold: this.threshold });
  }

  protected override describe(): string {
    return `beta=${this.beta}, threshold=${this.threshold}`;
  }
}

/** y = scale·elu(x, α) with the constants that keep mean 0 and variance 1 */
export class SELU extends Module {
  override forward(x: Tensor): Tensor {
    return ops.selu(x);
  }
}

/** y = x·tanh(log(1 + eˣ)) */
export class Mish extends Module {
  override forward(x: Tensor): Tensor {
    return ops.mish(x);
  }
}

/** y = x·relu6(x + 3) / 6 */
export class Hardswish extends Module {
  override forward(x: Tensor): Tensor {
    return ops.hardswish(x);
  }
}

/** y = relu6(x + 3) / 6 */
export class Hardsigmoid extends Module {
  override forward(x: Tensor): Tensor {
    return ops.hardsigmoid(x);
  }
}

/** y = min(max(x, 0), 6) */
export class ReLU6 extends Module {
  override forward(x: Tensor): Tensor {
    return ops.relu6(x);
  }
}

/** y = log σ(x) */
export class LogSigmoid extends Module {
  override forward(x: Tensor): Tensor {
    return ops.logSigmoid(x);
  }
}

/** y = x·σ(1.702·x) */
export class QuickGELU extends Module {
  override forward(x: Tensor): Tensor {
    return ops.quickGelu(x);
  }
}

export interface PReLUOptions {
  /** One slope for all, or one per channel (dim 1). */
  numParameters?: number;
  /** The first value of the slopes. */
  init?: number;
}

/** y = x where x > 0, else weight·x with learned slopes [numParameters] */
export class PReLU extends Module {
  readonly weight: Parameter;

  constructor(options: PReLUOptions = {}) {
    super();
    checkOptions("PReLU", options, ["numParameters", "init"]);
    const { numParameters = 1, init = 0.25 } = options;
    this.weight = scope(() => new Parameter(constant_(empty([numParameters]), init)));
  }

  override forward(x: Tensor): Tensor {
    return ops.prelu(x, this.weight);
  }

  protected override describe(): string {
    return `numParameters=${this.weight.size}`;
  }
}

/** y = a ⊗ σ(b), a and b the halves of x along `dim` */
export class GLU extends Module {
  constructor(readonly dim: Dim = -1) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return ops.glu(x, { dim: this.dim });
  }

  protected override describe(): string {
    return `dim=${this.dim}`;
  }
}

/** y = x − log Σ eˣ along `dim` */
export class LogSoftmax extends Module {
  constructor(readonly dim: Dim = -1) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return logSoftmax(x, { dim: this.dim });
  }

  protected override describe(): string {
    return `dim=${this.dim}`;
  }
}

export interface SwiGLUOptions {
  bias?: boolean;
  /** The width of the result; that of the input if left out. */
  out?: number;
}

/** y = (silu(x w1) ⊗ x w3) w2: gate, up and down projections of a feed-forward layer. Shazeer 2020 */
export class SwiGLU extends Module {
  readonly w1: Linear;
  readonly w3: Linear;
  readonly w2: Linear;

  constructor(
    readonly inFeatures: number,
    readonly hidden: number,
    options: SwiGLUOptions = {},
  ) {
    super();
    checkOptions("SwiGLU", options, ["bias", "out"]);
    const { bias = false, out = inFeatures } = options;
    this.w1 = new Linear(inFeatures, hidden, { bias });
    this.w3 = new Linear(inFeatures, hidden, { bias });
    this.w2 = new Linear(hidden, out, { bias });
  }

  override forward(x: Tensor): Tensor {
    return this.w2.forward(scope(() => ops.siluMul(this.w1.forward(x), this.w3.forward(x))));
  }
}
