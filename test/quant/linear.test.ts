import { describe, expect, test } from "vitest";
import { F, io, memoryStats, nn, quant, randn, scope, type Tensor, tensor } from "../../src/index.js";

const schemes = [quant.log4, quant.int8, quant.nf4, quant.int4];

/** [rows, in, out]: tails of every kind, blocks that end within rows, blocks of k, panels of both widths. */
const sizes = [
  [1, 1, 1],
  [1, 5, 3],
  [1, 64, 64],
  [1, 72, 9],
  [1, 1160, 12], // in blocks of k that are no multiples of 8
  [1, 2048, 19],
  [2, 64, 64],
  [3, 7, 17],
  [4, 65, 33],
  [5, 172, 64],
  [9, 130, 16],
  [17, 64, 172],
  [33, 900, 40],
  [20, 40, 900],
] as const;

function layerOf(inner: number, out: number, scheme: quant.Scheme): quant.QuantizedLinear {
  const linear = new nn.Linear(inner, out);
  const layer = quant.QuantizedLinear.from(linear, scheme);
  linear.dispose();
  return layer;
}

/** As text, which compares fast. */
const bits = (t: Tensor | null) => String(new Int32Array((t as Tensor).data().buffer));

describe.each(schemes)("$name", (scheme) => {
  test("computes the very bits of a linear layer with the dequantized weight, and of its gradients", () => {
    for (const [rows, inner, out] of sizes) {
      const layer = layerOf(inner, out, scheme);
      const before = memoryStats();
      scope(() => {
        const weight = quant.dequantize(layer.weight);
        const x = randn([rows, inner]);
        const [p, q] = [x.clone().requiresGrad_(), x.clone().requiresGrad_()];
        const y = layer.forward(p);
        const expected = F.linear(q, weight, layer.bias as Tensor);
        expect(bits(y), `${rows} × ${inner} → ${out}`).toBe(bits(expected));
        const dy = randn([rows, out]);
        y.backward(dy);
        const bias = bits((layer.bias as Tensor).grad);
        layer.zeroGrad();
        expected.backward(dy);
        expect(bits(p.grad), `dx of ${rows} × ${inner} → ${out}`).toBe(bits(q.grad));
        expect(bias).toBe(bits((layer.bias as Tensor).grad));
        layer.zeroGrad();
      });
      const after = memoryStats();
      expect([after.liveBytes, after.liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
      layer.dispose();
    }
  });

  test("a row's bits do not depend on the rows beside it", () => {
    const layer = layerOf(496, 70, scheme);
    scope(() => {
      const x = randn([130, 496]);
      const all = layer.forward(x);
      for (const [from, rows] of [
        [0, 1],
        [77, 1],
        [3, 2],
        [64, 4],
        [100, 30],
      ]) {
        const some = layer.forward(x.narrow(0, from, rows));
        expect(bits(some)).toBe(bits(all.narrow(0, from, rows)));
      }
    });
    layer.dispose();
  });

  test("rows of any rank and strides, a vector, no rows", () => {
    const layer = layerOf(12, 5, scheme);
    scope(() => {
      const weight = quant.dequantize(layer.weight);
      const bias = layer.bias as Tensor;
      const inputs = [
        randn([12]),
        randn([2, 3, 12]),
        randn([12, 4]).transpose(0, 1),
        randn([1, 12]).expand([3, 12]),
        tensor([], { shape: [0, 12] }),
      ];
      for (const x of inputs) {
        const y = layer.forward(x);
        const expected = F.linear(x, weight, bias);
        expect(y.shape).toEqual(expected.shape);
        expect(y.data()).toEqual(expected.data());
      }
    });
    layer.dispose();
  });

  test("its state dict goes through a file and into another layer, bit by bit", async () => {
    const layer = layerOf(70, 9, scheme);
    const other = layerOf(70, 9, scheme);
    const file = scope(() => io.safetensors.serialize(layer.stateDict()));
    const { tensors } = await io.safetensors.parse(file);
    other.loadStateDict(tensors);
    expect(scope(() => io.safetensors.serialize(other.stateDict()))).toEqual(file);
    scope(() => {
      const x = randn([3, 70]);
      expect(bits(other.forward(x))).toBe(bits(layer.forward(x)));
    });
    for (const t of Object.values(tensors)) t.dispose();
    layer.dispose();
    other.dispose();
  });
});

test("state-dict keys say what is what", () => {
  const keys = Object.fromEntries(
    schemes.map((scheme) => {
      const layer = layerOf(4, 2, scheme);
      const names = scope(() => Object.keys(layer.stateDict()));
      layer.dispose();
      return [scheme.name, names.join(" ")];
    }),
  );
  expect(keys).toEqual({
    log4: "weight_codes weight_scales bias",
    int8: "weight_codes weight_scales bias",
    nf4: "weight_codes weight_scales weight_nested bias",
    int4: "weight_codes weight_scales weight_zeros bias",
  });
});

test("another scheme's state dict is an error", () => {
  const log4 = layerOf(8, 8, quant.log4);
  const nf4 = layerOf(8, 8, quant.nf4);
  scope(() => {
    expect(() => log4.loadStateDict(nf4.stateDict())).toThrow("unexpected keys: weight_nested");
  });
  log4.dispose();
  nf4.dispose();
});

test("Conv1D's weight is taken the right way round", () => {
  const conv = new nn.Conv1D(6, 10);
  const layer = quant.QuantizedLinear.from(conv, quant.int8);
  scope(() => {
    const x = randn([3, 6]);
    const [y, expected] = [layer.forward(x).data(), conv.forward(x).data()];
    expect(Math.max(...y.map((v, i) => Math.abs(v - expected[i])))).toBeLessThan(2e-3);
  });
  expect(layer.fanInFanOut).toBe(true);
  conv.dispose();
  layer.dispose();
});

test("what does not fit is named", () => {
  const layer = layerOf(4, 2, quant.nf4);
  scope(() => {
    expect(() => layer.forward(randn([3, 5]))).toThrow(
      "QuantizedLinear: x must have shape [..., 4] for a weight [2, 4], got [3, 5]",
    );
    expect(() => layer.forward(tensor([1, 2, 3, 4], { dtype: "int32" }))).toThrow(
      'QuantizedLinear: operands must be "float32", got "int32"',
    );
  });
  layer.dispose();
  const table = new nn.Embedding(3, 4);
  expect(() => quant.QuantizedLinear.from(table, quant.nf4)).toThrow(
    "the layer must be a linear one, got an embedding",
  );
  table.dispose();
});
