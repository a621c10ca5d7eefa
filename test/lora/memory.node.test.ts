import { expect, inject, test, vi } from "vitest";

/** Bytes above the model's own that a step of training holds: at its peak, and after backward. */
async function stepMemory(adapts: boolean): Promise<{ model: number; adapter: number; peak: number; held: number }> {
  vi.resetModules();
  const { F, init, lora, memoryStats, nn, optim, scope, shutdown, zeros } = await import("../../src/index.js");
  await init({ simd: inject("simd") });
  const layers = Array.from({ length: 6 }, () => [new nn.Linear(256, 256), new nn.Tanh()]).flat();
  const model = new nn.Sequential(...layers);
  const start = memoryStats().liveBytes;
  const handle = adapts ? lora.apply(model, { r: 4, targetModules: "all-linear" }) : null;
  const parameters = handle?.trainableParameters() ?? model.parameters();
  const adapter = memoryStats().liveBytes - start;
  const optimizer = new optim.AdamW(parameters, { lr: 1e-3 });
  const held = scope(() => {
    scope(() => F.mseLoss(model.forward(zeros([16, 256])), zeros([16, 256]))).backward();
    const bytes = memoryStats().liveBytes;
    optimizer.step();
    optimizer.zeroGrad();
    return bytes;
  });
  const { peakBytes } = memoryStats();
  handle?.detach();
  optimizer.dispose();
  model.dispose();
  await shutdown();
  return { model: start, adapter, peak: peakBytes - start, held: held - start };
}

// measured: 5.1 MB of a model of 1.6 MB against 0.6 MB, of which 0.2 are the activations, 0.2 the adapter
test("a LoRA step holds activations and the adapter: frozen weights have no gradients and no moments", async () => {
  const full = await stepMemory(false);
  const lora = await stepMemory(true);
  const activations = 6 * 2 * 16 * 256 * 4; // each layer's output before and after tanh
  const scratch = 256 * 1024; // of the matrix product: panels of its operands
  // after backward: gradients, and the loss
  expect(full.held).toBeGreaterThanOrEqual(full.model);
  expect(lora.held).toBeLessThan(2 * lora.adapter + 64 * 1024);
  // at the peak: AdamW's two moments as well
  expect(full.peak).toBeGreaterThanOrEqual(3 * full.model);
  expect(lora.peak).toBeLessThan(activations + 4 * lora.adapter + scratch + 128 * 1024);
  expect(lora.peak).toBeLessThan(full.peak / 5);
});
