import { describe, expect, test } from "vitest";
import { F, memoryStats, nn, noGrad, randn, scope, type Tensor, tensor } from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";

const tolerance = { absolute: 1e-5 };

/** A layer without a product of its own for the changed weight, as a quantized one. */
class Plain extends nn.AdaptableLayer {
  readonly inFeatures = 6;
  readonly outFeatures = 5;
  readonly linear: nn.Linear = new nn.Linear(6, 5);
  readonly bias = this.linear.bias;

  override product(x: Tensor, bias: Tensor | undefined): Tensor {
    return F.linear(x, this.linear.weight, bias);
  }

  override weightMatrix(): Tensor {
    return this.linear.weightMatrix();
  }
}

const layers: Record<string, { make: () => nn.AdaptableLayer; input: () => Tensor }> = {
  Linear: { make: () => new nn.Linear(6, 5), input: () => randn([2, 3, 6], { requiresGrad: true }) },
  "Linear without bias": { make: () => new nn.Linear(6, 5, { bias: false }), input: () => randn([3, 6]) },
  Conv1D: { make: () => new nn.Conv1D(6, 5), input: () => randn([2, 3, 6], { requiresGrad: true }) },
  Embedding: { make: () => new nn.Embedding(6, 5), input: () => tensor([[0, 5, 2, 2]], { dtype: "int32" }) },
  "a layer with the plain way": { make: () => new Plain(), input: () => randn([2, 3, 6], { requiresGrad: true }) },
};

describe.each(Object.entries(layers))("%s", (_, { make, input }) => {
  test("the product with a low-rank change is that of the changed weight, with its gradients; the frozen weight has none", () => {
    const before = memoryStats();
    scope(() => {
      const layer = make().requiresGrad_(false);
      const x = input();
      const a = randn([2, layer.inFeatures], { requiresGrad: true });
      const b = randn([layer.outFeatures, 2], { requiresGrad: true });
      const features = layer.isLookup ? F.to(F.oneHot(x, layer.inFeatures), "float32") : x;
      const bias = layer.bias ?? undefined;
      const dense = F.linear(features, F.add(layer.weightMatrix(), F.mul(F.matmul(b, a), 0.5)), bias);
      const y = layer.adaptedProduct(x, x, bias, a, b, 0.5);
      expectClose(y.data(), dense.data(), tolerance, "forward");
      const wanted = [x, a, b].filter((t) => t.requiresGrad);
      const gradients = (root: Tensor, dy: Tensor) => {
        root.backward(dy);
        return wanted.map((t) => {
          const values = t.grad?.data() ?? [];
          t.grad = null;
          return values;
        });
      };
      const dy = randn(y.shape);
      const expected = gradients(dense, dy);
      for (const [i, g] of gradients(y, dy).entries()) expectClose(g, expected[i], tolerance, `gradient ${i}`);
      expect(layer.parameters().every((p) => p.grad === null)).toBe(true);
      layer.dispose();
    });
    const after = memoryStats();
    expect([after.liveBytes, after.liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
  });

  test("the weight is read and changed as [out, in]; a saved one comes back to the bit", () => {
    scope(() => {
      const layer = make();
      const x = input();
      const before = noGrad(() => layer.forward(x).data());
      const saved = layer.saveWeight();
      expect(layer.weightMatrix().shape).toEqual([layer.outFeatures, layer.inFeatures]);
      expect(layer.weightMatrix().requiresGrad).toBe(false);
      layer.changeWeight((weight) => weight.mul_(2));
      const bias = layer.bias?.data() ?? [];
      const doubled = before.map((v, i) => 2 * v - (bias[i % layer.outFeatures] ?? 0));
      expectClose(
        noGrad(() => layer.forward(x).data()),
        doubled,
        tolerance,
      );
      saved.restore();
      saved.dispose();
      expect(noGrad(() => layer.forward(x).data())).toEqual(before);
      layer.dispose();
    });
  });
});
