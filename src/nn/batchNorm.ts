import { checkOptions, ShapeError, showShape } from "../errors.js";
import { batchNorm } from "../ops/batchNorm.js";
import { ones, zeros } from "../ops/create.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import { Buffer, Parameter } from "./parameter.js";

export interface BatchNormLayerOptions {
  eps?: number;
  /** How much of a batch's statistics the running ones take; null averages all batches. */
  momentum?: number | null;
  /** Whether there are weight and bias. */
  affine?: boolean;
  /** Without them, the batch's own statistics are used in evaluation, too. */
  trackRunningStats?: boolean;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias per channel: the batch's moments in training, the running ones in
 * evaluation. Ioffe & Szegedy 2015
 */
abstract class BatchNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly running_mean: Buffer | null;
  readonly running_var: Buffer | null;
  readonly num_batches_tracked: Buffer | null;
  readonly eps: number;
  readonly momentum: number | null;

  constructor(
    readonly features: number,
    options: BatchNormLayerOptions = {},
  ) {
    super();
    checkOptions(this.constructor.name, options, ["eps", "momentum", "affine", "trackRunningStats"]);
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    this.weight = affine ? scope(() => new Parameter(ones([features]))) : null;
    this.bias = affine ? scope(() => new Parameter(zeros([features]))) : null;
    this.running_mean = trackRunningStats ? scope(() => new Buffer(zeros([features]))) : null;
    this.running_var = trackRunningStats ? scope(() => new Buffer(ones([features]))) : null;
    this.num_batches_tracked = trackRunningStats ? scope(() => new Buffer(zeros([], { dtype: "int32" }))) : null;
    this.eps = eps;
    this.momentum = momentum;
  }

  /** The numbers of dimensions that the input may have. */
  protected abstract get ndims(): readonly number[];

  override forward(x: Tensor): Tensor {
    if (!this.ndims.includes(x.ndim)) {
      throw new ShapeError(
        `${this.constructor.name}: the input must have ${this.ndims.join(" or ")} dimensions, got ${showShape(x.shape)}`,
      );
    }
    const { eps } = this;
    const [weight, bias] = [this.weight ?? undefined, this.bias ?? undefined];
    const [runningMean, runningVar] = [this.running_mean ?? undefined, this.running_var ?? undefined];
    if (!this.training && runningMean) return batchNorm(x, { runningMean, runningVar, weight, bias, eps });
    if (!this.training) return batchNorm(x, { weight, bias, training: true, eps });
    const momentum = this.momentumOfNextBatch();
    return batchNorm(x, { runningMean, runningVar, weight, bias, training: true, momentum, eps });
  }

  /** Counts the batch. */
  private momentumOfNextBatch(): number {
    const batches = (this.num_batches_tracked?.item() ?? 0) + 1;
    this.num_batches_tracked?.fillWith(batches);
    return this.momentum ?? 1 / batches;
  }

  protected override describe(): string {
    return `${this.features}, eps=${this.eps}, momentum=${this.momentum}`;
  }
}

/** Batch normalization of [N, features] or [N, features, L] */
export class BatchNorm1d extends BatchNorm {
  protected override get ndims(): readonly number[] {
    return [2, 3];
  }
}

/** Batch normalization of [N, features, H, W] */
export class BatchNorm2d extends BatchNorm {
  protected override get ndims(): readonly number[] {
    return [4];
  }
}
