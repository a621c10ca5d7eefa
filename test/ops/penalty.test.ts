import { describe, expect, test } from "vitest";
import { F, optim, scope, type Tensor, tensor } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { build, type Nd } from "../support/reference.js";

const absolute = (...xs: Nd[]) => xs.reduce((sum, x) => x.data.reduce((s, v) => s + Math.abs(v), sum), 0);
const squares = (...xs: Nd[]) => xs.reduce((sum, x) => x.data.reduce((s, v) => s + v * v, sum), 0);
const shapes = [[[5]], [[2, 3], [7]]];

describe("penalties", () => {
  test("l1Penalty, l2Penalty and elasticNet", () => {
    checkOp({
      op: (...xs) => F.l1Penalty(xs, 0.3),
      reference: (...xs) => build([], () => 0.3 * absolute(...xs)),
      shapes,
    });
    checkOp({
      op: (...xs) => F.l2Penalty(xs, 0.3),
      reference: (...xs) => build([], () => 0.15 * squares(...xs)),
      shapes,
    });
    checkOp({
      op: (...xs) => F.elasticNet(xs, { l1: 0.2, l2: 0.5 }),
      reference: (...xs) => build([], () => 0.2 * absolute(...xs) + 0.25 * squares(...xs)),
      shapes,
    });
  });

  const makers: Record<string, (params: Tensor[], penalties: object) => optim.Optimizer> = {
    SGD: (params, penalties) => new optim.SGD(params, { lr: 0.05, momentum: 0.9, ...penalties }) as optim.Optimizer,
    Adam: (params, penalties) => new optim.Adam(params, { lr: 0.05, ...penalties }) as optim.Optimizer,
    Adagrad: (params, penalties) => new optim.Adagrad(params, { lr: 0.05, ...penalties }) as optim.Optimizer,
  };
  for (const [name, make] of Object.entries(makers)) {
    test(`in the loss and as options of ${name}, they make the same steps`, () =>
      scope(() => {
        const start = [0.5, -0.25, 0, 2, -3];
        const inLoss = tensor(start, { requiresGrad: true });
        const inOptions = tensor(start, { requiresGrad: true });
        const penalized = make([inLoss], {});
        const optioned = make([inOptions], { l1: 0.2, weightDecay: 0.3 });
        for (let step = 0; step < 8; step++) {
          F.add(F.mseLoss(inLoss, tensor(1)), F.elasticNet([inLoss], { l1: 0.2, l2: 0.3 })).backward();
          F.mseLoss(inOptions, tensor(1)).backward();
          for (const optimizer of [penalized, optioned]) {
            optimizer.step();
            optimizer.zeroGrad();
          }
          expectClose(inLoss.data(), inOptions.data(), undefined, `step ${step}`);
        }
        penalized.dispose();
        optioned.dispose();
      }));
  }

  test("no gradient of |θ| at 0", () =>
    scope(() => {
      const theta = tensor([0, -2], { requiresGrad: true });
      F.l1Penalty([theta], 0.5).backward();
      expect(theta.grad?.toArray()).toEqual([0, -0.5]);
    }));

  test("wrong arguments are errors", () =>
    scope(() => {
      expect(() => F.l1Penalty([], 1)).toThrow("l1Penalty: parameters must be given, got an empty list");
      expect(() => F.l2Penalty([tensor([1])], Number.NaN)).toThrow("l2Penalty: lambda must be 0 or more, got NaN");
      expect(() => F.elasticNet([tensor([1])], { l1: 1 } as F.ElasticNetOptions)).toThrow(
        /elasticNet: .*got undefined/,
      );
      expect(() => F.elasticNet([tensor([1])], { l1: 1, l2: 1, l3: 1 } as F.ElasticNetOptions)).toThrow(/got l3/);
    }));
});
