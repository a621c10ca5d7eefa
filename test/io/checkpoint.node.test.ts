import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { io, nn, optim } from "../../src/index.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "wasmgrad-run-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a path is written, folders too, and read; so is a file address", async () => {
  const path = join(folder, "runs", "a.safetensors");
  const model = new nn.Linear(2, 2);
  const values = model.weight.data();
  await io.saveCheckpoint(path, { model, extra: 1 });
  nn.init.zeros_(model.weight);
  expect(await io.loadCheckpoint(pathToFileURL(path).href, { model })).toBe(1);
  expect(model.weight.data()).toEqual(values);
  expect(await readdir(join(folder, "runs"))).toEqual(["a.safetensors"]);
  await expect(io.loadCheckpoint(join(folder, "none"), { model })).rejects.toThrow("none");
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, -1));
  await expect(io.loadCheckpoint(path, { model })).rejects.toThrow(`(is the file whole?), got `);
  model.dispose();
});

/** Saves without end to the path that it is given, and says so each time. */
const saver = `
import { init, io, nn, optim } from ${JSON.stringify(pathToFileURL("src/index.ts").href)};
await init();
const model = new nn.Linear(300, 300);
const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
for (let step = 0; ; step++) {
  nn.init.constant_(model.weight, step);
  nn.init.constant_(model.bias, step);
  await io.saveCheckpoint(process.argv[2], { model, optimizer, extra: { step } });
  console.log(step);
}
`;

test("a process killed while it writes leaves a whole checkpoint", { timeout: 60_000 }, async () => {
  const script = join(folder, "saver.mts");
  const path = join(folder, "run.safetensors");
  await writeFile(script, saver);
  const model = new nn.Linear(300, 300);
  const optimizer = new optim.SGD(model.parameters(), { lr: 9 });
  for (const milliseconds of [1, 4, 11]) {
    const child = spawn(process.execPath, ["--import", "tsx", script, path], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await sleep(milliseconds);
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    const { step } = await io.loadCheckpoint<{ step: number }>(path, { model, optimizer });
    for (const parameter of model.parameters()) expect(new Set(parameter.data())).toEqual(new Set([step]));
    expect(optimizer.paramGroups[0].lr).toBe(0.1);
  }
  optimizer.dispose();
  model.dispose();
});
