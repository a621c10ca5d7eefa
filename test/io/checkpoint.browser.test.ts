import { expect, test } from "vitest";
import { io, nn } from "../../src/index.js";

test("a file of the origin private file system is written and read, and an abandoned write leaves it whole", async () => {
  const root = await navigator.storage.getDirectory();
  const target = await root.getFileHandle("run.safetensors", { create: true });
  const model = new nn.Linear(2, 2);
  const values = model.weight.data();
  await io.saveCheckpoint(target, { model, extra: { step: 3 } });
  nn.init.zeros_(model.weight);
  const unfinished = await target.createWritable();
  await unfinished.write(new Uint8Array(10));
  expect(await io.loadCheckpoint(target, { model })).toEqual({ step: 3 });
  expect(model.weight.data()).toEqual(values);
  await unfinished.abort();
  await root.removeEntry("run.safetensors");
  model.dispose();
});

test("a path says what to do", async () => {
  const model = new nn.Linear(2, 2);
  await expect(io.saveCheckpoint("run.safetensors", { model })).rejects.toThrow(
    "files must be written outside a browser, got run.safetensors",
  );
  model.dispose();
});
