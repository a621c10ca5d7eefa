/** What users of PyTorch write on their first day. */
import { describe, expect, test } from "vitest";
import { autograd, F, nn, noGrad, optim, record, scope, type Tensor, tensor } from "../../src/index.js";

describe("day-one habits", () => {
  test("a parameter is updated in place under noGrad", () =>
    scope(() => {
      const p = new nn.Parameter(tensor([1, 2]));
      F.sum(F.square(p)).backward();
      const g = p.grad as Tensor;
      noGrad(() => p.add_(g, { alpha: -0.25 }));
      expect([...p.data()]).toEqual([0.5, 1]);
      expect(() => p.add_(g)).toThrow(/add_: .* use noGrad/);
      p.dispose();
    }));

  test("a loop written by hand and an optimizer give the same weights", () => {
    const trained = (step: (model: nn.Linear) => void): number[] => {
      const model = new nn.Linear(2, 1);
      model.weight.set([0.5, -1]);
      model.bias?.set([0.25]);
      for (let i = 0; i < 5; i++) {
        scope(() => {
          const x = tensor([
            [1, 2],
            [-1, 0.5],
          ]);
          F.mseLoss(model.forward(x), tensor([[1], [0]])).backward();
          step(model);
          model.zeroGrad();
        });
      }
      const weights = model.parameters().flatMap((p) => [...p.data()]);
      model.dispose();
      return weights;
    };
    const byHand = trained((model) =>
      noGrad(() => {
        for (const p of model.parameters()) p.add_(p.grad as Tensor, { alpha: -0.125 });
      }),
    );
    const byOptimizer = trained((model) => {
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.125 });
      optimizer.step();
      optimizer.dispose();
    });
    expect(byHand).toEqual(byOptimizer);
  });

  test("an operation of one's own is recorded like the library's", () => {
    /** y = x³ */
    const cube = (x: Tensor): Tensor => {
      const y = noGrad(() => F.mul(F.square(x), x));
      return record("cube", y, [x], [x], [(dy) => F.mul(dy, F.mul(F.square(x), 3))]);
    };
    scope(() => {
      const x = tensor([1, -2], { requiresGrad: true });
      F.sum(F.mul(cube(x), 2)).backward();
      expect([...(x.grad as Tensor).data()]).toEqual([6, 24]);
      const [dx] = autograd.grad(F.sum(cube(x)), [x]);
      expect([...dx.data()]).toEqual([3, 12]);
    });
  });

  test("forward hooks collect the activations of a model", () =>
    scope(() => {
      const model = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU(), new nn.Linear(3, 1));
      const shapes: string[] = [];
      for (const [path, module] of model.namedModules()) {
        if (path !== "") module.registerForwardHook((_, __, y) => void shapes.push(`${path} ${(y as Tensor).shape}`));
      }
      model.forward(tensor([[1, 2]]));
      expect(shapes).toEqual(["0 1,3", "1 1,3", "2 1,1"]);
      model.dispose();
    }));

  test("apply initializes every layer, the innermost first", () =>
    scope(() => {
      const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Sequential(new nn.Linear(2, 1)));
      const order: string[] = [];
      model.apply((module) => {
        order.push(module.constructor.name);
        if (module instanceof nn.Linear) nn.init.constant_(module.weight, 0.5);
      });
      expect(order).toEqual(["Linear", "Sequential", "Linear", "Sequential"]);
      expect(
        model
          .parameters()
          .filter((p) => p.ndim === 2)
          .every((p) => p.data().every((v) => v === 0.5)),
      ).toBe(true);
      model.dispose();
    }));
});
