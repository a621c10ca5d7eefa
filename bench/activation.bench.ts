/** Elementwise kernels at 512 × 1024, forward and backward, beside a copy of as many bytes. */
import { kernels } from "../src/wasm/kernels.js";
import { float32View, type Ptr } from "../src/wasm/memory.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

const n = 512 * 1024;

/** Kernels of one operand, whose gradients bear their names, and their formulas where JavaScript has them. */
const formulas: Record<string, ((x: number) => number) | null> = {
  relu: (x) => Math.max(x, 0),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: null,
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  geluQuick: (x) => x / (1 + Math.exp(-1.702 * x)),
  mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
  hardswish: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  hardsigmoid: (x) => Math.min(Math.max(x + 3, 0), 6) / 6,
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  logSigmoid: (x) => -Math.log1p(Math.exp(-x)),
  exp: Math.exp,
  log: null, // NaN below 0
  log1p: null,
  expm1: Math.expm1,
  erf: null,
  sin: Math.sin,
  cos: Math.cos,
};
type Name = "relu" | "gelu" | "exp";
type Unary = (y: Ptr, x: Ptr, n: number) => void;
type UnaryGrad = (dx: Ptr, dy: Ptr, x: Ptr, n: number) => void;

function cases(): KernelCase[] {
  const y = floats(n);
  const x = floats(n, 3, 1);
  const [dy, other] = [floats(n, 1, 2), floats(n, 1, 3)];
  const read = 8 * n;
  const both = 12 * n;
  const maps = Object.entries(formulas).flatMap(([name, formula]): KernelCase[] => {
    const forward = kernels[name as Name] as Unary;
    const backward = kernels[`${name}Grad` as `${Name}Grad`] as UnaryGrad;
    const check = formula ? () => expectFloats(y, n, (i) => formula(float32View(x, n)[i]), 1e-4) : undefined;
    return [
      { name, run: () => forward(y, x, n), check, bytes: read },
      { name: `${name}Grad`, run: () => backward(y, dy, x, n), bytes: both },
    ];
  });
  return [
    ...maps,
    { name: "siluMul", run: () => kernels.siluMul(y, x, dy, n), bytes: both },
    { name: "siluMulGrad", run: () => kernels.siluMulGrad(y, other, dy, x, dy, n), bytes: 20 * n },
    { name: "softplus", run: () => kernels.softplus(y, x, n, 1, 20), bytes: read },
    { name: "elu", run: () => kernels.elu(y, x, n, 1, 1), bytes: read },
    { name: "clamp", run: () => kernels.clamp(y, x, n, -1, 1), bytes: read },
    { name: "prelu", run: () => kernels.prelu(y, x, other, 512, 1024, 1024, 1, 1, 0), bytes: read },
    { name: "pow", run: () => kernels.pow(y, x, other, 1, n, 0, 1, 0, 1), bytes: both },
    { name: "compare", run: () => kernels.compare(y, x, dy, 1, n, 0, 1, 0, 1, 1), bytes: 9 * n },
    { name: "where", run: () => kernels.where(y, dy, x, other, 1, n, 0, 1, 0, 1), bytes: 16 * n },
  ];
}

await benchKernels("activation", cases);
