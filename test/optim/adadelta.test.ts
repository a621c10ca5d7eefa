import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { adadelta, type Options } from "./reference.js";
import { checkOptimizer } from "./trajectory.js";

const grid: Options[] = [
  { lr: 1 },
  { lr: 0.5, rho: 0.5, weightDecay: 0.1 },
  { lr: 1, eps: 1e-2, l1: 0.2 },
  { lr: 1, l1: { lambda: 0.01, proximal: true } },
  { lr: 1, maximize: true },
];

describe("Adadelta", () => {
  checkOptimizer("Adadelta", grid, adadelta);

  test("wrong options are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      expect(() => new optim.Adadelta([theta], { rho: 1.5 })).toThrow("Adadelta: rho must be from 0 to 1, got 1.5");
      expect(() => new optim.Adadelta([theta], { eps: -1 })).toThrow("Adadelta: eps must be 0 or more, got -1");
    });
  });
});
