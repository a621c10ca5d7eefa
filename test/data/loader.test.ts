import { describe, expect, test } from "vitest";
import { arange, data, F, memoryStats, ones, randn, scope, type Tensor, tensor } from "../../src/index.js";

const { DataLoader, Dataset, TensorDataset } = data;

/** Sample i is i. */
class Numbers extends Dataset<number> {
  constructor(readonly length: number) {
    super();
  }

  override get(i: number): number {
    return i;
  }
}

async function collected<T, U>(items: AsyncIterable<T>, map: (item: T) => U): Promise<U[]> {
  const all: U[] = [];
  for await (const item of items) all.push(map(item));
  return all;
}

function epochOf(loader: Iterable<Tensor>): number[][] {
  return Array.from(loader, (batch) => [...batch.data()]);
}

describe("DataLoader", () => {
  test("gives every sample once, in order, the last batch smaller", () => {
    const loader = new DataLoader(new Numbers(7), { batchSize: 3 });
    expect(epochOf(loader)).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(loader.length).toBe(3);
  });

  test("dropLast leaves out the smaller batch", () => {
    const loader = new DataLoader(new Numbers(7), { batchSize: 3, dropLast: true });
    expect(epochOf(loader)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(loader.length).toBe(2);
  });

  test("shuffles anew every epoch, and equally for equal seeds", () => {
    const epochs = (seed: number) => {
      const loader = new DataLoader(new Numbers(50), { batchSize: 8, shuffle: true, seed });
      return [1, 2, 3].map(() => epochOf(loader).flat());
    };
    const [first, second, third] = epochs(5);
    for (const order of [first, second, third]) {
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    }
    expect(first).not.toEqual(second);
    expect(second).not.toEqual(third);
    expect(epochs(5)).toEqual([first, second, third]);
    expect(epochs(6)[0]).not.toEqual(first);
  });

  test("goes on where a state dict was taken", async () => {
    const options = { batchSize: 4, shuffle: true, seed: 9 };
    const whole = new DataLoader(new Numbers(18), options);
    const expected = [epochOf(whole), epochOf(whole), epochOf(whole)];
    for (const stopAt of [1, 3, 5]) {
      const loader = new DataLoader(new Numbers(18), options);
      epochOf(loader);
      const seen: number[][] = [];
      let state = loader.stateDict();
      for await (const batch of loader) {
        seen.push([...batch.data()]);
        state = loader.stateDict();
        if (seen.length === stopAt) break;
      }
      const resumed = new DataLoader(new Numbers(18), { ...options, seed: 0 });
      resumed.loadStateDict(JSON.parse(JSON.stringify(state)));
      const rest = stopAt === 5 ? [] : epochOf(resumed);
      expect([...seen, ...rest]).toEqual(expected[1]);
      expect(epochOf(resumed)).toEqual(expected[2]);
    }
  });

  test("after a loop that was left, the next epoch begins", () => {
    const loader = new DataLoader(new Numbers(6), { batchSize: 2 });
    for (const _ of loader) break;
    expect(loader.stateDict()).toEqual({ seed: 0, epoch: 1, batch: 0 });
    expect(epochOf(loader)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
  });

  test("a batch lives until the next is asked for, or the loop ends", async () => {
    const x = randn([10, 3]);
    const loader = new DataLoader(new TensorDataset(x), { batchSize: 4, shuffle: true });
    const before = memoryStats();
    const alive = () => memoryStats().liveTensors - before.liveTensors;
    for (const [batch] of loader) expect([alive(), batch.shape[1]]).toEqual([1, 3]);
    expect(alive()).toBe(0);
    for await (const [batch] of loader) expect([alive(), batch.shape[1]]).toEqual([1, 3]);
    expect(alive()).toBe(0);
    for (const _ of loader) break;
    expect(alive()).toBe(0);
    const failing = async () => {
      for await (const _ of loader) throw new Error("mine");
    };
    await expect(failing()).rejects.toThrow("mine");
    expect(alive()).toBe(0);
    expect(memoryStats().liveBytes).toBe(before.liveBytes);
    x.dispose();
  });

  test("works inside a scope, which may keep what was computed", () => {
    const total = scope(() => {
      let total = F.mul(ones([2]), 0);
      for (const [x] of new DataLoader(new TensorDataset(ones([6, 2])), { batchSize: 4 })) {
        total = F.add(total, F.sum(x, { dim: 0 }));
      }
      return total;
    });
    expect(total.toArray()).toEqual([6, 6]);
    total.dispose();
  });

  test("picks rows of tensors of every dtype and stride", () => {
    scope(() => {
      const x = F.transpose(tensor([0, 1, 2, 3, 10, 11, 12, 13], { shape: [2, 4] }), 0, 1);
      const classes = arange(0, 4);
      const flags = tensor([true, false, false, true]);
      const loader = new DataLoader(new TensorDataset(x, classes, flags), { batchSize: 3 });
      const seen = Array.from(loader, (batch) => batch.map((t) => [t.dtype, t.toArray()]));
      expect(seen[0]).toEqual([
        [
          "float32",
          [
            [0, 10],
            [1, 11],
            [2, 12],
          ],
        ],
        ["int32", [0, 1, 2]],
        ["bool", [true, false, false]],
      ]);
      expect(seen[1][1]).toEqual(["int32", [3]]);
    });
  });

  test("collates arrays, objects, typed arrays and strings", async () => {
    class Mixed extends Dataset<{ pair: [number, Int32Array]; name: string; flag: boolean }> {
      readonly length = 2;
      override get(i: number) {
        return { pair: [i, Int32Array.of(i, 7)] as [number, Int32Array], name: `n${i}`, flag: i === 1 };
      }
    }
    const [batch] = await collected(new DataLoader(new Mixed(), { batchSize: 2 }), ({ pair, name, flag }) => [
      pair.map((t: Tensor) => [t.dtype, t.toArray()]),
      name,
      flag.toArray(),
    ]);
    expect(batch).toEqual([
      [
        ["float32", [0, 1]],
        [
          "int32",
          [
            [0, 7],
            [1, 7],
          ],
        ],
      ],
      ["n0", "n1"],
      [false, true],
    ]);
  });

  test("samples may be promises, and collate the user's", async () => {
    class Later extends Dataset<number> {
      readonly length = 5;
      override async get(i: number) {
        return i * i;
      }
    }
    const loader = new DataLoader(new Later(), { batchSize: 2, collate: (samples) => samples.join(" ") });
    expect(await collected(loader, (batch) => batch)).toEqual(["0 1", "4 9", "16"]);
    expect(() => [...loader]).toThrow(
      "DataLoader: samples must be there at once in a plain loop, got a promise; use for await",
    );
  });

  test("says what does not fit", () => {
    const numbers = new Numbers(3);
    expect(() => new DataLoader(numbers, { batchSize: 0 })).toThrow(
      "DataLoader: batchSize must be a whole number from 1, got 0",
    );
    expect(() => new DataLoader(numbers, { batchsize: 1 } as object)).toThrow("got batchsize");
    expect(() => new DataLoader(numbers, { seed: -1 })).toThrow("the seed must be a whole number");
    expect(() => new DataLoader(numbers).loadStateDict({ seed: 0, epoch: 0, batch: 4 })).toThrow(
      "the batch at most 3, got 0 and 4",
    );
    scope(() => {
      expect(() => new TensorDataset(ones([2, 1]), ones([3]))).toThrow(
        "TensorDataset: tensors must have the same number of rows, got [2, 1], [3]",
      );
      expect(() => new TensorDataset()).toThrow("got none");
    });
  });
});

describe("randomSplit", () => {
  test("gives disjoint subsets of the asked sizes, equally for equal seeds", () => {
    const split = (seed: number) => data.randomSplit(new Numbers(11), [4, 7], { seed }).map(({ indices }) => indices);
    const [a, b] = split(3);
    expect([a.length, b.length]).toEqual([4, 7]);
    expect([...a, ...b].sort((x, y) => x - y)).toEqual(Array.from({ length: 11 }, (_, i) => i));
    expect(split(3)).toEqual([a, b]);
    expect(split(4)).not.toEqual([a, b]);
  });

  test("fractions are rounded down, and the first ones take what is left", () => {
    const sizes = (n: number, fractions: number[]) => data.randomSplit(new Numbers(n), fractions).map((s) => s.length);
    expect(sizes(10, [0.8, 0.2])).toEqual([8, 2]);
    expect(sizes(11, [1 / 3, 1 / 3, 1 / 3])).toEqual([4, 4, 3]);
  });

  test("subsets load whole batches of a dataset of tensors", () => {
    scope(() => {
      const [part] = data.randomSplit(new TensorDataset(arange(0, 6), arange(10, 16)), [3, 3]);
      for (const [a, b] of new data.DataLoader(part, { batchSize: 3 })) {
        expect([...a.data()]).toEqual(part.indices);
        expect([...b.data()]).toEqual(part.indices.map((i) => i + 10));
      }
    });
  });

  test("says what does not add up", () => {
    expect(() => data.randomSplit(new Numbers(5), [2, 2])).toThrow(
      "randomSplit: lengths must add up to 5, or fractions to 1, got 2 + 2",
    );
    expect(() => data.randomSplit(new Numbers(5), [6, -1])).toThrow("got 6 + -1");
  });
});
