import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { data, F, io, nn, ones, optim, scope, tensor, train } from "../../src/index.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "wasmgrad-checkpoint-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** One weight that moves from 0 by 1 an epoch; the validation losses are given. */
async function trainAgainst(validationLosses: number[], options: train.ModelCheckpointOptions) {
  const model = new nn.Linear(1, 1, { bias: false });
  nn.init.zeros_(model.weight);
  const x = ones([1, 1]);
  const batches = new data.DataLoader(new data.TensorDataset(x));
  const left = [...validationLosses];
  const history = await train.fit(model, batches, {
    epochs: validationLosses.length,
    optimizer: new optim.SGD(model.parameters(), { lr: 1 }),
    loss: (model, [x]) => (model.training ? F.sum(F.mul(model.forward(x), -1)) : tensor(left.shift()!)),
    validation: batches,
    callbacks: [new train.ModelCheckpoint(options)],
  });
  model.dispose();
  x.dispose();
  return history;
}

async function weightIn(path: string): Promise<number> {
  const { tensors } = await io.safetensors.parse(path);
  const weight = tensors.weight.item();
  tensors.weight.dispose();
  return weight;
}

test("keeps the weights of the best epoch", async () => {
  const path = join(folder, "models", "best.safetensors");
  const history = await trainAgainst([4, 2, 3, 2.5], { path });
  expect(history.epochs.map(({ validationLoss }) => validationLoss)).toEqual([4, 2, 3, 2.5]);
  expect(await weightIn(path)).toBe(2);
  expect(await readdir(join(folder, "models"))).toEqual(["best.safetensors"]);
  const { tensors, metadata } = await io.safetensors.parse(path);
  scope(() => tensors.weight.dispose());
  expect(metadata).toMatchObject({ epoch: "2", loss: "2" });
});

test("or those of every epoch", async () => {
  await trainAgainst([4, 2, 3], { path: join(folder, "epoch-{epoch}.safetensors"), bestOnly: false });
  expect((await readdir(folder)).sort()).toEqual([1, 2, 3].map((i) => `epoch-${i}.safetensors`));
  expect(await weightIn(join(folder, "epoch-3.safetensors"))).toBe(3);
});

test("needs a path", () => {
  expect(() => new train.ModelCheckpoint({ path: "" })).toThrow("ModelCheckpoint: path must be the name of a file");
});
