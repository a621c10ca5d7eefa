import { describe, test } from "vitest";
import { F, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/elementwise.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { bytesOf } from "../support/golden.js";

const unary: Record<keyof typeof golden.unary, (x: Tensor) => Tensor> = {
  exp: F.exp,
  log: F.log,
  log1p: F.log1p,
  expm1: F.expm1,
  sqrt: F.sqrt,
  rsqrt: F.rsqrt,
  square: F.square,
  reciprocal: F.reciprocal,
  abs: F.abs,
  neg: F.neg,
  sign: F.sign,
  sin: F.sin,
  cos: F.cos,
  erf: F.erf,
  round: F.round,
  floor: F.floor,
  ceil: F.ceil,
  clamp: (x) => F.clamp(x, { min: -1, max: 2.5 }),
  "clamp, min": (x) => F.clamp(x, { min: 0.5 }),
  "clamp, max below min": (x) => F.clamp(x, { min: 2, max: 1 }),
  relu: F.relu,
  leakyRelu: F.leakyRelu,
  "leakyRelu, 0.2": (x) => F.leakyRelu(x, { negativeSlope: 0.2 }),
  sigmoid: F.sigmoid,
  tanh: F.tanh,
  softplus: F.softplus,
  "softplus, 2, 5": (x) => F.softplus(x, { beta: 2, threshold: 5 }),
  elu: F.elu,
  "elu, 0.5": (x) => F.elu(x, { alpha: 0.5 }),
  selu: F.selu,
  mish: F.mish,
  hardswish: F.hardswish,
  hardsigmoid: F.hardsigmoid,
  relu6: F.relu6,
  logSigmoid: F.logSigmoid,
  silu: F.silu,
  gelu: F.gelu,
  "gelu, tanh": (x) => F.gelu(x, { approximate: "tanh" }),
  "pow, 2": (x) => F.pow(x, 2),
  "pow, 3": (x) => F.pow(x, 3),
  "pow, 0.5": (x) => F.pow(x, 0.5),
  "pow, -1": (x) => F.pow(x, -1),
  "pow, 0": (x) => F.pow(x, 0),
  "pow, 1": (x) => F.pow(x, 1),
  "pow, 1.7": (x) => F.pow(x, 1.7),
};

const several: Record<keyof typeof golden.binary, (...inputs: Tensor[]) => Tensor> = {
  pow: F.pow,
  maximum: F.maximum,
  minimum: F.minimum,
  "lerp, 0.3": (a, b) => F.lerp(a, b, 0.3),
  "lerp, 1": (a, b) => F.lerp(a, b, 1),
  lerp: F.lerp,
  addcmul: (x, a, b) => F.addcmul(x, a, b, { value: 0.7 }),
  prelu: F.prelu,
  "prelu, channels": F.prelu,
  glu: (x) => F.glu(x),
  "glu, 0": (x) => F.glu(x, { dim: 0 }),
  swiglu: (x, w, v) => F.swiglu(x, w, v),
  "swiglu, 1.5": (x, w, v, b, c) => F.swiglu(x, w, v, { b, c, beta: 1.5 }),
  geglu: (x, w, v, b) => F.geglu(x, w, v, { b }),
  reglu: (x, w, v, c) => F.reglu(x, w, v, { c }),
};

interface Packed {
  shape: number[];
  data: string;
}

function floats(base64: string): Float32Array {
  return new Float32Array(bytesOf(base64).buffer);
}

function unpack({ shape, data }: Packed): Tensor {
  return tensor(floats(data), { shape });
}

/** At ±∞ PyTorch computes ∞·0 for these, or for their gradients; the kernels give the limit. */
const limits = ["mish", "gelu"];

describe("elementwise operations as in PyTorch", () => {
  const [x, dy] = [floats(golden.x), floats(golden.dy)];

  for (const [name, expected] of Object.entries(golden.unary)) {
    test(name, () => {
      scope(() => {
        const input = tensor(x, { requiresGrad: true });
        const y = unary[name as keyof typeof unary](input);
        y.backward(tensor(dy));
        const at = (i: number) => `${name} at ${x[i]}`;
        x.forEach((v, i) => {
          if (Math.abs(v) === Infinity && limits.includes(name)) return;
          expectClose([y.data()[i]], [floats(expected.y)[i]], undefined, at(i));
          expectClose([(input.grad as Tensor).data()[i]], [floats(expected.dx)[i]], undefined, `gradient, ${at(i)}`);
        });
      });
    });
  }
});

describe("operations of several tensors as in PyTorch", () => {
  for (const [name, { inputs, y, dy, grads }] of Object.entries(golden.binary)) {
    test(name, () => {
      scope(() => {
        const leaves = inputs.map((input) => unpack(input).requiresGrad_());
        const result = several[name as keyof typeof several](...leaves);
        expectClose(result.data(), floats(y.data), undefined, name);
        result.backward(unpack(dy));
        leaves.forEach((leaf, i) => {
          expectClose((leaf.grad as Tensor).data(), floats(grads[i].data), undefined, `${name}, gradient ${i}`);
        });
      });
    });
  }
});

test.each(["eq", "ne", "gt", "ge", "lt", "le"] as const)("%s as in PyTorch, of every pair", (name) => {
  scope(() => {
    const values = tensor(floats(golden.comparisons.values));
    const y = F[name](F.unsqueeze(values, 1), values);
    expectClose(y.data(), [...golden.comparisons[name]].map(Number));
  });
});
