/** How the factors of ΔW start: PEFT's formulas. Each gives A [r, in] and B [out, r]. */
import { copyInto } from "../copy.js";
import { noGrad } from "../graph.js";
import type { AdaptableLayer } from "../nn/delta.js";
import { kaimingUniform_, normal_, orthogonal_, zeros_ } from "../nn/init.js";
import { mul } from "../ops/binary.js";
import { tensor } from "../ops/create.js";
import { matmul } from "../ops/matmul.js";
import { slice, transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import type { LoraConfig } from "./config.js";
import { svd } from "./svd.js";

export interface Factors {
  a: Tensor;
  b: Tensor;
}

export interface InitOptions {
  method: LoraConfig["initWeights"];
  rank: number;
  scaling: number;
}

export function initialFactors(layer: AdaptableLayer, { method, rank, scaling }: InitOptions): Factors {
  const a = empty([rank, layer.inFeatures]);
  const b = empty([layer.outFeatures, rank]);
  if (layer.isLookup) return { a: zeros_(a), b: normal_(b) };
  if (method === "pissa") return principalFactors(layer, rank, scaling);
  if (method === "orthogonal") return orthogonalFactors(a, b, rank);
  if (method === "gaussian") normal_(a, 0, 1 / rank);
  else kaimingUniform_(a, { a: Math.sqrt(5) });
  return { a, b: zeros_(b) };
}

/** A = √(S/s) Vᵀ and B = U √(S/s) of W = U S Vᵀ cut to rank r, so that s·B A is the largest part of W. Meng et al. 2024 */
function principalFactors(layer: AdaptableLayer, rank: number, scaling: number): Factors {
  const { outFeatures, inFeatures } = layer;
  const weight = scope(() => Float64Array.from(layer.weightMatrix().data()));
  const { u, s, vt } = svd(weight, outFeatures, inFeatures, rank);
  const roots = s.map((value) => Math.sqrt(value / scaling));
  return {
    a: tensor(
      vt.map((value, i) => value * roots[Math.floor(i / inFeatures)]),
      { shape: [rank, inFeatures] },
    ),
    b: tensor(
      u.map((value, i) => value * roots[i % rank]),
      { shape: [outFeatures, rank] },
    ),
  };
}

/** A = (X Q₁)ᵀ/10 and B = Y Q₂/10, with normal X, Y and the odd and even rows of an orthogonal matrix: B A = 0. */
function orthogonalFactors(a: Tensor, b: Tensor, rank: number): Factors {
  noGrad(() =>
    scope(() => {
      const q = orthogonal_(empty([rank, rank]));
      const [odd, even] = [0, 1].map((start) => slice(q, [[start, null, 2]]));
      const half = (features: number) => mul(normal_(empty([features, rank / 2])), 0.1);
      copyInto(a, transpose(matmul(half(a.shape[1]), odd), 0, 1));
      copyInto(b, matmul(half(b.shape[0]), even));
    }),
  );
  return { a, b };
}
