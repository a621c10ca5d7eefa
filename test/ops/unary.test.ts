import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { map } from "../support/reference.js";

const shapes = [[[]], [[1]], [[3]], [[4]], [[5]], [[7]], [[16]], [[17]], [[35]], [[3, 5]], [[0, 3]], [[2, 3, 4]]];

/** 2/√π·e^(−x²)·Σ 2ⁿ·x^(2n+1) / (1·3·…·(2n+1)): every term has the sign of x, so nothing cancels. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const gelu = (x: number) => (x / 2) * (1 + erf(x / Math.SQRT2));
const geluTanh = (x: number) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const geluQuick = (x: number) => x * sigmoid(1.702 * x);

interface Case {
  op: (x: Tensor) => Tensor;
  f: (x: number) => number;
  domain?: readonly [number, number];
}

const cases: Record<string, Case> = {
  relu: { op: F.relu, f: (x) => Math.max(x, 0) },
  sigmoid: { op: F.sigmoid, f: sigmoid, domain: [-9, 9] },
  tanh: { op: F.tanh, f: Math.tanh, domain: [-5, 5] },
  silu: { op: F.silu, f: (x) => x * sigmoid(x), domain: [-9, 9] },
  gelu: { op: F.gelu, f: gelu, domain: [-6, 6] },
  "gelu, tanh": { op: (x) => F.gelu(x, { approximate: "tanh" }), f: geluTanh, domain: [-6, 6] },
  "gelu, quick": { op: (x) => F.gelu(x, { approximate: "quick" }), f: geluQuick, domain: [-6, 6] },
  exp: { op: F.exp, f: Math.exp },
  log: { op: F.log, f: Math.log, domain: [0.1, 9] },
  erf: { op: F.erf, f: erf, domain: [-3, 3] },
  sqrt: { op: F.sqrt, f: Math.sqrt, domain: [0.1, 9] },
  rsqrt: { op: F.rsqrt, f: (x) => 1 / Math.sqrt(x), domain: [0.1, 9] },
  square: { op: F.square, f: (x) => x * x },
  neg: { op: F.neg, f: (x) => -x },
  abs: { op: F.abs, f: Math.abs },
  reciprocal: { op: F.reciprocal, f: (x) => 1 / x, domain: [0.3, 3] },
  log1p: { op: F.log1p, f: Math.log1p, domain: [-0.9, 9] },
  expm1: { op: F.expm1, f: Math.expm1 },
  sin: { op: F.sin, f: Math.sin, domain: [-9, 9] },
  cos: { op: F.cos, f: Math.cos, domain: [-9, 9] },
  clamp: { op: (x) => F.clamp(x, { min: -0.5, max: 1 }), f: (x) => Math.min(Math.max(x, -0.5), 1) },
};

/** The values of op(x), and of d op(x)/dx. */
function evaluate(op: (x: Tensor) => Tensor, values: ArrayLike<number>): { y: number[]; dx: number[] } {
  return scope(() => {
    const x = tensor(Float32Array.from(values), { requiresGrad: true });
    const y = op(x);
    y.backward(F.exp(tensor(new Float32Array(values.length))));
    return { y: [...y.data()], dx: [...(x.grad as Tensor).data()] };
  });
}

/** Every `step`-th of all float32 values, by their bits. */
function sweep(step: number): Float32Array {
  const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / step) }, (_, i) => i * step);
  return new Float32Array(bits.buffer);
}

/** |got − exact| in units of the last place of `exact`, a denormal's where it is one. */
function ulps(got: number, exact: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(exact))), -126);
  return Math.abs(got - exact) / 2 ** (exponent - 23);
}

/** The largest error of `op` in ulps over the sweep; where float32 has no finite nonzero value for f(x), they must agree. */
function worst(op: (x: Tensor) => Tensor, f: (x: number) => number): number {
  const x = sweep(16381);
  const y = scope(() => op(tensor(x)).data());
  let most = 0;
  x.forEach((v, i) => {
    const exact = f(v);
    const rounded = Math.fround(exact);
    if (Number.isFinite(rounded) && rounded !== 0) most = Math.max(most, ulps(y[i], exact));
    else if (!Object.is(y[i] + 0, rounded + 0)) expect.fail(`f(${v}) must be ${rounded}, got ${y[i]}`);
  });
  return most;
}

describe("unary operations", () => {
  for (const [name, { op, f, domain }] of Object.entries(cases)) {
    test(name, () => checkOp({ op, reference: (x) => map(x, f), shapes, domain }));
  }

  test("a value does not depend on its position", () => {
    for (const { op, domain = [-2, 2] } of Object.values(cases)) {
      const { y, dx } = evaluate(op, new Float32Array(23).fill(domain[0] + 0.3 * (domain[1] - domain[0])));
      expect(new Set(y).size).toBe(1);
      expect(new Set(dx).size).toBe(1);
    }
  });

  test("NaN stays NaN", () => {
    for (const { op } of Object.values(cases))
      expect(evaluate(op, [NaN, 1, NaN]).y).toEqual([NaN, expect.anything(), NaN]);
  });

  // Their domain keeps central differences away from the steps.
  const steps: [op: (x: Tensor) => Tensor, f: (x: number) => number][] = [
    [F.sign, Math.sign],
    [F.round, Math.round],
    [F.floor, Math.floor],
    [F.ceil, Math.ceil],
  ];
  test.each(steps)("%o steps, with a gradient of zeros", (op, f) => {
    checkOp({ op, reference: (x) => map(x, f), shapes, domain: [3.1, 3.4] });
    checkOp({ op, reference: (x) => map(x, f), shapes, gradient: false });
  });

  test("round takes the even one of two", () => {
    scope(() => {
      expect(
        F.round(tensor([0.5, 1.5, 2.5, -0.5, -1.5, 8388609, 2.49]))
          .data()
          .map(positiveZero),
      ).toEqual(Float32Array.of(0, 2, 2, 0, -2, 8388609, 2));
    });
  });

  test("clamp with one bound, with both, and with none", () => {
    scope(() => {
      const x = tensor([-2, 0, 3, NaN]);
      expect(F.clamp(x, { min: 0 }).toArray()).toEqual([0, 0, 3, NaN]);
      expect(F.clamp(x, { max: 0 }).toArray()).toEqual([-2, 0, 0, NaN]);
      expect(F.clamp(x, { min: 2, max: 1 }).toArray()).toEqual([1, 1, 1, NaN]);
      expect(() => F.clamp(x, {})).toThrow("clamp: min or max must be given, got neither");
      expect(() => F.clamp(x, { low: 1 } as object)).toThrow("clamp: options must be min, max, got low");
    });
  });

  test("only float32 has them", () => {
    const x = tensor([1, 2], { dtype: "int32" });
    expect(() => F.exp(x)).toThrow('exp: the input must be "float32", got "int32"');
    x.dispose();
  });

  test("gelu's options are checked when it runs", () => {
    scope(() => {
      const x = tensor([1]);
      expect(() => F.gelu(x, { approximate: "erf" as "none" })).toThrow('must be "none", "tanh" or "quick", got "erf"');
      expect(() => F.gelu(x, { approximation: "tanh" } as object)).toThrow(
        "options must be approximate, got approximation",
      );
    });
  });
});

describe("errors over all of float32, in ulps of the float64 function", () => {
  test("exp, to the last denormal", () => expect(worst(F.exp, Math.exp)).toBeLessThan(1.5));
  test("log, of denormals too", () => expect(worst(F.log, Math.log)).toBeLessThan(1));
  test("log1p, of denormals too", () => expect(worst(F.log1p, Math.log1p)).toBeLessThan(3));
  test("expm1", () => expect(worst(F.expm1, Math.expm1)).toBeLessThan(2.5));
  test("sin", () => expect(worst(F.sin, Math.sin)).toBeLessThan(1));
  test("cos", () => expect(worst(F.cos, Math.cos)).toBeLessThan(1));
  test("tanh", () => expect(worst(F.tanh, Math.tanh)).toBeLessThan(2.5));
  test("erf", () => expect(worst(F.erf, erf)).toBeLessThan(2.5));

  // Below −87.3 the result is less than a normal number, and may be 0.
  test("sigmoid", () => {
    const op = (x: Tensor) => F.sigmoid(F.maximum(x, -87));
    expect(worst(op, (x) => sigmoid(Math.max(x, -87)))).toBeLessThan(2.5);
  });

  test("gelu within 4e-7, and its left tail to three digits", () => {
    const x = Float32Array.from({ length: 40001 }, (_, i) => (i - 20000) / 2000);
    const { y, dx } = evaluate(F.gelu, x);
    const exact = [...x].map((v) => (v < -3 ? v * tail(-v) : gelu(v)));
    expectClose(y, exact, { absolute: 4e-7, relative: 1.2e-7 });
    const left = [...x.keys()].filter((i) => x[i] > -4 && x[i] < -3);
    expectClose(
      left.map((i) => y[i]),
      left.map((i) => exact[i]),
      { absolute: 0, relative: 1e-3 },
    );
    const slope = (v: number) =>
      0.5 * (1 + erf(v / Math.SQRT2)) + (v * Math.exp((-v * v) / 2)) / Math.sqrt(2 * Math.PI);
    expectClose(dx, [...x].map(slope), { absolute: 4e-7, relative: 4e-7 });
  });
});

/** Φ(−x) for x ≥ 3, by the continued fraction φ(x) / (x + 1/(x + 2/(x + …))) */
function tail(x: number): number {
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / fraction;
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / fraction;
}

describe("extremes, as in PyTorch", () => {
  const x = [Infinity, -Infinity, 1e38, -1e38, 100, -100];

  test.each([
    ["relu", [Infinity, 0, 1e38, 0, 100, 0]],
    ["sigmoid", [1, 0, 1, 0, 1, 0]],
    ["tanh", [1, -1, 1, -1, 1, -1]],
    ["erf", [1, -1, 1, -1, 1, -1]],
    ["silu", [Infinity, NaN, 1e38, 0, 100, 0]],
    ["gelu", [Infinity, NaN, 1e38, 0, 100, 0]],
    ["gelu, tanh", [Infinity, NaN, 1e38, 0, 100, 0]],
    ["exp", [Infinity, 0, Infinity, 0, Infinity, Math.fround(Math.exp(-100))]],
    ["square", [Infinity, Infinity, Infinity, Infinity, 1e4, 1e4]],
    ["abs", [Infinity, Infinity, 1e38, 1e38, 100, 100]],
  ])("%s", (name, expected) => {
    expectClose(evaluate(cases[name].op, x).y.map(positiveZero), expected);
  });

  test("log, square roots and reciprocals at 0 and below", () => {
    const edge = [0, -0, -1, -1e-45, 1e-45];
    const denormal = Math.fround(1e-45);
    expectClose(evaluate(F.log, edge).y, [-Infinity, -Infinity, NaN, NaN, Math.log(denormal)]);
    expectClose(evaluate(F.sqrt, edge).y.map(positiveZero), [0, 0, NaN, NaN, Math.sqrt(denormal)]);
    expectClose(evaluate(F.rsqrt, edge).y, [Infinity, -Infinity, NaN, NaN, 1 / Math.sqrt(denormal)]);
    expectClose(evaluate(F.reciprocal, edge).y, [Infinity, -Infinity, -1, -Infinity, Infinity]);
  });

  test("gradients where the function has a corner or saturates", () => {
    expect(evaluate(F.relu, [0, -1, NaN, 2]).dx).toEqual([0, 0, 1, 1]);
    expect(evaluate(F.abs, [0, -3, NaN, 2]).dx).toEqual([0, -1, 0, 1]);
    expect(evaluate(F.sigmoid, [100, -100]).dx.map(positiveZero)).toEqual([0, 0]);
    expect(evaluate(F.tanh, [100, -100]).dx).toEqual([0, 0]);
    for (const name of ["silu", "gelu", "gelu, tanh", "gelu, quick"]) {
      expect(evaluate(cases[name].op, [1e4, -1e4]).dx.map(positiveZero)).toEqual([1, 0]);
    }
  });
});

function positiveZero(v: number): number {
  return v + 0;
}
