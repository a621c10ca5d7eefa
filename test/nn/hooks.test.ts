import { describe, expect, test } from "vitest";
import { F, memoryStats, nn, noGrad, scope, type Tensor, tensor } from "../../src/index.js";

/** y = a · b, and a · b + b: two inputs, and outputs in an object. */
class Products extends nn.Module {
  override forward(a: Tensor, b: Tensor): { product: Tensor; rest: Tensor[] } {
    const product = F.mul(a, b);
    return { product, rest: [F.add(product, b)] };
  }
}

function values(gradients: readonly (Tensor | null)[]): (number[] | null)[] {
  return gradients.map((g) => (g ? [...g.data()] : null));
}

describe("backward hooks", () => {
  test("see the gradients of inputs and outputs, until removed", () =>
    scope(() => {
      const layer = new nn.Linear(2, 1, { bias: false });
      layer.weight.set([3, 5]);
      const seen: unknown[] = [];
      const remove = layer.registerBackwardHook((module, gradInputs, gradOutputs) => {
        seen.push(module === layer, values(gradInputs), values(gradOutputs));
      });
      const x = tensor([[1, 2]], { requiresGrad: true });
      layer.forward(x).backward(tensor([[7]]));
      expect(seen).toEqual([true, [[21, 35]], [[7]]]);
      expect([...(x.grad as Tensor).data()]).toEqual([21, 35]);
      expect([...(layer.weight.grad as Tensor).data()]).toEqual([7, 14]);
      remove();
      layer.forward(x).backward(tensor([[7]]));
      expect(seen).toHaveLength(3);
      layer.dispose();
    }));

  test("replace the gradients of inputs", () =>
    scope(() => {
      const layer = new nn.Tanh();
      layer.registerBackwardHook((_, [g]) => [F.mul(g as Tensor, 100)]);
      const x = tensor([0, 0], { requiresGrad: true });
      layer.forward(x).backward(tensor([1, 2]));
      expect([...(x.grad as Tensor).data()]).toEqual([100, 200]);
    }));

  test("wait for all inputs and outputs, and a second backward is seen too", () =>
    scope(() => {
      const module = new Products();
      const seen: unknown[] = [];
      module.registerBackwardHook((_, gradInputs, gradOutputs) => {
        seen.push([values(gradInputs), values(gradOutputs)]);
      });
      const a = tensor([2], { requiresGrad: true });
      const b = tensor([5], { requiresGrad: true });
      const { product, rest } = module.forward(a, b);
      const y = F.add(F.mul(product, 10), rest[0]);
      y.backward(undefined, { retainGraph: true });
      y.backward();
      const once = [
        [[55], [23]],
        [[10], [1]],
      ];
      expect(seen).toEqual([once, once]);
      expect([a.grad?.item(), b.grad?.item()]).toEqual([110, 46]);
    }));

  test("an input without a gradient is null; an output that nothing used has zeros", () =>
    scope(() => {
      const module = new Products();
      const seen: unknown[] = [];
      module.registerBackwardHook((_, gradInputs, gradOutputs) => {
        seen.push(values(gradInputs), values(gradOutputs));
      });
      const a = tensor([2], { requiresGrad: true });
      module.forward(a, tensor([5])).product.backward();
      expect(seen).toEqual([
        [[5], null],
        [[1], [0]],
      ]);
    }));

  test("are called where no input wants a gradient, and not where nothing is recorded", () =>
    scope(() => {
      const layer = new nn.Linear(1, 1);
      const seen: unknown[] = [];
      layer.registerBackwardHook((_, gradInputs, gradOutputs) => {
        seen.push(values(gradInputs), values(gradOutputs));
      });
      layer.forward(tensor([[1]])).backward(tensor([[3]]));
      expect(seen).toEqual([[null], [[3]]]);
      expect(noGrad(() => layer.forward(tensor([[1]]))).requiresGrad).toBe(false);
      layer.dispose();
    }));

  test("of every layer of a chain run from the last to the first, and change no gradient", () =>
    scope(() => {
      const model = new nn.Sequential(new nn.Linear(2, 3), new nn.Identity(), new nn.Tanh(), new nn.Linear(3, 1));
      const x = tensor([[1, -2]]);
      const gradients = () => {
        model.zeroGrad();
        model.forward(x).sum().backward();
        return model.parameters().map((p) => [...(p.grad as Tensor).data()]);
      };
      const plain = gradients();
      const order: string[] = [];
      for (const [path, module] of model.namedModules()) {
        module.registerBackwardHook(() => void order.push(path || "all"));
      }
      expect(gradients()).toEqual(plain);
      // No input of the first layer, nor of the whole, wants a gradient: their outputs' is what they see.
      expect(order).toEqual(["all", "3", "2", "1", "0"]);
      model.dispose();
    }));

  test("leave nothing behind", () => {
    const layer = new nn.Linear(2, 2);
    layer.registerBackwardHook((_, [g]) => [F.mul(g as Tensor, 2)]);
    const step = () =>
      scope(() => {
        const x = tensor([[1, 2]], { requiresGrad: true });
        layer.forward(x).sum().backward();
        layer.zeroGrad();
      });
    step();
    const before = memoryStats();
    step();
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
    layer.dispose();
  });
});
