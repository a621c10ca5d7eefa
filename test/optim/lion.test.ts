import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { lion, type Options } from "./reference.js";
import { checkOptimizer } from "./trajectory.js";

const grid: Options[] = [
  { lr: 0.01 },
  { lr: 0.01, weightDecay: 0.5 },
  { lr: 0.01, betas: [0.5, 0.8] },
  { lr: 0.01, betas: [0, 0], l1: 0.2 },
  { lr: 0.01, l1: { lambda: 2, proximal: true } },
  { lr: 0.01, maximize: true },
];

describe("Lion", () => {
  checkOptimizer("Lion", grid, lion);

  test("wrong options are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      expect(() => new optim.Lion([theta], { betas: [0.9, -1] })).toThrow(
        "Lion: betas must be two numbers from 0 to below 1, got 0.9 and -1",
      );
      expect(() => new optim.Lion([theta], { weightDecay: -1 })).toThrow("Lion: weightDecay must be 0 or more, got -1");
    });
  });
});
