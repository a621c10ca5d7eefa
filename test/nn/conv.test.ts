import { describe, expect, test } from "vitest";
import { F, nn, optim, scope, tensor } from "../../src/index.js";
import golden from "../golden/conv.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { tensorsOf } from "../support/golden.js";
import { checkLayer } from "./golden.js";

/** `network()` of conv.py */
function network(): nn.Sequential {
  return new nn.Sequential(
    new nn.Conv2d(2, 4, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(4),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(4, 6, 3, { groups: 2 }),
    new nn.GroupNorm(3, 6),
    new nn.ReLU(),
    new nn.ConvTranspose2d(6, 4, 2, { stride: 2 }),
    new nn.AvgPool2d(2, { stride: 1 }),
    new nn.Flatten(),
    new nn.Linear(36, 5),
    new nn.BatchNorm1d(5, { momentum: 0.3 }),
  );
}

/** `sequences()` of conv.py */
function sequences(): nn.Sequential {
  return new nn.Sequential(
    new nn.Conv1d(3, 4, 3, { padding: "same", dilation: 2 }),
    new nn.BatchNorm1d(4, { affine: false }),
  );
}

describe("convolution networks", () => {
  test.each([
    ["network", network],
    ["sequences", sequences],
  ] as const)("PyTorch's state dict, values and gradients: %s", (name, make) => {
    const layer = golden.layers.find((item) => item.name === name);
    if (!layer) throw new Error(`conv.json has no layer ${name}`);
    return checkLayer(layer, make as () => nn.Sequential, (net, { x }) => ({ y: net.forward(x) }));
  });

  test("five steps of training give PyTorch's losses, parameters and running statistics", async () => {
    const tensors = await tensorsOf(golden.training.tensors);
    const group = (name: string) =>
      Object.fromEntries(
        Object.entries(tensors)
          .filter(([key]) => key.startsWith(`${name}/`))
          .map(([key, t]) => [key.slice(name.length + 1), t]),
      );
    const net = network();
    net.loadStateDict(group("before"));
    const sgd = new optim.SGD(net.parameters(), { lr: 0.05 });
    const { x, target, y } = group("data");
    const losses = golden.training.losses.map((_, i) =>
      scope(() => {
        const loss = F.mseLoss(net.forward(F.select(x, 0, i)), F.select(target, 0, i));
        sgd.zeroGrad();
        loss.backward();
        sgd.step();
        return loss.item();
      }),
    );
    // rounding of five steps through twelve layers
    const tolerance = { absolute: 1e-5, relative: 1e-5 };
    expectClose(losses, golden.training.losses, tolerance);
    scope(() => {
      const state = net.stateDict();
      const expected = group("after");
      expect(Object.keys(state).sort()).toEqual(Object.keys(expected).sort());
      for (const [key, value] of Object.entries(expected)) {
        expect(state[key].dtype).toBe(value.dtype);
        expectClose(state[key].data(), value.data(), tolerance, key);
      }
      expect(state["1.num_batches_tracked"].item()).toBe(5);
      net.loadStateDict(expected);
      const evaluated = net.eval().forward(F.select(x, 0, 0));
      expectClose(evaluated.data(), y.data(), {}, "evaluation");
    });
    net.dispose();
    for (const t of Object.values(tensors)) t.dispose();
  });

  test("filters start as PyTorch's: uniform within 1/√fanIn", () => {
    for (const layer of [
      new nn.Conv1d(4, 32, 5, { groups: 2 }),
      new nn.Conv2d(3, 32, [3, 5]),
      new nn.ConvTranspose2d(32, 8, 3),
    ]) {
      const [, perGroup, ...kernel] = layer.weight.shape;
      const bound = 1 / Math.sqrt(perGroup * kernel.reduce((a, b) => a * b));
      for (const values of [layer.weight.data(), layer.bias?.data() ?? []]) {
        const most = Math.max(...values.map(Math.abs));
        expect(most).toBeLessThanOrEqual(bound);
        expect(most).toBeGreaterThan(0.5 * bound);
      }
      layer.dispose();
    }
  });

  test("batch normalization without momentum averages all batches; without tracking, evaluation uses the batch", () =>
    scope(() => {
      const average = new nn.BatchNorm1d(1, { momentum: null });
      for (const mean of [0, 3, 6]) average.forward(tensor([[mean - 1], [mean + 1]]));
      expect(average.running_mean?.item()).toBeCloseTo(3, 6);
      expect(average.running_var?.item()).toBeCloseTo(2, 6);
      const untracked = new nn.BatchNorm1d(1, { trackRunningStats: false, eps: 0 }).eval();
      expect(untracked.forward(tensor([[1], [3]])).toArray()).toEqual([[-1], [1]]);
      expect(Object.keys(untracked.stateDict())).toEqual(["weight", "bias"]);
      for (const layer of [average, untracked]) layer.dispose();
    }));

  test("stochastic depth acts in training alone", () =>
    scope(() => {
      const layer = new nn.StochasticDepth(1);
      const x = tensor([[1, 2]]);
      expect(layer.forward(x).toArray()).toEqual([[0, 0]]);
      expect(layer.eval().forward(x)).toBe(x);
    }));

  test("layers describe themselves, and name what must hold", () =>
    scope(() => {
      const net = network();
      expect(net.toString()).toContain("Conv2d(in=4, out=6, kernel=3×3, groups=2, bias=true)");
      expect(net.toString()).toContain("BatchNorm1d(5, eps=0.00001, momentum=0.3)");
      expect(new nn.AdaptiveAvgPool2d([1, 2]).toString()).toBe("AdaptiveAvgPool2d(size=1,2)");
      net.dispose();
      expect(() => new nn.Conv2d(3, 4, 3, { groups: 2 })).toThrow("Conv2d: groups must divide 3 and 4 channels, got 2");
      expect(() => new nn.Conv2d(3, 4, 0)).toThrow(
        "Conv2d: the kernel must be one or 2 whole numbers from 1, got [0, 0]",
      );
      expect(() => new nn.Conv2d(3, 4, 3, { strides: 2 } as object)).toThrow("Conv2d: options must be");
      expect(() => new nn.GroupNorm(2, 3)).toThrow("GroupNorm: groups must divide the 3 channels, got 2");
      expect(() => new nn.StochasticDepth(2)).toThrow("StochasticDepth: p must be from 0 to 1, got 2");
      const norm = new nn.BatchNorm2d(2);
      expect(() => norm.forward(tensor([[1, 2]]))).toThrow("BatchNorm2d: the input must have 4 dimensions, got [1, 2]");
      norm.dispose();
    }));
});
