/** Optimizer steps, each one pass over parameters, state and gradient, beside a copy of as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { float32View, nullPtr } from "../src/wasm/memory.js";
import { uniform } from "./data.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

const [LR, BETA1, BETA2, EPS] = [1e-3, 0.9, 0.999, 1e-8];

function cases(n: number, label: string): KernelCase[] {
  const [p, m, v, g, s, t] = [1, 2, 3, 4, 5, 6].map((seed) => floats(n, 1, seed));
  for (const state of [m, v, s, t]) float32View(state, n).fill(0);
  const [parameters, gradients] = [uniform(1, n), uniform(4, n)];
  /** θ after a first step: m̂ = g, √v̂ = |g| */
  const stepped = (i: number) => parameters[i] - (LR * gradients[i]) / (Math.abs(gradients[i]) + EPS);
  const adamW = () =>
    kernels.adam(
      p,
      m,
      v,
      nullPtr,
      g,
      n,
      LR / (1 - BETA1),
      1,
      1 - BETA1,
      BETA2,
      1 - BETA2,
      1 / Math.sqrt(1 - BETA2),
      EPS,
    );
  const all: Record<string, Omit<KernelCase, "name">> = {
    adamW: { run: adamW, check: () => expectFloats(p, n, stepped, 1e-5), bytes: 28 * n },
    "adamW, amsgrad": {
      run: () => kernels.adam(p, m, v, s, g, n, LR, 1, 1 - BETA1, BETA2, 1 - BETA2, 1, EPS),
      bytes: 36 * n,
    },
    "sgd, momentum": { run: () => kernels.sgd(p, t, g, n, 1e-6, 0.9, 1, 0), bytes: 20 * n },
    lion: { run: () => kernels.lion(p, t, g, n, 1e-6, 1, 0.1, 0.01), bytes: 20 * n },
  };
  return Object.entries(all).map(([name, each]) => ({ name: `${name}, ${label}`, ...each }));
}

await benchKernels("optim", () => [...cases(65_536, "64 Ki"), ...cases(10_000_000, "10 M")]);
