import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { type Options, rmsprop } from "./reference.js";
import { checkOptimizer } from "./trajectory.js";

const grid: Options[] = [
  { lr: 0.02 },
  { lr: 0.02, alpha: 0.9, weightDecay: 0.1 },
  { lr: 0.02, momentum: 0.9 },
  { lr: 0.02, centered: true, eps: 1e-3 },
  { lr: 0.02, alpha: 0.8, centered: true, momentum: 0.5, eps: 0.01 },
  { lr: 0.02, l1: 0.2, maximize: true },
  { lr: 0.02, momentum: 0.5, l1: { lambda: 0.5, proximal: true } },
];

describe("RMSprop", () => {
  checkOptimizer("RMSprop", grid, rmsprop);

  test("wrong options are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      expect(() => new optim.RMSprop([theta], { alpha: 1 })).toThrow("RMSprop: alpha must be from 0 to below 1, got 1");
      expect(() => new optim.RMSprop([theta], { momentum: -1 })).toThrow("RMSprop: momentum must be 0 or more, got -1");
      expect(() => new optim.RMSprop([theta], { eps: -1 })).toThrow("RMSprop: eps must be 0 or more, got -1");
    });
  });
});
