import { describe, expect, test } from "vitest";
import { F, memoryStats, optim, scope, tensor } from "../../src/index.js";
import { type Options, sgd } from "./reference.js";
import { checkGolden, checkTrajectory, stepWith } from "./trajectory.js";

const grid: Options[] = [
  { lr: 0.1 },
  { lr: 0.1, weightDecay: 0.2 },
  { lr: 0.1, momentum: 0.9 },
  { lr: 0.05, momentum: 0.9, dampening: 0.3 },
  { lr: 0.05, momentum: 0.7, nesterov: true },
  { lr: 0.05, momentum: 0.7, nesterov: true, weightDecay: 0.1, maximize: true },
  { lr: 0.1, momentum: 0.9, average: true },
  { lr: 0.1, l1: 0.3 },
  { lr: 0.1, momentum: 0.9, l1: 0.3, weightDecay: 0.1 },
  { lr: 0.1, momentum: 0.5, l1: { lambda: 0.5, proximal: true } },
  { lr: 0.1, l1: { lambda: 0.5, proximal: false } },
  { lr: 0.1, maximize: true },
];

describe("SGD", () => {
  for (const options of grid) {
    test(`follows the float64 formulas: ${JSON.stringify(options)}`, () => checkTrajectory("SGD", options, sgd));
  }

  test("PyTorch's values", () => checkGolden("SGD"));

  test("a proximal l1 penalty makes real zeros", () => {
    scope(() => {
      const theta = tensor([0.01, -0.01, 1, -1, 0], { requiresGrad: true });
      const optimizer = new optim.SGD([theta], { lr: 0.1, l1: { lambda: 0.5, proximal: true } });
      stepWith(optimizer, theta, [0, 0, 0, 0, 0]);
      expect([...theta.data()].map((v) => v + 0)).toEqual([0, 0, 0.95, -0.95, 0].map(Math.fround));
    });
  });

  test("large parameters, whose penalties are computed in chunks", () => {
    scope(() => {
      const n = 40_001;
      const theta = tensor(new Float32Array(n).fill(2), { requiresGrad: true });
      const optimizer = new optim.SGD([theta], { lr: 0.5, momentum: 0.5, weightDecay: 0.25 });
      for (let t = 0; t < 2; t++) stepWith(optimizer, theta, new Float32Array(n).fill(1));
      // g = 1 + 2/4, b = 1.5, θ = 1.25; g = 1 + 1.25/4, b = 0.75 + 1.3125, θ = 1.25 − 1.03125
      expect(new Set(theta.data())).toEqual(new Set([0.21875]));
      optimizer.dispose();
    });
  });

  test("parameters without a gradient are left alone", () => {
    scope(() => {
      const [a, b] = [tensor([1], { requiresGrad: true }), tensor([1], { requiresGrad: true })];
      const optimizer = new optim.SGD([a, b], { lr: 1, momentum: 0.9, weightDecay: 1 });
      F.sum(a).backward();
      optimizer.step();
      expect([a.item(), b.item()]).toEqual([-1, 1]);
      expect(optimizer.stateDict().steps).toEqual({ 0: 1 });
      optimizer.dispose();
    });
  });

  test("groups have options of their own", () => {
    scope(() => {
      const [a, b] = [tensor([1], { requiresGrad: true }), tensor([1], { requiresGrad: true })];
      const optimizer = new optim.SGD([{ params: [a], lr: 0.5 }, { params: [b] }], { lr: 0.25 });
      F.sum(F.add(a, b)).backward();
      optimizer.step();
      expect([a.item(), b.item()]).toEqual([0.5, 0.75]);
      optimizer.paramGroups[1].lr = 1;
      optimizer.step();
      expect([a.item(), b.item()]).toEqual([0, -0.25]);
    });
  });

  test("step returns what its closure returns; zeroGrad ends gradients or zeroes them", () => {
    scope(() => {
      const theta = tensor([3], { requiresGrad: true });
      const optimizer = new optim.SGD([theta], { lr: 0.5 });
      const loss = optimizer.step(() => {
        const loss = F.sum(F.mul(theta, theta));
        loss.backward();
        return loss.item();
      });
      expect([loss, theta.item()]).toEqual([9, 0]);
      optimizer.zeroGrad({ setToNone: false });
      expect(theta.grad?.toArray()).toEqual([0]);
      optimizer.zeroGrad();
      expect(theta.grad).toBeNull();
    });
  });

  test("state outlives the scope of the step, and dispose releases it", () => {
    scope(() => {
      const theta = tensor(new Float32Array(1000), { requiresGrad: true });
      const before = memoryStats();
      const optimizer = new optim.SGD([theta], { lr: 0.5, momentum: 0.9 });
      for (let t = 0; t < 3; t++) stepWith(optimizer, theta, new Float32Array(1000).fill(1));
      expect(memoryStats().liveTensors).toBe(before.liveTensors + 1);
      optimizer.dispose();
      expect(memoryStats()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
    });
  });

  test("a step is a change in place, which a kept graph notices", () => {
    scope(() => {
      const theta = tensor([3], { requiresGrad: true });
      const optimizer = new optim.SGD([theta], { lr: 0.5 });
      const loss = F.sum(F.mul(theta, theta));
      loss.backward(undefined, { retainGraph: true });
      optimizer.step();
      expect(() => loss.backward()).toThrow(/changed in place/);
    });
  });

  test("wrong options and parameters are errors", () => {
    scope(() => {
      const theta = tensor([1], { requiresGrad: true });
      const sgdWith = (options: object) => () => new optim.SGD([theta], options as optim.SGDOptions);
      expect(sgdWith({})).toThrow("SGD: lr must be 0 or more, got NaN");
      expect(sgdWith({ lr: -1 })).toThrow("SGD: lr must be 0 or more, got -1");
      expect(sgdWith({ lr: 1, learningRate: 1 })).toThrow(
        /^SGD: options must be among lr, momentum, .*, got learningRate$/,
      );
      expect(sgdWith({ lr: 1, momentum: -1 })).toThrow("SGD: momentum must be 0 or more, got -1");
      expect(sgdWith({ lr: 1, weightDecay: -1 })).toThrow("SGD: weightDecay must be 0 or more, got -1");
      expect(sgdWith({ lr: 1, l1: { lambda: -1 } })).toThrow("SGD: l1 must be 0 or more, got -1");
      expect(sgdWith({ lr: 1, nesterov: true })).toThrow(/nesterov needs momentum/);
      expect(sgdWith({ lr: 1, momentum: 0.5, average: true, dampening: 0.1 })).toThrow(/average must be without/);
      expect(() => new optim.SGD([], { lr: 1 })).toThrow("SGD: parameters must be given, got an empty list");
      expect(() => new optim.SGD([{ params: [theta] }, { params: [theta] }], { lr: 1 })).toThrow(/got one twice/);
      expect(() => new optim.SGD([F.relu(theta)], { lr: 1 })).toThrow(
        "SGD: parameters must be leaves, got the result of relu, [1]",
      );
      expect(() => new optim.SGD([tensor(new Int32Array(1))], { lr: 1 })).toThrow(
        /must be dense and "float32", got "int32"/,
      );
    });
  });
});
