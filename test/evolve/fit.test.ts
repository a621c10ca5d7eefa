import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { evolve, nn } from "../../src/index.js";

let model: nn.Linear;
let population: evolve.Population;
beforeEach(() => {
  model = new nn.Linear(2, 2);
  population = new evolve.Population(model, { size: 10 });
});
afterEach(() => {
  population.dispose();
  model.dispose();
});

const sum = () => model.weight.data().reduce((a, b) => a + b, 0);

describe("evolve.fit", () => {
  test("steps as often as asked, and tells each generation", async () => {
    const told: evolve.Generation[] = [];
    const onGeneration = async (generation: evolve.Generation) => {
      expect(sum()).toBe(generation.best);
      await null;
      told.push(generation);
    };
    const history = await evolve.fit(population, { generations: 5, lossFn: sum, onGeneration });
    expect(history).toEqual({ generations: told, stopped: "completed" });
    expect(told.map(({ generation }) => generation)).toEqual([1, 2, 3, 4, 5]);
    const other = new evolve.Population(model, { size: 10 });
    expect(told).toEqual(told.map(() => other.step(sum)));
    other.dispose();
  });

  test("ends when the target is reached", async () => {
    const history = await evolve.fit(population, { generations: 500, lossFn: sum, target: -8 });
    expect(history.stopped).toBe("target");
    const best = history.generations.map((generation) => generation.best);
    expect(best.at(-1)).toBeLessThanOrEqual(-8);
    expect(best.slice(0, -1).every((loss) => loss > -8)).toBe(true);
  });

  test("ends when patience does", async () => {
    const history = await evolve.fit(population, { generations: 50, lossFn: () => 1, patience: 4 });
    expect([history.stopped, history.generations.length]).toEqual(["patience", 5]);
  });

  test("an abort ends it after the present individual; a later fit goes on there", async () => {
    const controller = new AbortController();
    let calls = 0;
    const slow = () => {
      const end = performance.now() + 5;
      while (performance.now() < end);
      if (++calls === 4) setTimeout(() => controller.abort());
      return sum();
    };
    const { signal } = controller;
    const aborted = await evolve.fit(population, { generations: 3, lossFn: slow, signal });
    expect(aborted.stopped).toBe("aborted");
    expect(calls).toBeLessThan(26);
    expect(sum()).toBe(population.best().loss);
    const [first] = aborted.generations;
    const other = new evolve.Population(model, { size: 10 });
    const expected = [1, 2, 3].map(() => other.step(sum));
    other.dispose();
    const { generations } = await evolve.fit(population, { generations: first ? 2 : 3, lossFn: sum });
    expect([...aborted.generations, ...generations].slice(0, 3)).toEqual(expected);
  });

  test("an aborted signal lets nothing begin", async () => {
    const before = model.weight.data();
    const signal = AbortSignal.abort();
    expect(await evolve.fit(population, { generations: 3, lossFn: sum, signal })).toEqual({
      generations: [],
      stopped: "aborted",
    });
    expect(model.weight.data()).toEqual(before);
  });

  test("gives way to events within a generation, with the best so far in the model", async () => {
    const seen: [number, number][] = [];
    let least = Infinity;
    const timer = setInterval(() => seen.push([sum(), least]), 1);
    const slow = () => {
      const end = performance.now() + 8;
      while (performance.now() < end);
      least = Math.min(least, sum());
      return sum();
    };
    await evolve.fit(population, { generations: 1, lossFn: slow });
    clearInterval(timer);
    expect(seen.length).toBeGreaterThan(0);
    for (const [held, best] of seen) expect(held).toBe(best);
  });

  test("errors name what must hold; an error in a callback ends it", async () => {
    const cases: [object, string][] = [
      [{ generations: -1 }, "fit: generations must be a whole number from 0, got -1"],
      [{ generations: 1, patience: 0 }, "fit: patience must be 1 or more, got 0"],
      [{ generations: 1, target: Number.NaN }, "fit: target must be a number, got NaN"],
      [{ generations: 1, target: "0.1" }, "fit: target must be a number, got 0.1"],
      [{ generations: 1, onGeneration: true }, "fit: onGeneration must be a function, got true"],
      [{ generations: 1, epochs: 2 }, "got epochs"],
    ];
    for (const [options, message] of cases)
      await expect(evolve.fit(population, { lossFn: sum, generations: 1, ...options })).rejects.toThrow(message);
    const noPopulation = evolve.fit({} as evolve.Population, { generations: 1, lossFn: sum });
    await expect(noPopulation).rejects.toThrow("the first argument must be a Population or an EvolutionStrategy");
    const onGeneration = () => Promise.reject(new Error("no room"));
    await expect(evolve.fit(population, { generations: 2, lossFn: sum, onGeneration })).rejects.toThrow("no room");
    expect(population.step(sum).generation).toBe(2);
  });
});
