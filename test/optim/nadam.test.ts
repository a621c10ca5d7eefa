import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { nadam, type Options } from "./reference.js";
import { checkOptimizer } from "./trajectory.js";

const grid: Options[] = [
  { lr: 0.01 },
  { lr: 0.01, weightDecay: 0.1 },
  { lr: 0.01, betas: [0.8, 0.95], momentumDecay: 0.1 },
  { lr: 0.01, eps: 1e-3, l1: 0.2 },
  { lr: 0.01, l1: { lambda: 2, proximal: true } },
  { lr: 0.01, maximize: true },
];

describe("NAdam", () => {
  checkOptimizer("NAdam", grid, nadam);

  test("wrong options are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      expect(() => new optim.NAdam([theta], { betas: [1, 0.9] })).toThrow(
        "NAdam: betas must be two numbers from 0 to below 1, got 1 and 0.9",
      );
      expect(() => new optim.NAdam([theta], { momentumDecay: -1 })).toThrow(
        "NAdam: momentumDecay must be 0 or more, got -1",
      );
    });
  });
});
