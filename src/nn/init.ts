/**
 * Initializations in place, with PyTorch's names and formulas. Each returns its tensor.
 * fanIn and fanOut of a weight [out, in, ...kernel] are in·kernel and out·kernel.
 */
import { showShape } from "../errors.js";
import { noGrad } from "../graph.js";
import { mul } from "../ops/binary.js";
import { tensor } from "../ops/create.js";
import * as inplace from "../ops/inplace.js";
import { erf } from "../ops/unary.js";
import { reshape, transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { type Shape, sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";

export interface KaimingOptions {
  /** Negative slope of the leaky ReLU that follows; only for `nonlinearity: "leakyRelu"`. */
  a?: number;
  mode?: "fanIn" | "fanOut";
  nonlinearity?: Nonlinearity;
}

export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

let skipping = false;

/** @internal Runs `fn`, in which no tensor is filled with random values: every one will be loaded. */
export function withoutRandomValues<T>(fn: () => T): T {
  const outer = skipping;
  skipping = true;
  try {
    return fn();
  } finally {
    skipping = outer;
  }
}

/** U(low, high) */
export function uniform_(t: Tensor, low = 0, high = 1): Tensor {
  if (skipping) return t;
  return noGrad(() => inplace.uniform_(t, low, high));
}

/** N(mean, std²) */
export function normal_(t: Tensor, mean = 0, std = 1): Tensor {
  if (skipping) return t;
  return noGrad(() => inplace.normal_(t, mean, std));
}

/**
 * N(mean, std²) restricted to [a, b], by the inverse of the distribution function.
 * As `torch.nn.init.trunc_normal_`: a and b are values, not multiples of std.
 */
export function truncNormal_(t: Tensor, mean = 0, std = 1, a = -2, b = 2): Tensor {
  if (!(std > 0)) throw new Error(`truncNormal_: std must be above 0, got ${std}`);
  if (!(a < b)) throw new Error(`truncNormal_: a must be below b, got ${a} and ${b}`);
  return noGrad(() =>
    scope(() => {
      const [low, high] = erf(tensor([a, b].map((bound) => (bound - mean) / (std * Math.SQRT2)))).data();
      const sample = inplace.uniform_(empty(t.shape), (1 + low) / 2, (1 + high) / 2);
      kernels.normalQuantile(sample.ptr, sample.size, mean, std, a, b);
      return inplace.copy_(t, sample);
    }),
  );
}

/**
 * gain·Q, the rows of [shape[0], rest] (or its columns, where they are fewer) orthonormal: the Q of a normal matrix, with
 * the signs that make it uniform among all. Saxe et al. 2013; `torch.nn.init.orthogonal_`
 */
export function orthogonal_(t: Tensor, gain = 1): Tensor {
  if (t.ndim < 2)
    throw new Error(`orthogonal_: the tensor must have two dimensions or more, got ${showShape(t.shape)}`);
  const rows = t.shape[0];
  const cols = rows === 0 ? 0 : t.size / rows;
  return noGrad(() =>
    scope(() => {
      const normal = inplace.normal_(empty([rows, cols]));
      const wide = rows < cols ? normal : transpose(normal, 0, 1);
      const q = tensor(orthonormalRows(Float64Array.from(wide.data()), wide.shape[1]), { shape: wide.shape });
      const scaled = mul(rows < cols ? q : transpose(q, 0, 1), gain);
      return inplace.copy_(t, reshape(scaled, t.shape));
    }),
  );
}

/** Gram and Schmidt's method on rows of `cols`, each taken twice, which is enough for float64 (Giraud et al. 2005). */
function orthonormalRows(q: Float64Array, cols: number): Float64Array {
  const rows = cols === 0 ? 0 : q.length / cols;
  const row = (i: number) => q.subarray(i * cols, (i + 1) * cols);
  for (let i = 0; i < rows; i++) {
    const own = row(i);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) addTo(own, row(j), -dot(own, row(j)));
    }
    const length = Math.sqrt(dot(own, own));
    for (let k = 0; k < cols; k++) own[k] /= length;
  }
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

/** a += factor · b */
function addTo(a: Float64Array, b: Float64Array, factor: number): void {
  for (let k = 0; k < a.length; k++) a[k] += factor * b[k];
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
