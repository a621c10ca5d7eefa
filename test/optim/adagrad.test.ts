import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { adagrad, type Options } from "./reference.js";
import { checkOptimizer } from "./trajectory.js";

const grid: Options[] = [
  { lr: 0.1 },
  { lr: 0.1, lrDecay: 0.2, weightDecay: 0.1 },
  { lr: 0.1, eps: 0.1, l1: 0.2 },
  { lr: 0.1, l1: { lambda: 0.5, proximal: true } },
  { lr: 0.1, maximize: true },
];

describe("Adagrad", () => {
  checkOptimizer("Adagrad", grid, adagrad);

  test("wrong options are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      expect(() => new optim.Adagrad([theta], { lrDecay: -1 })).toThrow("Adagrad: lrDecay must be 0 or more, got -1");
      expect(() => new optim.Adagrad([theta], { eps: Number.NaN })).toThrow("Adagrad: eps must be 0 or more, got NaN");
      expect(() => new optim.Adagrad([theta], { lr: Number.NaN })).toThrow("Adagrad: lr must be 0 or more, got NaN");
    });
  });
});
