/** Normalization of channels over a batch. */
import { dense } from "../copy.js";
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { jointVjps, record } from "../graph.js";
import { scope } from "../scope.js";
import { sameShape, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { workspace } from "../wasm/memory.js";
import { ones, zeros } from "./create.js";
import { checkDtype } from "./dtype.js";
import { squeeze, transpose, unsqueeze } from "./view.js";

export interface BatchNormOptions {
  /** [C]; changed in place while training. */
  runningMean?: Tensor;
  runningVar?: Tensor;
  weight?: Tensor;
  bias?: Tensor;
  /** Whether the batch's own mean and variance normalize it, instead of the running ones. */
  training?: boolean;
  /** How much of the batch's statistics the running ones take. */
  momentum?: number;
  eps?: number;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, mean and (biased) variance per channel over all else. The running
 * variance takes the unbiased one.
 *
 * @param x [N, C, …]
 * Source: Ioffe & Szegedy 2015; torch.nn.functional.batch_norm
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  checkOptions("batchNorm", options, [...statistics, ...affine, "training", "momentum", "eps"]);
  checkBatchNorm(x, options);
  if (x.ndim > 2) return normalizeChannels(x, options);
  // [N, C] as one image of C rows
  return scope(() => transpose(squeeze(normalizeChannels(unsqueeze(transpose(x, 0, 1), 0), options), 0), 0, 1));
}

const statistics = ["runningMean", "runningVar"] as const;
const affine = ["weight", "bias"] as const;

function normalizeChannels(x: Tensor, options: BatchNormOptions): Tensor {
  const { weight = ones([x.shape[1]]), bias = zeros([x.shape[1]]), training = false } = options;
  const extents = [x.shape[0], x.shape[1], sizeOf(x.shape.slice(2))] as const;
  const a = dense(x);
  const w = dense(weight);
  const stats = training ? batchStats(a, extents, options) : givenStats(options);
  const y = empty(x.shape);
  scope(() => kernels.batchNorm(y.ptr, a.ptr, w.ptr, dense(bias).ptr, stats.ptr, ...extents));
  const count = training ? extents[0] * extents[2] : Infinity;
  const gradients = (dy: Tensor) => {
    const [dx, dweight, dbias] = [empty(x.shape), empty(w.shape), empty(w.shape)];
    const g = dense(dy);
    kernels.batchNormAffineGrad(dweight.ptr, dbias.ptr, g.ptr, a.ptr, stats.ptr, ...extents, extents[1] * extents[2]);
    kernels.batchNormGrad(dx.ptr, g.ptr, a.ptr, w.ptr, stats.ptr, dweight.ptr, dbias.ptr, ...extents, count);
    return [dx, dweight, dbias] as const;
  };
  const inputs = [x, weight, bias] as const;
  const recorded = record("batchNorm", y, inputs, [a, w, stats], jointVjps(inputs, gradients));
  stats.dispose();
  return recorded;
}

type Extents = readonly [images: number, channels: number, pixels: number];

/** Mean, what its rounding lost, and 1 / √(variance + eps) of each channel; the running values move towards them. */
function batchStats(x: Tensor, [images, channels, pixels]: Extents, options: BatchNormOptions): Tensor {
  const { runningMean, runningVar, momentum = 0.1, eps = 1e-5 } = options;
  const stats = empty([channels, 3]);
  const moments = workspace(16 * channels);
  kernels.batchNormStats(stats.ptr, moments, x.ptr, images, channels, pixels, channels * pixels, eps);
  if (runningMean && runningVar) {
    kernels.batchNormUpdate(runningMean.ptr, runningVar.ptr, moments, channels, images * pixels, momentum);
    for (const running of [runningMean, runningVar]) running.storage.version++;
  }
  return stats;
}

function givenStats({ runningMean, runningVar, eps = 1e-5 }: BatchNormOptions): Tensor {
  const [mean, variance] = [runningMean as Tensor, runningVar as Tensor];
  const stats = empty([mean.size, 3]);
  scope(() => kernels.batchNormGivenStats(stats.ptr, dense(mean).ptr, dense(variance).ptr, mean.size, eps));
  return stats;
}

function checkBatchNorm(x: Tensor, options: BatchNormOptions): void {
  checkDtype("batchNorm", "the input", x, "float32");
  if (x.ndim < 2) throw new ShapeError(`batchNorm: the input must be [N, C, …], got ${showShape(x.shape)}`);
  for (const name of [...statistics, ...affine]) {
    const t = options[name];
    if (!t) continue;
    checkDtype("batchNorm", name, t, "float32");
    if (!sameShape(t.shape, [x.shape[1]]))
      throw new ShapeError(`batchNorm: ${name} must have shape [${x.shape[1]}], got ${showShape(t.shape)}`);
  }
  const { runningMean, runningVar, training = false, momentum = 0.1 } = options;
  if (!runningMean !== !runningVar || (!training && !runningMean)) {
    throw new Error(
      `batchNorm: runningMean and runningVar must be given together${training ? "" : ", and without training"}, got ${runningMean ? "the mean alone" : runningVar ? "the variance alone" : "neither"}`,
    );
  }
  if (!training) return;
  if (x.shape[1] > 0 && x.size <= x.shape[1])
    throw new ShapeError(`batchNorm: training must see more than one value per channel, got ${showShape(x.shape)}`);
  if (!(momentum >= 0 && momentum <= 1)) throw new Error(`batchNorm: momentum must be from 0 to 1, got ${momentum}`);
  if (![runningMean, runningVar].every((running) => !running || (running.isDense && !running.requiresGrad)))
    throw new Error("batchNorm: running values must be dense and want no gradient while training, got others");
}
