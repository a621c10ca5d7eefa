import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { adam, adamW, type Options } from "./reference.js";
import { checkGolden, checkTrajectory, stepWith } from "./trajectory.js";

const grid: Options[] = [
  { lr: 1e-2 },
  { lr: 1e-2, weightDecay: 0 },
  { lr: 1e-2, weightDecay: 0.3 },
  { lr: 5e-2, betas: [0.5, 0.9] },
  { lr: 5e-2, betas: [0, 0.99], eps: 1e-3 },
  { lr: 1e-2, amsgrad: true, betas: [0.9, 0.6] },
  { lr: 1e-2, maximize: true, weightDecay: 0.1 },
  { lr: 1e-2, l1: 0.3 },
  { lr: 1e-2, l1: { lambda: 2, proximal: true } },
];

describe("AdamW and Adam", () => {
  for (const options of grid) {
    test(`AdamW follows the float64 formulas: ${JSON.stringify(options)}`, () =>
      checkTrajectory("AdamW", options, adamW));
    test(`Adam follows the float64 formulas: ${JSON.stringify(options)}`, () => checkTrajectory("Adam", options, adam));
  }

  test("PyTorch's values", () => {
    checkGolden("AdamW");
    checkGolden("Adam");
  });

  test("training goes on bit for bit from a state dict", () => {
    scope(() => {
      const gradient = (t: number) =>
        Float32Array.from({ length: 5 }, (_, i) => Math.fround(((t * 7 + i * 3) % 11) - 5));
      const theta = tensor([1, 2, 3, 4, 5], { requiresGrad: true });
      const first = new optim.AdamW([theta], { lr: 0.1, amsgrad: true });
      for (let t = 0; t < 3; t++) stepWith(first, theta, gradient(t));
      const copy = tensor(theta.data(), { requiresGrad: true });
      const second = new optim.AdamW([copy], { lr: 9, betas: [0.1, 0.1] });
      const { tensors, ...rest } = first.stateDict();
      expect(Object.keys(tensors)).toEqual(["0.exp_avg", "0.exp_avg_sq", "0.max_exp_avg_sq"]);
      second.loadStateDict({ tensors, ...JSON.parse(JSON.stringify(rest)) });
      for (let t = 3; t < 6; t++) {
        stepWith(first, theta, gradient(t));
        stepWith(second, copy, gradient(t));
        expect(copy.toArray()).toEqual(theta.toArray());
      }
      expect(second.paramGroups[0]).toMatchObject({ lr: 0.1, betas: [0.9, 0.999], amsgrad: true, params: [copy] });
      first.dispose();
      second.dispose();
    });
  });

  test("a state dict that does not fit is refused with every fault, and nothing changes", () => {
    scope(() => {
      const make = (shape: number[]) => {
        const theta = tensor(new Float32Array(shape[0]), { requiresGrad: true });
        const optimizer = new optim.AdamW([theta], { lr: shape[0] });
        stepWith(optimizer, theta, new Float32Array(shape[0]));
        return optimizer;
      };
      const [small, large] = [make([2]), make([3])];
      const state = large.stateDict();
      delete state.tensors["0.exp_avg"];
      expect(() => small.loadStateDict(state)).toThrow(
        /^AdamW.loadStateDict: [\s\S]*missing keys: 0.exp_avg\n[\s\S]*0.exp_avg_sq must have shape \[2\], has \[3\]/,
      );
      expect(small.paramGroups[0].lr).toBe(2);
      expect(() => small.loadStateDict({ ...state, paramGroups: [] })).toThrow(
        "AdamW.loadStateDict: groups must have [1] parameters, got []",
      );
      small.dispose();
      large.dispose();
    });
  });

  test("wrong options are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      expect(() => new optim.AdamW([theta], { betas: [0.9, 1] })).toThrow(
        "AdamW: betas must be two numbers from 0 to below 1, got 0.9 and 1",
      );
      expect(() => new optim.Adam([theta], { eps: -1 })).toThrow("Adam: eps must be 0 or more, got -1");
      expect(() => new optim.AdamW([theta], { lr: Number.NaN })).toThrow("AdamW: lr must be 0 or more, got NaN");
    });
  });
});
