import { describe, expect, test } from "vitest";
import { F, memoryStats, nn, scope, type Tensor, tensor } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { map, matmul, type Nd, nd, zip } from "../support/reference.js";

const shapes = [[[]], [[1]], [[3]], [[4]], [[5]], [[7]], [[16]], [[17]], [[3, 5]], [[0, 3]], [[2, 3, 4]]];
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const relu6 = (x: number) => Math.min(Math.max(x, 0), 6);
const leaky = (slope: number) => (x: number) => (x > 0 ? x : slope * x);
const elu = (alpha: number) => (x: number) => (x > 0 ? x : alpha * Math.expm1(x));

const cases: Record<string, [op: (x: Tensor) => Tensor, f: (x: number) => number, domain?: [number, number]]> = {
  leakyRelu: [F.leakyRelu, leaky(0.01)],
  "leakyRelu, -0.5": [(x) => F.leakyRelu(x, { negativeSlope: -0.5 }), leaky(-0.5)],
  softplus: [F.softplus, (x) => Math.log1p(Math.exp(x)), [-9, 9]],
  "softplus, 3": [(x) => F.softplus(x, { beta: 3 }), (x) => Math.log1p(Math.exp(3 * x)) / 3],
  elu: [F.elu, elu(1)],
  "elu, 2": [(x) => F.elu(x, { alpha: 2 }), elu(2)],
  selu: [F.selu, (x) => 1.0507009873554805 * elu(1.6732632423543772)(x)],
  mish: [F.mish, (x) => x * Math.tanh(Math.log1p(Math.exp(x))), [-9, 9]],
  hardswish: [F.hardswish, (x) => (x * relu6(x + 3)) / 6, [-6, 6]],
  hardsigmoid: [F.hardsigmoid, (x) => relu6(x + 3) / 6, [-6, 6]],
  relu6: [F.relu6, relu6, [-3, 9]],
  logSigmoid: [F.logSigmoid, (x) => -Math.log1p(Math.exp(-x)), [-9, 9]],
  quickGelu: [F.quickGelu, (x) => x * sigmoid(1.702 * x), [-6, 6]],
};

describe("activations", () => {
  for (const [name, [op, f, domain]] of Object.entries(cases)) {
    test(name, () => checkOp({ op: (x) => op(x), reference: (x) => map(x, f), shapes, domain }));
  }

  test("siluMul gates one operand by the other", () => {
    checkOp({
      op: F.siluMul,
      reference: (a, b) => zip(a, b, (x, z) => x * sigmoid(x) * z),
      shapes: shapes.map(([shape]) => [shape, shape]),
      domain: [-6, 6],
    });
    scope(() => {
      const [a, b] = [tensor([[-3, 0, 2.5]]), tensor([[2, 1, -1]])];
      expect(F.siluMul(a, b).data()).toEqual(F.silu(a).mul(b).data());
      expect(() => F.siluMul(a, tensor([1, 2, 3]))).toThrow("siluMul: shapes must be equal, got [1, 3] and [3]");
    });
  });

  test("prelu with one slope and with one per channel", () => {
    const reference = (x: Nd, w: Nd) => {
      const slope =
        w.data.length === 1 ? nd([], w.data) : nd([w.data.length, ...x.shape.slice(2).map(() => 1)], w.data);
      return zip(x, slope, (v, s) => (v > 0 ? v : s * v));
    };
    checkOp({
      op: F.prelu,
      reference,
      shapes: [
        [[5], [1]],
        [[], []],
        [[4, 3], [3]],
        [[2, 3, 5], [3]],
        [[2, 3, 2, 2], [3]],
        [[0, 3], [3]],
      ],
    });
    scope(() => {
      expect(() => F.prelu(tensor([[1, 2, 3]]), tensor([1, 2]))).toThrow(
        "prelu: the weight must have one element or one per channel (3), got [2]",
      );
    });
  });

  test("glu gates one half by the other", () => {
    const reference = (x: Nd) => {
      const cols = x.shape[x.shape.length - 1];
      const half = cols / 2;
      const data = Float64Array.from({ length: x.data.length / 2 }, (_, i) => {
        const at = Math.floor(i / half) * cols + (i % half);
        return x.data[at] * sigmoid(x.data[at + half]);
      });
      return nd([...x.shape.slice(0, -1), half], data);
    };
    checkOp({ op: (x) => F.glu(x), reference, shapes: [[[2]], [[10]], [[3, 6]], [[2, 3, 4]], [[0, 4]]] });
    scope(() => expect(() => F.glu(tensor([1, 2, 3]))).toThrow("glu: the extent of dim 0 must be even, got [3]"));
  });

  test("gated layers", () => {
    const gate = (f: (u: number) => number) => (x: Nd, w: Nd, v: Nd, b: Nd, c: Nd) =>
      zip(
        zip(matmul(x, w), b, (u, bias) => f(u + bias)),
        zip(matmul(x, v), c, (u, bias) => u + bias),
        (g, u) => g * u,
      );
    const shapes = [
      [[2, 3], [3, 5], [3, 5], [5], [5]],
      [[2, 3, 4], [4, 1], [4, 1], [1], [1]],
    ];
    const swish = (beta: number) => (u: number) => u * sigmoid(beta * u);
    const op = (gated: typeof F.swiglu, beta?: number) => (x: Tensor, w: Tensor, v: Tensor, b: Tensor, c: Tensor) =>
      gated(x, w, v, beta === undefined ? { b, c } : { b, c, beta });
    const tolerance = { absolute: 1e-5 }; // float32 sums whose terms cancel
    checkOp({ op: op(F.swiglu), reference: gate(swish(1)), shapes, tolerance });
    checkOp({ op: op(F.swiglu, 2), reference: gate(swish(2)), shapes, tolerance });
    checkOp({ op: op(F.reglu), reference: gate((u) => Math.max(u, 0)), shapes, tolerance });
    checkOp({ op: op(F.geglu), reference: gate((u) => (u / 2) * (1 + erf(u / Math.SQRT2))), shapes, tolerance });
    scope(() => {
      const [x, w, v] = [tensor([[1, 2]]), tensor([[1], [2]]), tensor([[1, 2]])];
      expect(() => F.swiglu(x, w, v)).toThrow(
        "swiglu: x [..., in], w [in, hidden] and v [in, hidden] must agree, got [1, 2], [2, 1], [1, 2]",
      );
    });
  });

  test("a misspelt option is an error", () => {
    scope(() => {
      const x = tensor([1, 2]);
      const misspelt = { slope: 1 } as object;
      expect(() => F.leakyRelu(x, misspelt)).toThrow("leakyRelu: options must be negativeSlope, got slope");
      for (const op of [F.softplus, F.elu, F.glu]) expect(() => op(x, misspelt)).toThrow("got slope");
      for (const op of [F.swiglu, F.geglu, F.reglu]) expect(() => op(x, x, x, misspelt)).toThrow("got slope");
    });
  });

  test("only float32 has them", () => {
    scope(() => {
      const x = tensor([1, 2], { dtype: "int32" });
      for (const [op] of Object.values(cases)) expect(() => op(x)).toThrow('the input must be "float32", got "int32"');
    });
  });
});

/** erf by its Maclaurin series, for |x| ≤ 6. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

describe("activation layers", () => {
  const x = [-4, -1, -0.25, 0, 0.5, 7];
  const layers: [layer: () => nn.Layer, op: (x: Tensor) => Tensor][] = [
    [() => new nn.ReLU(), F.relu],
    [() => new nn.LeakyReLU({ negativeSlope: 0.2 }), (t) => F.leakyRelu(t, { negativeSlope: 0.2 })],
    [() => new nn.Sigmoid(), F.sigmoid],
    [() => new nn.Tanh(), F.tanh],
    [() => new nn.Softplus({ beta: 2 }), (t) => F.softplus(t, { beta: 2 })],
    [() => new nn.ELU({ alpha: 0.5 }), (t) => F.elu(t, { alpha: 0.5 })],
    [() => new nn.SELU(), F.selu],
    [() => new nn.Mish(), F.mish],
    [() => new nn.Hardswish(), F.hardswish],
    [() => new nn.Hardsigmoid(), F.hardsigmoid],
    [() => new nn.ReLU6(), F.relu6],
    [() => new nn.LogSigmoid(), F.logSigmoid],
    [() => new nn.SiLU(), F.silu],
    [() => new nn.GELU(), (t) => F.gelu(t)],
    [() => new nn.QuickGELU(), F.quickGelu],
    [() => new nn.GLU(), (t) => F.glu(t)],
    [() => new nn.Softmax(), (t) => F.softmax(t)],
    [() => new nn.LogSoftmax(), (t) => F.logSoftmax(t)],
    [() => new nn.PReLU({ init: 0.5 }), (t) => F.leakyRelu(t, { negativeSlope: 0.5 })],
    [() => new nn.Identity(), (t) => t],
  ];

  test("each computes what its function does", () => {
    scope(() => {
      for (const [layer, op] of layers) {
        expect(layer().forward(tensor(x)).toArray(), layer().toString()).toEqual(op(tensor(x)).toArray());
      }
    });
  });

  test("their options show, and misspelt ones are errors", () => {
    expect(new nn.LeakyReLU().toString()).toBe("LeakyReLU(negativeSlope=0.01)");
    expect(new nn.Softplus().toString()).toBe("Softplus(beta=1, threshold=20)");
    expect(() => new nn.ELU({ apha: 1 } as object)).toThrow("ELU: options must be alpha, got apha");
  });

  test("PReLU learns its slopes", () => {
    scope(() => {
      const layer = new nn.PReLU({ numParameters: 2 });
      F.sum(
        layer.forward(
          tensor([
            [-1, -2],
            [3, -4],
          ]),
        ),
      ).backward();
      expect(layer.weight.grad?.toArray()).toEqual([-1, -6]);
      expect(Object.keys(layer.stateDict())).toEqual(["weight"]);
      layer.dispose();
    });
  });

  test("SwiGLU is the gated feed-forward layer, and leaves nothing behind", () => {
    const layer = new nn.SwiGLU(3, 5, { out: 2 });
    expect([...layer.namedParameters()].map(([path, p]) => [path, p.shape])).toEqual([
      ["w1.weight", [5, 3]],
      ["w3.weight", [5, 3]],
      ["w2.weight", [2, 5]],
    ]);
    const before = memoryStats().liveTensors;
    scope(() => {
      const input = tensor([[1, -2, 0.5]]);
      const inner = F.swiglu(input, layer.w1.weight.transpose(0, 1), layer.w3.weight.transpose(0, 1));
      expect(F.allclose(layer.forward(input), F.linear(inner, layer.w2.weight))).toBe(true);
    });
    expect(memoryStats().liveTensors).toBe(before);
    layer.dispose();
  });
});
