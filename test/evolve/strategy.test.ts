import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { centeredRanks } from "../../src/evolve/selection.js";
import { evolve, F, keep, memoryStats, nn, optim, scope, type Tensor, tensor } from "../../src/index.js";

let x: Tensor;
let y: Tensor;
let model: nn.Sequential;
beforeEach(() => {
  scope(() => {
    // biome-ignore format: rows
    x = keep(tensor([[0, 0], [0, 1], [1, 0], [1, 1]]));
    y = keep(tensor([[0], [1], [1], [0]]));
  });
  model = new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 1));
});
afterEach(() => {
  for (const each of [x, y, model]) each.dispose();
});

const xorLoss = () => F.mseLoss(model.forward(x), y).item();
const values = () => model.parameters().flatMap((parameter) => [...parameter.data()]);

describe("EvolutionStrategy", () => {
  test("learns XOR by plain descent, and faster with an optimizer", async () => {
    const options = { generations: 300, lossFn: xorLoss, target: 0.01 };
    const plain = await evolve.fit(new evolve.EvolutionStrategy(model), options);
    expect(plain.stopped).toBe("target");
    expect(scope(() => [...F.gt(model.forward(x), 0.5).data()])).toEqual([0, 1, 1, 0]);
    model.dispose();
    model = new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 1));
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.1 });
    const adam = await evolve.fit(new evolve.EvolutionStrategy(model, { optimizer }), options);
    optimizer.dispose();
    expect(adam.stopped).toBe("target");
    expect(adam.generations.length).toBeLessThan(plain.generations.length);
    expect(model.parameters().map(({ grad }) => grad)).toEqual([null, null, null, null]);
  });

  test("individuals lie in pairs on both sides of the weights, σ away", () => {
    const center = values();
    const seen: number[][] = [];
    const strategy = new evolve.EvolutionStrategy(model, { size: 200, sigma: 0.5, lr: 0 });
    strategy.step(() => seen.push(values()));
    const steps: number[] = [];
    for (let k = 0; k < 200; k += 2) {
      for (const [i, middle] of center.entries()) {
        expect((seen[k][i] + seen[k + 1][i]) / 2).toBeCloseTo(middle, 5);
        steps.push((seen[k][i] - middle) / 0.5);
      }
    }
    const n = steps.length;
    expect(Math.abs(steps.reduce((sum, e) => sum + e, 0) / n)).toBeLessThan(4 / Math.sqrt(n));
    // four standard errors: the variance of ε² is 2
    expect(Math.abs(steps.reduce((sum, e) => sum + e * e, 0) / n - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(values()).toEqual(center);
  });

  test("the step is the rank-shaped sum of the noise", () => {
    const center = values();
    const seen: number[][] = [];
    const losses = [5, 1, 4, 4, 2, Number.NaN];
    const options = { size: 6, sigma: 0.25, lr: 0.125, seed: 3 };
    const given = [...losses];
    const lossFn = () => {
      seen.push(values());
      return given.shift() as number;
    };
    const generation = new evolve.EvolutionStrategy(model, options).step(lossFn);
    expect(generation).toEqual({ generation: 1, best: 1, mean: 16 / 5, worst: 5, invalid: 1 });
    const ranks = [4, 0, 2.5, 2.5, 1, 5].map((rank) => rank / 5 - 0.5);
    const moved = values();
    for (const [i, middle] of center.entries()) {
      const noise = seen.map((individual) => (individual[i] - middle) / 0.25);
      const gradient = noise.reduce((sum, e, k) => sum + ranks[k] * e, 0) / (6 * 0.25);
      expect(moved[i]).toBeCloseTo(middle - 0.125 * gradient, 5);
    }
  });

  test("equal losses share a rank, so that a plateau moves nothing", () => {
    expect(centeredRanks([3, 1, 1, 2, 1])).toEqual([0.5, -0.25, -0.25, 0.25, -0.25]);
    const before = values();
    new evolve.EvolutionStrategy(model).step(() => 1);
    expect(values()).toEqual(before);
  });

  test("a seed gives the same run again; a state goes on bit for bit", () => {
    const before = model.parameters().map((parameter) => parameter.data());
    const reset = () => model.parameters().forEach((parameter, i) => void parameter.set(before[i]));
    const run = (strategy: evolve.EvolutionStrategy, steps: number) =>
      Array.from({ length: steps }, () => strategy.step(xorLoss));
    const whole = run(new evolve.EvolutionStrategy(model, { seed: 7, size: 20 }), 6);
    const end = values();
    reset();
    const first = new evolve.EvolutionStrategy(model, { seed: 7, size: 20 });
    const half = run(first, 3);
    const resumed = new evolve.EvolutionStrategy(model, { seed: 8, size: 20 });
    resumed.loadStateDict(JSON.parse(JSON.stringify(first.stateDict())));
    expect([...half, ...run(resumed, 3)]).toEqual(whole);
    expect(values()).toEqual(end);
  });

  test("memory is the model alone", () => {
    const before = memoryStats();
    new evolve.EvolutionStrategy(model, { size: 10 }).step(xorLoss);
    const { liveBytes, liveTensors } = memoryStats();
    expect([liveBytes, liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
  });

  test("errors leave the model as it was", () => {
    const other = new nn.Linear(2, 2);
    const elsewhere = new optim.SGD(other.parameters(), { lr: 0.1 });
    const cases: [evolve.EvolutionStrategyOptions, string][] = [
      [{ size: 7 }, "EvolutionStrategy: size must be an even number from 2, got 7"],
      [{ sigma: 0 }, "sigma must be above 0 and finite, got 0"],
      [{ lr: Number.NaN }, "lr must be 0 or more and finite, got NaN"],
      [{ seed: 0.5 }, "seed must be a whole number from 0, got 0.5"],
      [{ optimizer: 3 } as unknown as evolve.EvolutionStrategyOptions, "optimizer must be one of optim, got 3"],
      [{ optimizer: elsewhere }, "optimizer must be made for the model's parameters, got another's"],
      [{ rate: 1 } as evolve.EvolutionStrategyOptions, "got rate"],
    ];
    for (const [options, message] of cases) expect(() => new evolve.EvolutionStrategy(model, options)).toThrow(message);
    elsewhere.dispose();
    other.dispose();
    const before = values();
    const strategy = new evolve.EvolutionStrategy(model, { size: 4 });
    let calls = 0;
    const failing = () => {
      if (++calls === 3) throw new Error("out of data");
      return 1;
    };
    expect(() => strategy.step(failing)).toThrow("out of data");
    expect(() => strategy.step(() => Number.NaN)).toThrow("got NaN or no number for all 4");
    expect(() => strategy.step((async () => 1) as unknown as () => number)).toThrow("got a promise");
    expect(values()).toEqual(before);
    expect(strategy.step(xorLoss).generation).toBe(1);
    model.parameters()[0].set(new Float32Array(16).fill(Infinity));
    expect(() => new evolve.EvolutionStrategy(model)).toThrow("values must be finite, got Infinity in 0.weight");
  });
});
