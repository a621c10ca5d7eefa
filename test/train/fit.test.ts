import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  arange,
  data,
  F,
  manualSeed,
  memoryStats,
  nn,
  optim,
  randn,
  scope,
  type Tensor,
  tensor,
  train,
} from "../../src/index.js";

/** Rows of x with y = x·(1, 2, 3). */
let x: Tensor;
let y: Tensor;
let model: nn.Linear;
let optimizer: optim.SGD;

beforeEach(() => {
  manualSeed(1);
  x = randn([22, 3]);
  y = scope(() => F.matmul(x, tensor([[1], [2], [3]])));
  model = new nn.Linear(3, 1);
  optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
});

afterEach(() => {
  for (const owner of [x, y, model, optimizer]) owner.dispose();
});

const loss = (model: nn.Linear, [x, y]: Tensor[]) => F.mseLoss(model.forward(x), y);

function loader(batchSize: number) {
  return new data.DataLoader(new data.TensorDataset(x, y), { batchSize });
}

describe("fit", () => {
  test("learns, tells of every step and epoch, and leaves no tensor", async () => {
    const before = memoryStats().liveTensors;
    const history = await train.fit(model, loader(8), { epochs: 60, optimizer, loss, validation: loader(22) });
    expect(memoryStats().liveTensors).toBe(before);
    expect(history.stopped).toBe("completed");
    expect(history.steps.length).toBe(180);
    expect(history.epochs.length).toBe(60);
    expect(history.epochs[59].validationLoss).toBeLessThan(1e-4);
    const [a, b, c] = history.steps;
    expect(history.epochs[0]).toMatchObject({ epoch: 1, learningRates: [0.1] });
    expect(history.epochs[0].loss).toBeCloseTo((8 * a + 8 * b + 6 * c) / 22, 6); // epochs weigh batches by their rows
    expect(model.weight.grad).toBeNull();
  });

  test("does what the loop by hand does", async () => {
    const state = Object.entries(model.stateDict()).map(([key, t]) => [key, t.toArray()] as const);
    const history = await train.fit(model, loader(8), { epochs: 2, optimizer, loss });
    const fitted = model.weight.toArray();
    model.loadStateDict(Object.fromEntries(state.map(([key, values]) => [key, tensor(values as number[])])));
    const losses: number[] = [];
    for (let epoch = 0; epoch < 2; epoch++) {
      for (const batch of loader(8)) {
        scope(() => {
          const value = loss(model, batch);
          value.backward();
          optimizer.step();
          optimizer.zeroGrad();
          losses.push(value.item());
        });
      }
    }
    expect(losses).toEqual(history.steps);
    expect(model.weight.toArray()).toEqual(fitted);
  });

  test("accumulated batches give the gradient of one large batch, the last incomplete group included", async () => {
    const gradients = async (batchSize: number, gradientAccumulationSteps: number) => {
      const seen: number[][] = [];
      const still = new optim.SGD(model.parameters(), { lr: 0 });
      await train.fit(model, loader(batchSize), {
        epochs: 1,
        optimizer: still,
        loss,
        gradientAccumulationSteps,
        callbacks: [{ onStep: () => void seen.push([...model.weight.grad!.data(), ...model.bias!.grad!.data()]) }],
      });
      return seen;
    };
    for (const [small, large] of [
      [await gradients(4, 3), await gradients(12, 1)], // 22 rows: 12 and then 4 + 4 + 2
      [await gradients(5, 2), await gradients(10, 1)], // 10, 10 and then 2 alone
      [await gradients(22, 3), await gradients(22, 1)],
    ]) {
      expect(small.length).toBe(large.length);
      // A few roundings of float32.
      small.flat().forEach((g, i) => {
        expect(Math.abs(g - large.flat()[i])).toBeLessThan(2e-6 * (1 + Math.abs(g)));
      });
    }
  });

  test("accumulation counts what counts: ignored targets don't", async () => {
    const classes = new nn.Linear(3, 4);
    const targets = arange(0, 22);
    targets.set(Array.from({ length: 22 }, (_, i) => (i % 3 === 0 || (i >= 8 && i < 12) ? -100 : i % 4)));
    const gradient = async (batchSize: number, gradientAccumulationSteps: number) => {
      let seen: number[] = [];
      await train.fit(classes, new data.DataLoader(new data.TensorDataset(x, targets), { batchSize }), {
        epochs: 1,
        optimizer: new optim.SGD(classes.parameters(), { lr: 0 }),
        loss: (model, [x, t]) => ({
          loss: F.crossEntropy(model.forward(x), t),
          count: t.data().filter((c) => c !== -100).length,
        }),
        gradientAccumulationSteps,
        callbacks: [{ onStep: () => void (seen = [...classes.weight.grad!.data()]) }],
      });
      return seen;
    };
    const [small, large] = [await gradient(4, 6), await gradient(22, 1)];
    small.forEach((g, i) => {
      expect(Math.abs(g - large[i])).toBeLessThan(2e-6);
    });
    classes.dispose();
    targets.dispose();
  });

  test("clips the gradients of a step together", async () => {
    const norms: (number | undefined)[] = [];
    const clipped: number[] = [];
    await train.fit(model, loader(8), {
      epochs: 1,
      optimizer,
      loss,
      clipGradNorm: 0.5,
      callbacks: [
        {
          onStep({ gradientNorm }) {
            norms.push(gradientNorm);
            clipped.push(Math.hypot(...model.weight.grad!.data(), ...model.bias!.grad!.data()));
          },
        },
      ],
    });
    expect(norms.every((norm) => norm! > 0.5)).toBe(true);
    for (const norm of clipped) expect(norm).toBeCloseTo(0.5, 5);
  });

  test("a scheduler is stepped after each step with its loss, or each epoch with the validation loss", async () => {
    const told: number[] = [];
    const scheduler = {
      step(metric: number) {
        told.push(metric);
        optimizer.paramGroups[0].lr *= 0.5;
      },
    };
    const options = { epochs: 2, optimizer, loss };
    const history = await train.fit(model, loader(11), { ...options, scheduler: { scheduler, interval: "step" } });
    expect(told).toEqual(history.steps);
    expect(history.epochs.map(({ learningRates: [lr] }) => lr)).toEqual([0.025, 0.00625]);
    told.length = 0;
    const { epochs } = await train.fit(model, loader(11), {
      ...options,
      validation: loader(22),
      scheduler: { scheduler, interval: "epoch" },
    });
    expect(told).toEqual(epochs.map(({ validationLoss }) => validationLoss));
  });

  test("the library's own schedulers fit", async () => {
    const scheduler = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps: 1, totalSteps: 4 });
    const rates: number[] = [];
    await train.fit(model, loader(11), {
      epochs: 2,
      optimizer,
      loss,
      scheduler: { scheduler, interval: "step" },
      callbacks: [{ onStep: ({ learningRates: [lr] }) => void rates.push(lr) }],
    });
    expect(rates[0]).toBe(0);
    expect(rates[1]).toBeCloseTo(0.1, 12);
    expect(rates[3]).toBeLessThan(rates[2]);
  });

  test("a plateau lowers the rate", async () => {
    const scheduler = new optim.schedulers.ReduceLROnPlateau(optimizer, { patience: 1, factor: 0.5 });
    const { epochs } = await train.fit(model, loader(11), {
      epochs: 4,
      optimizer: new optim.SGD(model.parameters(), { lr: 0 }),
      loss,
      scheduler: { scheduler, interval: "epoch" },
    });
    expect(epochs.map(({ loss }) => loss)).toEqual(new Array(4).fill(epochs[0].loss));
    expect(optimizer.paramGroups[0].lr).toBe(0.05);
  });

  test("an abort finishes the step, in a group of batches too", async () => {
    for (const gradientAccumulationSteps of [1, 2]) {
      const controller = new AbortController();
      let batches = 0;
      const history = await train.fit(model, loader(4), {
        epochs: 5,
        optimizer,
        gradientAccumulationSteps,
        signal: controller.signal,
        loss(model, batch) {
          if (++batches === 3) controller.abort();
          return loss(model, batch);
        },
      });
      expect(history.stopped).toBe("aborted");
      expect(history.steps.length).toBe(gradientAccumulationSteps === 1 ? 3 : 2);
      expect(history.epochs).toEqual([]);
    }
    const history = await train.fit(model, loader(4), { epochs: 1, optimizer, loss, signal: AbortSignal.abort() });
    expect(history).toEqual({ steps: [], epochs: [], stopped: "aborted" });
  });

  test("events run meanwhile", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const history = await train.fit(model, loader(8), { epochs: 1e6, optimizer, loss, signal: controller.signal });
    expect(history.stopped).toBe("aborted"); // which only an event could do
    expect(history.steps.length).toBeGreaterThan(0);
  });

  test("trains in training mode, validates in evaluation mode, and leaves each module's mode", async () => {
    const dropout = new nn.Dropout(0.5);
    const net = new nn.Sequential(model, dropout).eval();
    dropout.training = true;
    const modes: string[] = [];
    await train.fit(net, loader(22), {
      epochs: 1,
      optimizer,
      validation: loader(22),
      loss(net, [x, y]) {
        modes.push(`${net.training} ${dropout.training}`);
        return F.mseLoss(net.forward(x), y);
      },
    });
    expect(modes).toEqual(["true true", "false false"]);
    expect([net.training, model.training, dropout.training]).toEqual([false, false, true]);
  });

  test("an error ends it with the callbacks' onEnd, without leaks", async () => {
    const before = memoryStats().liveTensors;
    let ended = 0;
    const run = train.fit(model, loader(8), {
      epochs: 1,
      optimizer,
      loss(model, batch) {
        loss(model, batch);
        throw new Error("mine");
      },
      callbacks: [{ onEnd: () => void ended++ }],
    });
    await expect(run).rejects.toThrow("mine");
    expect(ended).toBe(1);
    expect(memoryStats().liveTensors).toBe(before);
  });

  test("says what does not fit", async () => {
    const options = { epochs: 1, optimizer, loss };
    const fitWith = (changes: object) => train.fit(model, loader(8), { ...options, ...changes });
    await expect(fitWith({ epoch: 1 })).rejects.toThrow("got epoch");
    await expect(fitWith({ epochs: 1.5 })).rejects.toThrow("fit: epochs must be a whole number from 0, got 1.5");
    await expect(fitWith({ gradientAccumulationSteps: 0 })).rejects.toThrow("must be a whole number from 1, got 0");
    await expect(fitWith({ clipGradNorm: 0 })).rejects.toThrow("fit: clipGradNorm must be above 0, got 0");
    await expect(fitWith({ scheduler: { scheduler: { step() {} }, interval: "batch" } })).rejects.toThrow(
      'got "batch"',
    );
    await expect(fitWith({ loss: (model: nn.Linear, [x]: Tensor[]) => model.forward(x) })).rejects.toThrow(
      "fit: the loss must be a tensor of one element, got [8, 1]",
    );
    await expect(fitWith({ loss: async () => 1 })).rejects.toThrow("the loss must be a tensor of one element");
    await expect(train.fit(model, [], options)).rejects.toThrow("fit: the loader must give a batch, got none");
  });
});
