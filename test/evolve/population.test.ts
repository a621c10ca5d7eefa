import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { evolve, F, io, keep, manualSeed, memoryStats, nn, scope, type Tensor, tensor } from "../../src/index.js";

let x: Tensor;
let y: Tensor;
beforeAll(() => {
  scope(() => {
    // biome-ignore format: rows
    x = keep(tensor([[0, 0], [0, 1], [1, 0], [1, 1]]));
    y = keep(tensor([[0], [1], [1], [0]]));
  });
});
afterAll(() => {
  x.dispose();
  y.dispose();
});

const disposables: { dispose(): void }[] = [];
afterEach(() => {
  for (const each of disposables.splice(0)) each.dispose();
});

function mlp(inner = 8): nn.Sequential {
  const model = new nn.Sequential(new nn.Linear(2, inner), new nn.ReLU(), new nn.Linear(inner, 1));
  disposables.push(model);
  return model;
}

function populationOf(model: nn.Module, options: evolve.PopulationOptions = {}): evolve.Population {
  const population = new evolve.Population(model, options);
  disposables.push(population);
  return population;
}

const xorLoss = (model: nn.Sequential) => () => F.mseLoss(model.forward(x), y).item();
const batchedLoss: evolve.LossFunction = (forward) => F.mean(F.square(F.sub(forward(x), y)), { dim: [1, 2] });

function valuesOf(model: nn.Module): number[] {
  return model.parameters().flatMap((parameter) => [...parameter.data()]);
}

function run(population: evolve.Population, lossFn: evolve.LossFunction, generations: number): evolve.Generation[] {
  return Array.from({ length: generations }, () => population.step(lossFn));
}

describe("Population", () => {
  test("solves XOR with every one of ten seeds", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const model = mlp();
      const population = populationOf(model, { seed, batched: true });
      const history = await evolve.fit(population, { generations: 400, lossFn: batchedLoss, target: 0.01 });
      expect(history.stopped, `seed ${seed}`).toBe("target");
      expect(scope(() => [...F.gt(model.forward(x), 0.5).data()])).toEqual([0, 1, 1, 0]);
    }
  });

  test("the best loss never rises, and the model holds the best individual after each step", () => {
    const model = mlp();
    const lossFn = xorLoss(model);
    const generations = run(populationOf(model), () => lossFn(), 3);
    const population = populationOf(model, { seed: 1 });
    let least = Infinity;
    for (let i = 1; i <= 30; i++) {
      const { generation, best, mean, worst, invalid } = population.step(lossFn);
      expect([generation, invalid]).toEqual([i, 0]);
      expect(best).toBeLessThanOrEqual(least);
      expect(best <= mean && mean <= worst).toBe(true);
      expect(scope(lossFn)).toBe(best);
      expect(population.best().loss).toBe(best);
      least = best;
    }
    expect(least).toBeLessThan(generations[0].best);
  });

  test("elites keep their loss: only children are evaluated", () => {
    const model = mlp();
    let calls = 0;
    const lossFn = () => ++calls;
    const population = populationOf(model, { size: 20, elites: 3 });
    expect(population.step(lossFn)).toEqual({ generation: 1, best: 1, mean: 10.5, worst: 20, invalid: 0 });
    expect(population.step(lossFn)).toEqual({
      generation: 2,
      best: 1,
      mean: (1 + 2 + 3 + (17 * (21 + 37)) / 2) / 20,
      worst: 37,
      invalid: 0,
    });
    const anew = populationOf(model, { size: 20, elites: 3, reevaluateElites: true });
    calls = 0;
    run(anew, lossFn, 2);
    expect(calls).toBe(40);
  });

  test("weights are 0 or ±scale · 2^(e − 7), with a scale for each tensor from its layer's fan-in", () => {
    const model = new nn.Sequential(
      new nn.Linear(16, 64),
      new nn.LayerNorm([64]),
      new nn.Linear(64, 1, { bias: false }),
    );
    disposables.push(model);
    const population = populationOf(model, { size: 2, elites: 1 });
    population.step(() => 0);
    const scales = { "0.weight": 1, "0.bias": 1, "1.weight": 4, "1.bias": 4, "2.weight": 0.5 };
    const { parameters } = population.best();
    expect(Object.fromEntries(Object.entries(parameters).map(([path, { scale }]) => [path, scale]))).toEqual(scales);
    for (const [path, parameter] of model.namedParameters()) {
      const { codes, scale } = parameters[path];
      const expected = [...codes].flatMap((byte) =>
        [byte >> 4, byte & 15].map((code) => (code & 7 ? (code & 8 ? -1 : 1) * scale * 2 ** ((code & 7) - 7) : 0)),
      );
      expect([...parameter.data()], path).toEqual(expected.slice(0, parameter.size));
      expect(new Set(parameter.data()).size, path).toBeGreaterThan(5);
    }
  });

  test("scale is a number for all tensors, or a function of fan-in and path", () => {
    const model = mlp();
    const largest = () => model.parameters().map((p) => Math.max(...p.data().map(Math.abs)));
    populationOf(model, { size: 200, scale: 3 }).step(() => -Math.max(...largest()));
    expect(Math.max(...largest())).toBe(3);
    const asked: [number, string][] = [];
    const scale = (fanIn: number, path: string) => asked.push([fanIn, path]);
    const population = populationOf(model, { scale });
    population.step(() => 0);
    // biome-ignore format: rows
    expect(asked).toEqual([[2, "0.weight"], [2, "0.bias"], [8, "2.weight"], [8, "2.bias"]]);
    expect(Object.values(population.best().parameters).map((p) => p.scale)).toEqual([1, 2, 3, 4]);
  });

  test("memory is the packed codes and the model: half a byte per weight and individual", () => {
    scope(() => {
      const before = memoryStats().liveBytes;
      const model = mlp(512); // 2,049 weights
      const modelBytes = memoryStats().liveBytes - before;
      const population = populationOf(model, { size: 64 });
      const lossFn = xorLoss(model);
      const bound = before + modelBytes + 64 * Math.ceil(2049 / 2 + 16) + 256;
      let during = 0;
      const watched = () => {
        during = Math.max(during, memoryStats().liveBytes);
        return lossFn();
      };
      run(population, watched, 3);
      expect(during).toBeLessThanOrEqual(1.25 * bound); // blocks are a quarter larger at the most
      expect(memoryStats().liveBytes).toBeLessThanOrEqual(1.25 * bound);
      const { liveTensors } = memoryStats();
      run(population, lossFn, 3);
      expect(memoryStats().liveTensors).toBe(liveTensors);
    });
  });

  test("nothing is recorded, and there are no gradients", () => {
    const model = mlp();
    populationOf(model, { size: 4 }).step(() => {
      expect(model.forward(x).requiresGrad).toBe(false);
      return 1;
    });
    expect(model.parameters().map((p) => [p.grad, p.requiresGrad])).toEqual(Array(4).fill([null, true]));
  });

  test("frozen parameters and buffers stay as they are", () => {
    const model = new nn.Sequential(new nn.Linear(2, 4), new nn.BatchNorm1d(4), new nn.Linear(4, 1));
    disposables.push(model);
    model.eval();
    model.getSubmodule("0").requiresGrad_(false);
    const frozen = () => [
      ...model
        .getSubmodule("0")
        .parameters()
        .flatMap((p) => [...p.data()]),
      ...model.buffers().flatMap((b) => [...b.data()]),
    ];
    const before = frozen();
    const population = populationOf(model);
    run(population, () => F.mseLoss(model.forward(x), y).item(), 3);
    expect(frozen()).toEqual(before);
    expect(Object.keys(population.best().parameters)).toEqual(["1.weight", "1.bias", "2.weight", "2.bias"]);
  });

  test("a seed gives the same run again, whatever else draws random numbers; another seed another", () => {
    const runs = [4, 4, 5].map((seed, i) => {
      manualSeed(i);
      const model = mlp();
      const generations = run(populationOf(model, { seed, size: 30 }), xorLoss(model), 5);
      return [generations, valuesOf(model)];
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).not.toEqual(runs[0]);
  });

  test("a seed gives the same codes in every runtime and variant", () => {
    const model = mlp();
    const options = { size: 30, seed: 12345, islands: 3, selfAdaptingRate: true, parents: "tournament" } as const;
    const population = populationOf(model, options);
    const distance = () => valuesOf(model).reduce((sum, value) => sum + Math.abs(value - 0.25), 0);
    run(population, distance, 25);
    const codes = Object.values(population.best().parameters).flatMap((parameter) => [...parameter.codes]);
    // what Node's run with baseline kernels gave
    expect(codes).toEqual([131, 164, 35, 51, 184, 67, 40, 137, 26, 35, 72, 56, 85, 67, 83, 35, 72]);
  });

  const variants: evolve.PopulationOptions[] = [
    { crossover: "none" },
    { children: 2 },
    { children: 2, size: 51, elites: 2 },
    { parents: "uniform" },
    { parents: "tournament" },
    { parents: "tournament", tournamentSize: 5 },
    { selfAdaptingRate: true },
    { islands: 5, migrationInterval: 2, migrants: 2 },
    { elites: 1, mutationRate: 0 },
    { batched: 7 },
  ];
  for (const options of variants) {
    test(`learns with ${JSON.stringify(options)}, and a seed repeats it`, () => {
      const [first, again] = [1, 2].map(() => {
        const model = mlp();
        const lossFn = options.batched ? batchedLoss : xorLoss(model);
        return [run(populationOf(model, { size: 50, ...options }), lossFn, 30), valuesOf(model)] as const;
      });
      expect(again).toEqual(first);
      const [generations] = first;
      for (let i = 1; i < 30; i++) expect(generations[i].best).toBeLessThanOrEqual(generations[i - 1].best);
      expect(generations[29].best).toBeLessThan(0.75 * generations[0].best);
    });
  }

  test("without mutation, every code is a parent's", () => {
    const model = mlp();
    const population = populationOf(model, { size: 2, elites: 0, mutationRate: 0 });
    const seen: number[][] = [];
    const lossFn = () => seen.push(valuesOf(model));
    run(population, lossFn, 2);
    const [a, b, ...children] = seen;
    expect(children.length).toBe(2);
    for (const child of children) {
      expect(child.every((value, i) => value === a[i] || value === b[i])).toBe(true);
      expect(child).not.toEqual(a);
      expect(child).not.toEqual(b);
    }
  });

  test("with two children, what one takes from a parent the other takes from the other", () => {
    const model = mlp();
    const population = populationOf(model, { size: 2, elites: 0, mutationRate: 0, children: 2 });
    const seen: number[][] = [];
    run(population, () => seen.push(valuesOf(model)), 2);
    const [a, b, first, second] = seen;
    for (const i of a.keys()) expect([first[i], second[i]].sort()).toEqual([a[i], b[i]].sort());
  });

  test("islands have children of their own only, until migrants come", () => {
    const model = mlp();
    const options = { size: 12, islands: 3, elites: 1, mutationRate: 0, crossover: "none" } as const;
    const seen: string[] = [];
    const lossFn = () => seen.push(valuesOf(model).join());
    const population = populationOf(model, { ...options, migrationInterval: 3 });
    const islandsOf = (individuals: readonly string[], extent: number) =>
      [0, 1, 2].map((k) => new Set(individuals.slice(k * extent, (k + 1) * extent)));
    run(population, lossFn, 3);
    const natives = islandsOf(seen.slice(0, 12), 4);
    for (const start of [12, 21])
      for (const [k, island] of islandsOf(seen.slice(start, start + 9), 3).entries())
        for (const individual of island) expect(natives[k].has(individual)).toBe(true);
    run(population, lossFn, 4);
    const foreign = islandsOf(seen.slice(30), 12).flatMap((island, k) => [...island].filter((i) => !natives[k].has(i)));
    expect(foreign.length).toBeGreaterThan(0);
  });

  test("the first generation can be the model and mutants of it", () => {
    const model = mlp();
    scope(() => model.parameters()[0].set(new Float32Array(16).fill(0.7)));
    const population = populationOf(model, { initial: "model", size: 10, elites: 1 });
    const seen: number[][] = [];
    population.step(() => seen.push(valuesOf(model).slice(0, 16)));
    const nearest = Math.fround(4 / Math.sqrt(2)) / 4;
    expect(seen[0]).toEqual(Array(16).fill(nearest));
    const changed = seen
      .slice(1)
      .flat()
      .filter((value) => value !== nearest).length;
    expect(changed).toBeGreaterThan(0);
    expect(changed).toBeLessThan(30); // 9 · 16 codes of four bits, one in a hundred flipped
  });

  test("all individuals as one batched product have the losses that they have one by one", () => {
    const model = new nn.Sequential(
      new nn.Linear(2, 9),
      new nn.Sequential(new nn.Tanh(), new nn.Linear(9, 5, { bias: false })),
      new nn.Softmax(),
      new nn.Linear(5, 1),
    );
    disposables.push(model);
    model.getSubmodule("3").requiresGrad_(false);
    const lossFn = () => F.mseLoss(model.forward(x), y).item();
    const single = run(populationOf(model, { size: 20 }), lossFn, 5);
    for (const batched of [true, 7]) {
      const together = run(populationOf(model, { size: 20, batched }), batchedLoss, 5);
      for (const [i, { best, mean, worst }] of together.entries()) {
        // float32 sums in another order
        expect(Math.abs(best - single[i].best)).toBeLessThan(1e-5 * best);
        expect(Math.abs(mean - single[i].mean)).toBeLessThan(1e-5 * mean);
        expect(Math.abs(worst - single[i].worst)).toBeLessThan(1e-5 * worst);
      }
    }
  });

  test("lists of losses do, too; without batched, forward is the model's", () => {
    const model = mlp();
    const list = populationOf(model, { size: 3, elites: 1, batched: true });
    expect(list.step(() => [3, 1, 2])).toMatchObject({ best: 1, worst: 3 });
    const plain = populationOf(model, { size: 3, elites: 1 });
    const { best } = plain.step((forward) => F.mseLoss(forward(x), y).item());
    expect(best).toBe(scope(xorLoss(model)));
  });
});

describe("a population's state", () => {
  test("is resumed bit for bit", () => {
    const options = { size: 24, islands: 2, selfAdaptingRate: true, parents: "tournament" } as const;
    const model = mlp();
    const whole = populationOf(model, { ...options, seed: 3 });
    const lossFn = xorLoss(model);
    run(whole, lossFn, 5);
    scope(() => {
      const state = whole.stateDict();
      const text = JSON.stringify({ ...state, tensors: null });
      const rest = run(whole, lossFn, 5);
      const values = valuesOf(model);
      const other = mlp();
      const resumed = populationOf(other, { ...options, seed: 99 });
      resumed.loadStateDict({ ...JSON.parse(text), tensors: state.tensors });
      expect(run(resumed, xorLoss(other), 5)).toEqual(rest);
      expect(valuesOf(other)).toEqual(values);
    });
  });

  test("is part of a checkpoint, with losses that are not finite", async () => {
    const model = mlp();
    const population = populationOf(model, { size: 6 });
    const losses = [Number.NaN, Infinity, 2, 1, -Infinity, 5];
    population.step(() => losses.pop() as number);
    let file = new Uint8Array();
    const save = (bytes: Uint8Array<ArrayBuffer>) => void (file = bytes);
    await io.saveCheckpoint(save, { model, optimizer: population });
    const other = mlp();
    const restored = populationOf(other, { size: 6 });
    await io.loadCheckpoint(file, { model: other, optimizer: restored });
    expect(restored.best()).toEqual(population.best());
    expect(valuesOf(other)).toEqual(valuesOf(model));
    const next = [model, other].map((each, i) => [population, restored][i].step(xorLoss(each as nn.Sequential)));
    expect(next[1]).toEqual(next[0]);
    expect(next[0].best).toBe(-Infinity);
  });

  test("of another size or model does not load, and nothing changes", () => {
    const model = mlp();
    const population = populationOf(model, { size: 6 });
    population.step(xorLoss(model));
    scope(() => {
      const before = JSON.stringify(population.best());
      const state = population.stateDict();
      const other = populationOf(mlp(100), { size: 6 });
      expect(() => population.loadStateDict(other.stateDict())).toThrow(
        /Population\.loadStateDict: codes must be uint8 \[6, 32\], got uint8 \[6, \d+\]/,
      );
      expect(() => population.loadStateDict({ ...state, losses: [1] })).toThrow(
        "6 losses and rates must be given, got 1",
      );
      expect(() => population.loadStateDict({ ...state, seed: -1 })).toThrow("seed");
      expect(() => population.loadStateDict({ ...state, generation: 0.5 })).toThrow(
        "Population.loadStateDict: generation must be a whole number from 0, got 0.5",
      );
      expect(() => population.loadStateDict({ ...state, rates: [...state.rates.slice(1), 9] })).toThrow(
        "Population.loadStateDict: rates must be from 0 to 1, got 9",
      );
      expect(JSON.stringify(population.best())).toBe(before);
    });
  });
});

describe("bad input", () => {
  test("options out of range are errors that say what must hold", () => {
    const model = mlp();
    const cases: [evolve.PopulationOptions, string][] = [
      [{ size: 1 }, "Population: size must be a whole number from 2, got 1"],
      [{ size: 2.5 }, "size must be a whole number from 2, got 2.5"],
      [{ size: 4, elites: 4 }, "elites must be a whole number from 0 and below 4, got 4"],
      [{ elites: -1 }, "elites must be"],
      [{ mutationRate: 1.5 }, "mutationRate must be from 0 to 1, got 1.5"],
      [{ mutationRate: Number.NaN }, "mutationRate must be from 0 to 1, got NaN"],
      [{ islands: 3 }, "islands must be equal parts, of 2 or more, of 100, got 3"],
      [{ islands: 100 }, "islands must be equal parts"],
      [{ islands: 20, elites: 5 }, "elites must be a whole number from 0 and below 5, got 5"],
      [{ islands: 20, migrants: 5 }, "migrants must be"],
      [{ migrationInterval: 0 }, "migrationInterval must be"],
      [{ tournamentSize: 0 }, "tournamentSize must be"],
      [{ batched: 0 }, "batched must be"],
      [{ scale: 0 }, "the scale must be finite and above 0, got 0 for 0.weight"],
      [{ scale: () => Number.NaN }, "got NaN for 0.weight"],
      [{ seed: -1 }, "seed must be a whole number from 0, got -1"],
      [{ crossover: "point" as "none" }, 'crossover must be "uniform" or "none", got "point"'],
      [{ children: 3 as 2 }, "children must be 1 or 2, got 3"],
      [{ parents: "best" as "uniform" }, 'parents must be "fitness" or "uniform" or "tournament", got "best"'],
      [{ scheme: "nf4" as "log4" }, 'scheme must be "log4", got "nf4"'],
      [{ initial: "zero" as "model" }, 'initial must be "random" or "model", got "zero"'],
      [{ rate: 1 } as evolve.PopulationOptions, "got rate"],
    ];
    const before = [memoryStats().liveBytes, memoryStats().liveTensors, valuesOf(model)];
    for (const [options, message] of cases)
      expect(() => new evolve.Population(model, options), JSON.stringify(options)).toThrow(message);
    expect([memoryStats().liveBytes, memoryStats().liveTensors, valuesOf(model)]).toEqual(before);
  });

  test("a model without parameters to evolve", () => {
    expect(() => new evolve.Population(new nn.ReLU())).toThrow("must have a parameter to evolve, got none");
    const model = mlp().requiresGrad_(false);
    expect(() => new evolve.Population(model)).toThrow("got 4 that are frozen; use requiresGrad_()");
  });

  test("a first generation of a model whose values are not finite, or all 0", () => {
    const model = mlp();
    model.parameters()[1].set([0, 0, Number.NaN, 0, 0, 0, 0, 0]);
    const { liveBytes } = memoryStats();
    const make = () => new evolve.Population(model, { initial: "model" });
    expect(make).toThrow("Population: the model's values must be finite, got NaN in 0.bias");
    for (const parameter of model.parameters()) parameter.set(new Float32Array(parameter.size));
    expect(make).toThrow("the model must have a value other than 0, got zeros alone");
    expect(memoryStats().liveBytes).toBe(liveBytes);
    expect(populationOf(model).step(xorLoss(model)).best).toBeLessThan(1); // random codes do not ask for values
  });

  test("individuals whose loss is NaN or no number rank last and are counted", () => {
    const model = mlp();
    const losses: unknown[] = [Number.NaN, 3, "1", 2, undefined, Infinity];
    const population = populationOf(model, { size: 6, elites: 2 });
    const given = [...losses];
    const generation = population.step(() => given.shift() as number);
    expect(generation).toEqual({ generation: 1, best: 2, mean: Infinity, worst: Infinity, invalid: 3 });
    expect(population.step(() => Number.NaN)).toMatchObject({ best: 2, worst: 3, invalid: 4 });
  });

  test("without any loss there is an error; model and population go on", () => {
    const model = mlp();
    const before = valuesOf(model);
    const population = populationOf(model, { size: 6 });
    const tensorLoss = (() => F.mseLoss(model.forward(x), y)) as unknown as evolve.LossFunction;
    for (const lossFn of [() => Number.NaN, tensorLoss]) {
      expect(() => population.step(lossFn)).toThrow(
        "Population: lossFn must give a number for some individual, got NaN or no number for all 6",
      );
      expect(valuesOf(model)).toEqual(before);
    }
    expect(population.step(xorLoss(model))).toEqual(populationOf(model, { size: 6 }).step(xorLoss(model)));
  });

  test("a promise for a loss is an error", async () => {
    const model = mlp();
    const before = valuesOf(model);
    const population = populationOf(model, { size: 6 });
    const asynchronous = (async () => {
      throw new Error("never seen");
    }) as unknown as () => number;
    expect(() => population.step(asynchronous)).toThrow(
      "Population: lossFn must return its loss at once, got a promise; await what it needs before the step",
    );
    await expect(evolve.fit(population, { generations: 1, lossFn: asynchronous })).rejects.toThrow("got a promise");
    expect(() => population.step(3 as unknown as () => number)).toThrow("lossFn must be a function, got number");
    expect(valuesOf(model)).toEqual(before);
    expect(population.step(xorLoss(model)).generation).toBe(1);
  });

  test("after an error in lossFn the model holds the best so far, and the generation goes on where it was", () => {
    const results = [false, true].map((fails) => {
      const model = mlp();
      const population = populationOf(model, { size: 12, seed: 2 });
      const lossFn = xorLoss(model);
      const { best } = population.step(lossFn);
      let calls = 0;
      const failing = () => {
        if (++calls === 5) throw new Error("out of data");
        return lossFn();
      };
      if (fails) {
        expect(() => population.step(failing)).toThrow("out of data");
        expect(scope(lossFn)).toBeLessThanOrEqual(best);
      }
      return [population.step(lossFn), population.step(lossFn), valuesOf(model)];
    });
    expect(results[1]).toEqual(results[0]);
  });

  test("a step inside a step, and reading state inside one, are errors", () => {
    const model = mlp();
    const population = populationOf(model, { size: 4 });
    expect(() => population.step(() => population.step(() => 1).best)).toThrow("got a step inside a step");
    expect(() => population.step(() => population.best().loss)).toThrow("best must be called between generations");
    expect(population.step(() => 1).best).toBe(1);
    expect(() => populationOf(mlp()).best()).toThrow("best must follow a step, got a population without losses");
  });

  test("a model that has changed in between", () => {
    const model = mlp();
    const population = populationOf(model, { size: 4 });
    const layer = model.getSubmodule("2");
    population.step(() => 1);
    model.setSubmodule("2", new nn.Linear(8, 1));
    expect(() => population.step(() => 1)).toThrow(
      "Population: the model must keep the parameters it had at first, got 2.weight gone, 2.bias gone, 2.weight new, 2.bias new",
    );
    model.getSubmodule("2").dispose();
    model.setSubmodule("2", layer);
    expect(population.step(() => 1).generation).toBe(2);
    model.dispose();
    expect(() => population.step(() => 1)).toThrow("released");
  });

  test("what is no chain of linear layers and activations cannot be batched", () => {
    const cases: [nn.Module, string][] = [
      [new nn.Sequential(new nn.Linear(2, 2), new nn.Dropout(0.5)), "got Dropout"],
      [new nn.Sequential(new nn.Linear(2, 2), new nn.Softmax(0)), "got Softmax"],
      [new nn.LSTM(2, 2), "got LSTM"],
    ];
    for (const [model, got] of cases) {
      disposables.push(model);
      expect(() => new evolve.Population(model, { batched: true })).toThrow(
        `Population: with batched, the model must be a Sequential of Linear layers and activations, ${got}`,
      );
    }
    const population = populationOf(mlp(), { size: 4, batched: true });
    expect(() => population.step(() => [1, 2])).toThrow("with batched, lossFn must return 4 losses, got 2");
    expect(() => population.step(() => 1)).toThrow("must return 4 losses, got number");
    expect(() => population.step((forward) => forward(tensor([1, 2])))).toThrow(
      "inputs must have the shape [rows, in]",
    );
  });
});
