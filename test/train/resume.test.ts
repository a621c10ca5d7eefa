import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  data,
  F,
  getRngState,
  io,
  manualSeed,
  nn,
  optim,
  randn,
  scope,
  type Tensor,
  tensor,
  train,
} from "../../src/index.js";

let x: Tensor;
let y: Tensor;
beforeEach(() => {
  manualSeed(3);
  x = randn([14, 3]);
  y = tensor(Int32Array.from({ length: 14 }, (_, i) => i % 3));
});
afterEach(() => {
  x.dispose();
  y.dispose();
});

/** What a run consists of, made from `seed`. */
function makeRun(seed: number) {
  manualSeed(seed);
  const model = new nn.Sequential(new nn.Linear(3, 8), new nn.BatchNorm1d(8), new nn.Dropout(0.3), new nn.Linear(8, 3));
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.05 });
  const set = new data.TensorDataset(x, y);
  const loader = new data.DataLoader(set, { batchSize: 3, shuffle: true, seed });
  const validation = new data.DataLoader(set, { batchSize: 5, shuffle: true, seed });
  return { model, optimizer, loader, validation };
}
type Run = ReturnType<typeof makeRun>;
type Options = Partial<train.FitOptions<Run["model"], Tensor[]>>;

const EPOCHS = 3;
const loss = (model: Run["model"], [x, y]: Tensor[]) => F.crossEntropy(model.forward(x), y);

function trainOn({ model, optimizer, loader, validation }: Run, options: Options = {}): Promise<train.History> {
  const scheduler = new optim.schedulers.ReduceLROnPlateau(optimizer, { patience: 0, factor: 0.5, threshold: 0.5 });
  return train.fit(model, loader, {
    epochs: EPOCHS,
    optimizer,
    loss,
    validation,
    scheduler: { scheduler, interval: "epoch" },
    clipGradNorm: 1,
    gradientAccumulationSteps: 2,
    ...options,
  });
}

/** All that training leaves, and the run's end. */
function finish({ model, optimizer, loader, validation }: Run): object {
  return scope(() => {
    const end = {
      model: Object.values(model.stateDict()).map((t) => t.data()),
      optimizer: Object.values(optimizer.stateDict().tensors).map((t) => t.data()),
      rates: optimizer.paramGroups.map(({ lr }) => lr),
      loader: loader.stateDict(),
      validation: validation.stateDict(),
      rng: getRngState(),
    };
    optimizer.dispose();
    model.dispose();
    return end;
  });
}

/** Ends the run after so many steps, by an abort or by a callback. */
const stoppers: Record<string, (steps: number) => Options> = {
  "an abort"(steps) {
    const controller = new AbortController();
    return {
      signal: controller.signal,
      callbacks: [{ onStep: ({ step }) => step === steps && controller.abort() }] as Options["callbacks"],
    };
  },
  "a callback": (steps) => ({
    callbacks: [{ onStep: ({ step, stop }) => step === steps && stop() }] as Options["callbacks"],
  }),
};

describe("fit with a checkpoint", () => {
  test("goes on from any step as if it had never stopped: the same losses, weights, rates and history", async () => {
    const whole = makeRun(1);
    const history = await trainOn(whole);
    expect(history.steps.length).toBe(9); // 5 batches an epoch: two groups of two and one of one
    expect(new Set(history.epochs.map(({ learningRates: [lr] }) => lr)).size).toBeGreaterThan(1);
    const expected = finish(whole);
    for (const [how, stop] of Object.entries(stoppers)) {
      for (let steps = 1; steps <= 9; steps++) {
        let saved = new Uint8Array();
        const target = (bytes: Uint8Array<ArrayBuffer>) => void (saved = bytes);
        const first = makeRun(1);
        const cut = await trainOn(first, { ...stop(steps), checkpoint: { target } });
        expect([cut.steps.length, cut.stopped]).toEqual([steps, how === "an abort" ? "aborted" : "early"]);
        finish(first);
        const second = makeRun(2);
        expect(await trainOn(second, { checkpoint: { target, resume: saved } }), `${how} after ${steps}`).toEqual(
          history,
        );
        expect(finish(second), `${how} after ${steps}`).toEqual(expected);
      }
    }
  });

  test("a run that was killed goes on from the last step that was saved, and a finished one for more epochs", async () => {
    const whole = makeRun(1);
    const history = await trainOn(whole);
    const expected = finish(whole);
    const saved: Uint8Array<ArrayBuffer>[] = [];
    const target = (bytes: Uint8Array<ArrayBuffer>) => void saved.push(bytes);
    const every = makeRun(1);
    await trainOn(every, { checkpoint: { target, everySteps: 1 } });
    finish(every);
    expect(saved.length).toBe(9); // two steps within and the end of each epoch, whose last group is a batch alone
    for (const resume of saved) {
      const second = makeRun(2);
      expect(await trainOn(second, { checkpoint: { target: () => {}, resume } })).toEqual(history);
      expect(finish(second)).toEqual(expected);
    }
    const longer = makeRun(2);
    const further = await trainOn(longer, { epochs: 4, checkpoint: { target, resume: saved.at(-1) } });
    expect(further.steps.slice(0, 9)).toEqual(history.steps);
    expect(further.steps.length).toBe(12);
    finish(longer);
  });

  test("callbacks go on counting", async () => {
    const stopping = () => new train.EarlyStopping({ patience: 2, minDelta: 10 });
    const whole = makeRun(1);
    const history = await trainOn(whole, { epochs: 9, callbacks: [stopping()] });
    expect(history.epochs.length).toBe(3); // the first is the best, as no other is better by 10
    finish(whole);
    let saved = new Uint8Array();
    const checkpoint = { target: (bytes: Uint8Array<ArrayBuffer>) => void (saved = bytes) };
    const first = makeRun(1);
    await trainOn(first, { epochs: 2, callbacks: [stopping()], checkpoint });
    finish(first);
    const second = makeRun(2);
    const resumed = { ...checkpoint, resume: saved };
    expect(await trainOn(second, { epochs: 9, callbacks: [stopping()], checkpoint: resumed })).toEqual(history);
    finish(second);
    const third = makeRun(2);
    await expect(trainOn(third, { checkpoint: { ...checkpoint, resume: saved } })).rejects.toThrow(
      "fit: resuming needs the 1 callbacks with state that the checkpoint was saved with, got 0",
    );
    finish(third);
  });

  test("losses that are not finite come back", async () => {
    const poisoned = (model: Run["model"], batch: Tensor[]) => F.mul(loss(model, batch), Infinity);
    let saved = new Uint8Array();
    const checkpoint = { target: (bytes: Uint8Array<ArrayBuffer>) => void (saved = bytes) };
    const first = makeRun(1);
    const { steps } = await trainOn(first, {
      epochs: 1,
      loss: poisoned,
      scheduler: undefined,
      validation: undefined,
      checkpoint,
    });
    finish(first);
    expect(steps.some((loss) => !Number.isFinite(loss))).toBe(true);
    const second = makeRun(2);
    const resumed = { ...checkpoint, resume: saved };
    const history = await trainOn(second, {
      epochs: 1,
      scheduler: undefined,
      validation: undefined,
      checkpoint: resumed,
    });
    expect(history.steps).toEqual(steps);
    finish(second);
  });

  test("says what does not fit, and leaves the model as it was", async () => {
    const run = makeRun(1);
    const before = scope(() => Object.values(run.model.stateDict()).map((t) => t.data()));
    const target = () => {};
    const fitWith = (checkpoint: object, options: Options = {}) =>
      trainOn(run, { ...options, checkpoint: checkpoint as train.RunCheckpointOptions });
    await expect(fitWith({})).rejects.toThrow("fit: the checkpoint's target must be given, got undefined");
    await expect(fitWith({ target, everyStep: 1 })).rejects.toThrow("got everyStep");
    await expect(fitWith({ target, everySteps: 0 })).rejects.toThrow("everySteps must be a whole number from 1, got 0");
    await expect(fitWith({ target, resume: true })).rejects.toThrow("must be readable, got a function");
    await expect(fitWith({ target }, { scheduler: { scheduler: { step() {} }, interval: "step" } })).rejects.toThrow(
      "fit: with a checkpoint, the scheduler must have stateDict and loadStateDict, got one without",
    );
    const { model, optimizer } = run;
    const listed = train.fit(model, [[x, y]], { epochs: 1, optimizer, loss, checkpoint: { target } });
    await expect(listed).rejects.toThrow("fit: with a checkpoint, the loader must have");
    let foreign = new Uint8Array();
    await io.saveCheckpoint((bytes) => void (foreign = bytes), { model });
    await expect(fitWith({ target, resume: foreign })).rejects.toThrow("must be one that fit saved, got another");
    await expect(fitWith({ target, resume: foreign.subarray(9) })).rejects.toThrow("safetensors: ");
    expect(scope(() => Object.values(run.model.stateDict()).map((t) => t.data()))).toEqual(before);
    finish(run);
  });
});
