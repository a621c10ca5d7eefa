import { expect, test, vi } from "vitest";
import golden from "../golden/causal.json" with { type: "json" };

test("memory beyond the model is one tensor as it was stored", async () => {
  // A library of its own: its peak is what this test allocates.
  vi.resetModules();
  const { init, memoryStats, models, shutdown } = await import("../../src/index.js");
  await init({ threads: 1 });
  const big = { ...golden.models.gpt2.config, vocab_size: 60_000, n_embd: 16, n_layer: 4 };
  const made = new models.GPT2(big);
  const { "model.safetensors": bytes } = (await made.savePretrained()) as Record<string, Uint8Array<ArrayBuffer>>;
  const largest = made.transformer.wte.weight.size * 4;
  made.dispose();
  await shutdown();

  await init({ threads: 1 });
  const reads: number[] = [];
  const blob = new Blob([bytes]);
  const slice = blob.slice.bind(blob);
  blob.slice = (begin = 0, end = blob.size) => {
    reads.push(end - begin);
    return slice(begin, end);
  };
  const progress: [number, number][] = [];
  const model = await models.GPT2.fromPretrained(
    { "config.json": JSON.stringify(big), "model.safetensors": blob },
    { onProgress: (loaded, total) => progress.push([loaded, total]) },
  );
  const { peakBytes, liveBytes } = memoryStats();
  // in WebAssembly memory nothing but the model (and the kernels' scratch)
  expect(peakBytes - liveBytes).toBeLessThan(largest / 10);
  expect(Math.max(...reads)).toBe(largest);
  const total = model.numParameters() * 4;
  expect(progress.length).toBe(model.parameters().length);
  expect(progress.at(-1)).toEqual([total, total]);
  expect(progress.every(([loaded], i) => i === 0 || loaded > progress[i - 1][0])).toBe(true);
  await shutdown();
});
