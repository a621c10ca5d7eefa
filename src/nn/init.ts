/**
 * Initializations in place, with PyTorch's names and formulas. Each returns its tensor.
 * fanIn and fanOut of a weight [out, in, ...kernel] are in·kernel and out·kernel.
 */
import { noGrad } from "../graph.js";
import * as inplace from "../ops/inplace.js";
import { type Shape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";

export interface KaimingOptions {
  /** Negative slope of the leaky ReLU that follows; only for `nonlinearity: "leakyRelu"`. */
  a?: number;
  mode?: "fanIn" | "fanOut";
  nonlinearity?: Nonlinearity;
}

export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

/** U(low, high) */
export function uniform_(t: Tensor, low = 0, high = 1): Tensor {
  return noGrad(() => inplace.uniform_(t, low, high));
}

/** N(mean, std²) */
export function normal_(t: Tensor, mean = 0, std = 1): Tensor {
  return noGrad(() => inplace.normal_(t, mean, std));
}

export function zeros_(t: Tensor): Tensor {
  return noGrad(() => inplace.fill_(t, 0));
}

export function ones_(t: Tensor): Tensor {
  return noGrad(() => inplace.fill_(t, 1));
}

export function constant_(t: Tensor, value: number): Tensor {
  return noGrad(() => inplace.fill_(t, value));
}

/** U(−b, b), b = gain·√(6 / (fanIn + fanOut)) — Glorot & Bengio 2010 */
export function xavierUniform_(t: Tensor, gain = 1): Tensor {
  const { fanIn, fanOut } = fans(t.shape);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(t, -bound, bound);
}

/** N(0, gain²·2 / (fanIn + fanOut)) */
export function xavierNormal_(t: Tensor, gain = 1): Tensor {
  const { fanIn, fanOut } = fans(t.shape);
  return normal_(t, 0, gain * Math.sqrt(2 / (fanIn + fanOut)));
}

/** U(−b, b), b = gain·√(3 / fan) — He et al. 2015 */
export function kaimingUniform_(t: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd(t, options);
  return uniform_(t, -bound, bound);
}

/** N(0, gain² / fan) */
export function kaimingNormal_(t: Tensor, options: KaimingOptions = {}): Tensor {
  return normal_(t, 0, kaimingStd(t, options));
}

/** The factor that keeps the variance through a nonlinearity, as `torch.nn.init.calculate_gain`. */
export function calculateGain(nonlinearity: Nonlinearity, a = 0.01): number {
  if (nonlinearity === "tanh") return 5 / 3;
  if (nonlinearity === "relu") return Math.sqrt(2);
  if (nonlinearity === "leakyRelu") return Math.sqrt(2 / (1 + a * a));
  return nonlinearity === "selu" ? 3 / 4 : 1;
}

function kaimingStd(t: Tensor, { a = 0, mode = "fanIn", nonlinearity = "leakyRelu" }: KaimingOptions): number {
  return calculateGain(nonlinearity, a) / Math.sqrt(fans(t.shape)[mode]);
}

function fans(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2)
    throw new Error(`nn.init: fans need a tensor of two dimensions or more, got shape [${shape.join(", ")}]`);
  const kernel = sizeOf(shape.slice(2));
  return { fanIn: shape[1] * kernel, fanOut: shape[0] * kernel };
}
