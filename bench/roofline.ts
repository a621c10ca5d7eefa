/**
 * What bounds a step: every kernel call's arithmetic over the ceiling of multiply-adds, or its bytes over a copy's
 * bandwidth at that size, whichever takes longer.
 */
import type { Kernels } from "../src/wasm/kernels.gen.js";
import { kernels } from "../src/wasm/kernels.js";
import { allocate } from "../src/wasm/memory.js";
import { interleave, median } from "./harness.js";
import { floats } from "./kernels.js";

export interface Cost {
  flops: number;
  bytes: number;
}

type Costs = { readonly [K in keyof Kernels]?: (...args: Parameters<Kernels[K]>) => Cost };

/** `operations` on each of n elements, of which `moved` floats are read or written. */
const each = (n: number, moved: number, operations: number): Cost => ({ flops: n * operations, bytes: 4 * n * moved });

const attentionCost =
  (products: number, tensors: number) =>
  (heads: number, kvHeads: number, groups: number, tq: number, tk: number, d: number, offset: number): Cost => {
    const pairs = offset >= tk ? tq * tk : (tq * (tq + 1)) / 2;
    const all = (groups / kvHeads) * heads;
    // An exponential for each score takes 16 operations.
    return { flops: all * pairs * (2 * products * d + 16), bytes: 4 * tensors * all * tk * d };
  };
const attention = attentionCost(2, 4);
const attentionGrad = attentionCost(5, 8);

/** Operations are those of the formulas; an exponential counts 16, a hyperbolic tangent 24. */
const costs: Costs = {
  matmul: (...[, , , , , batch, m, k, n]) => {
    return { flops: 2 * batch * m * k * n, bytes: 4 * batch * (m * k + k * n + m * n) };
  },
  attention: (...args) => {
    const [begin, end, heads, kvHeads, tq, tk, d] = args.slice(7) as number[];
    return attention(heads, kvHeads, end - begin, tq, tk, d, Number(args.at(-2)));
  },
  attentionGrad: (...args) => {
    const [begin, end, heads, kvHeads, tq, tk, d] = args.slice(11) as number[];
    return attentionGrad(heads, kvHeads, end - begin, tq, tk, d, Number(args.at(-2)));
  },
  adam: (...[, , , , , n]) => each(n, 7, 14),
  relu: (...[, , n]) => each(n, 2, 1),
  reluGrad: (...[, , , n]) => each(n, 3, 1),
  silu: (...[, , n]) => each(n, 2, 20),
  siluGrad: (...[, , , n]) => each(n, 3, 24),
  siluMul: (...[, , , n]) => each(n, 3, 21),
  siluMulGrad: (...[, , , , , n]) => each(n, 5, 26),
  geluTanh: (...[, , n]) => each(n, 2, 32),
  geluTanhGrad: (...[, , , n]) => each(n, 3, 40),
  add: (...[, , , m, n]) => each(m * n, 3, 1),
  mul: (...[, , , m, n]) => each(m * n, 3, 1),
  div: (...[, , , m, n]) => each(m * n, 3, 1),
  addScaled: (...[, , n]) => each(n, 3, 2),
  sum: (...[, , , outer, n, inner]) => each(outer * n * inner, 1, 1),
  fill: (...[, n]) => each(n, 1, 0),
  copyStrided: (...[, , rows, cols]) => each(rows * cols, 2, 0),
  layerNorm: (...[, , , , , rows, cols]) => each(rows * cols, 2, 9),
  layerNormGrad: (...[, , , , , rows, cols]) => each(rows * cols, 3, 12),
  layerNormWeightGrad: (...[, , , , rows, cols]) => each(rows * cols, 2, 4),
  rmsNorm: (...[, , , , rows, cols]) => each(rows * cols, 2, 5),
  rmsNormGrad: (...[, , , , , rows, cols]) => each(rows * cols, 3, 9),
  rmsNormWeightGrad: (...[, , , , rows, cols]) => each(rows * cols, 2, 3),
  rotary: (...args) => {
    const [batches, heads, rows, d] = args.slice(5) as number[];
    return each(batches * heads * rows * d, 2, 3);
  },
  crossEntropy: (...[, , , , rows, classes]) => each(rows * classes, 1, 18),
  crossEntropyGrad: (...[, , , , , rows, classes]) => each(rows * classes, 2, 18),
  embedding: (...[, , , n, dim]) => each(n * dim, 2, 0),
  embeddingGrad: (...[, , , n, dim]) => each(n * dim, 3, 1),
};

/** The group a call is shown in: products by their shape and layout. */
function labelOf(name: string, args: readonly number[]): string {
  if (name !== "matmul") return name;
  const [, , , , , , m, k, n, , , , , aCol, , , bCol] = args;
  return `matmul ${m} × ${k} × ${n} ${aCol === 1 ? "N" : "T"}${bCol === 1 ? "N" : "T"}`;
}

export interface Group {
  label: string;
  calls: number;
  /** Measured, and what the bound allows. */
  seconds: number;
  bound: number;
}

/** Seconds to copy as many bytes, read and written, by the nearest of some measured sizes. */
export function copyTimes(): (bytes: number) => number {
  const sizes = [12, 14, 16, 18, 20, 22].map((power) => 2 ** power);
  const [from, to] = [floats(sizes[sizes.length - 1]), allocate(4 * sizes[sizes.length - 1])];
  const runs = sizes.map((n) => () => kernels.copyStrided(to, from, 1, n, n, 1, n, 1));
  const rates = interleave(runs, runs[0], 7).map(({ seconds }, i) => (8 * sizes[i]) / median(seconds));
  return (bytes) => {
    const nearest = sizes.findIndex((n) => 8 * n >= bytes);
    return bytes / rates[nearest < 0 ? rates.length - 1 : nearest];
  };
}

/** What every kernel call of `step` takes, at best in `rounds` steps, and could take; the slowest groups first. */
export function traceStep(
  step: () => void,
  flopsPerSecond: number,
  copySeconds: (bytes: number) => number,
  rounds = 15,
): Group[] {
  const table = kernels as unknown as Record<string, (...args: number[]) => unknown>;
  const originals = { ...table };
  const groups = new Map<string, { seconds: number[]; bound: number; calls: number }>();
  const isCheap = (name: string) => /Workspace$|64$|^heapBase$|^isRelaxed$|^first/.test(name);
  let round = 0;
  for (const [name, kernel] of Object.entries(originals)) {
    if (typeof kernel !== "function" || isCheap(name)) continue;
    const cost = costs[name as keyof Kernels] as ((...args: number[]) => Cost) | undefined;
    table[name] = (...args) => {
      if (!cost) throw new Error(`roofline: the cost of ${name} must be known`);
      const label = labelOf(name, args);
      const group = groups.get(label) ?? { seconds: new Array<number>(rounds).fill(0), bound: 0, calls: 0 };
      groups.set(label, group);
      const begin = performance.now();
      const result = kernel(...args);
      group.seconds[round] += (performance.now() - begin) / 1000;
      const { flops, bytes } = cost(...args);
      group.bound += Math.max(flops / flopsPerSecond, copySeconds(bytes)) / rounds;
      group.calls += 1 / rounds;
      return result;
    };
  }
  try {
    for (; round < rounds; round++) step();
  } finally {
    Object.assign(table, originals);
  }
  return [...groups]
    .map(([label, { seconds, bound, calls }]) => ({ label, calls, seconds: Math.min(...seconds), bound }))
    .sort((a, b) => b.seconds - a.seconds);
}
