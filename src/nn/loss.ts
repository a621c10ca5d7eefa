/** Losses as modules: the functions of `F` with their options. */
import { type CrossEntropyOptions, crossEntropy, type NLLLossOptions, nllLoss } from "../ops/crossEntropy.js";
import {
  type BCEWithLogitsOptions,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  type HuberLossOptions,
  huberLoss,
  type KLDivOptions,
  klDiv,
  type LossOptions,
  l1Loss,
  mseLoss,
  type SmoothL1LossOptions,
  smoothL1Loss,
} from "../ops/loss.js";
import {
  type CosineEmbeddingLossOptions,
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  type MarginLossOptions,
  type TripletMarginLossOptions,
  tripletMarginLoss,
} from "../ops/marginLoss.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import { Buffer } from "./parameter.js";

/** −log softmax(input)[target]; input [N, C, …], target int32 [N, …] or probabilities of the input's shape */
export class CrossEntropyLoss extends Module {
  readonly weight: Buffer | null;
  private readonly options: CrossEntropyOptions;

  constructor({ weight, ...options }: CrossEntropyOptions = {}) {
    super();
    this.weight = weight ? new Buffer(weight) : null;
    this.options = options;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return crossEntropy(input, target, this.weight ? { ...this.options, weight: this.weight } : this.options);
  }
}

/** −input[target]; input log-probabilities [N, C, …], target int32 [N, …] */
export class NLLLoss extends Module {
  readonly weight: Buffer | null;
  private readonly options: NLLLossOptions;

  constructor({ weight, ...options }: NLLLossOptions = {}) {
    super();
    this.weight = weight ? new Buffer(weight) : null;
    this.options = options;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return nllLoss(input, target, this.weight ? { ...this.options, weight: this.weight } : this.options);
  }
}

/** (input − target)² */
export class MSELoss extends Module {
  constructor(private readonly options: LossOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, this.options);
  }
}

/** |input − target| */
export class L1Loss extends Module {
  constructor(private readonly options: LossOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return l1Loss(input, target, this.options);
  }
}

/** d²/2β where |d| < β, else |d| − β/2 */
export class SmoothL1Loss extends Module {
  constructor(private readonly options: SmoothL1LossOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return smoothL1Loss(input, target, this.options);
  }
}

/** d²/2 where |d| < δ, else δ·(|d| − δ/2) */
export class HuberLoss extends Module {
  constructor(private readonly options: HuberLossOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return huberLoss(input, target, this.options);
  }
}

/** −target·log input − (1 − target)·log(1 − input), input probabilities */
export class BCELoss extends Module {
  constructor(private readonly options: LossOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropy(input, target, this.options);
  }
}

/** −posWeight·target·log σ(input) − (1 − target)·log σ(−input) */
export class BCEWithLogitsLoss extends Module {
  readonly pos_weight: Buffer | null;
  private readonly options: LossOptions;

  constructor({ posWeight, ...options }: BCEWithLogitsOptions = {}) {
    super();
    this.pos_weight = posWeight ? new Buffer(posWeight) : null;
    this.options = options;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const options = this.pos_weight ? { ...this.options, posWeight: this.pos_weight } : this.options;
    return binaryCrossEntropyWithLogits(input, target, options);
  }
}

/** target·(log target − input), input log-probabilities */
export class KLDivLoss extends Module {
  constructor(private readonly options: KLDivOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return klDiv(input, target, this.options);
  }
}

/** 1 − cos(input1, input2) where the target is 1, max(0, cos(input1, input2) − margin) where it is −1 */
export class CosineEmbeddingLoss extends Module {
  constructor(private readonly options: CosineEmbeddingLossOptions = {}) {
    super();
  }

  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return cosineEmbeddingLoss(input1, input2, target, this.options);
  }
}

/** max(0, ‖anchor − positive‖ − ‖anchor − negative‖ + margin) */
export class TripletMarginLoss extends Module {
  constructor(private readonly options: TripletMarginLossOptions = {}) {
    super();
  }

  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return tripletMarginLoss(anchor, positive, negative, this.options);
  }
}

/** input where the target is 1, max(0, margin − input) where it is −1 */
export class HingeEmbeddingLoss extends Module {
  constructor(private readonly options: MarginLossOptions = {}) {
    super();
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return hingeEmbeddingLoss(input, target, this.options);
  }
}
