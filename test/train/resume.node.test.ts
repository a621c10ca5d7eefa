import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { data, F, lora, manualSeed, nn, optim, randn, train } from "../../src/index.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "wasmgrad-resume-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** The whole program that a user would start again; it ends early after `steps` steps of its own. */
async function program(target: string, steps = Infinity): Promise<train.History> {
  manualSeed(1);
  const x = randn([12, 4]);
  const model = new nn.Sequential(new nn.Linear(4, 4), new nn.Tanh(), new nn.Linear(4, 2));
  const adapter = lora.apply(model, { r: 2, dropout: 0.2, targetModules: "all-linear" });
  const optimizer = new optim.AdamW(adapter.trainableParameters(), { lr: 0.1 });
  const scheduler = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps: 2, totalSteps: 9 });
  let taken = 0;
  const history = await train.fit(
    model,
    new data.DataLoader(new data.TensorDataset(x), { batchSize: 4, shuffle: true }),
    {
      epochs: 3,
      optimizer,
      scheduler: { scheduler, interval: "step" },
      loss: (model, [x]) => F.mean(F.square(F.sub(model.forward(x), 1))),
      checkpoint: { target, everySteps: 2, resume: true },
      callbacks: [{ onStep: ({ stop }) => ++taken >= steps && stop() }] as train.Callback<typeof model>[],
    },
  );
  optimizer.dispose();
  adapter.detach();
  model.dispose();
  x.dispose();
  return history;
}

test("the same program started again goes on where it ended", async () => {
  const whole = await program(join(folder, "whole.safetensors"));
  expect(whole.steps.length).toBe(9);
  const target = join(folder, "cut.safetensors");
  expect((await program(target, 4)).steps).toEqual(whole.steps.slice(0, 4));
  expect((await program(target, 3)).steps).toEqual(whole.steps.slice(0, 7));
  expect(await program(target)).toEqual(whole);
  expect(await program(target)).toEqual(whole);
});
