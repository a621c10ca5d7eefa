import { expect, inject, test, vi } from "vitest";

interface Memory {
  /** Bytes of the model, and of what is trained beside it. */
  model: number;
  adapter: number;
  /** Bytes above the model's own that a step holds after backward, and at its peak. */
  held: number;
  peak: number;
}

/** What one step takes that trains nothing (activations and the kernels' scratch), an adapter, or all weights. */
async function stepMemory(trained: "nothing" | "adapter" | "all"): Promise<Memory> {
  vi.resetModules(); // a heap of its own
  const { F, init, lora, memoryStats, nn, optim, scope, shutdown, zeros } = await import("../../src/index.js");
  await init({ simd: inject("simd") });
  const layers = Array.from({ length: 6 }, () => [new nn.Linear(256, 256), new nn.Tanh()]).flat();
  const model = new nn.Sequential(...layers);
  const start = memoryStats().liveBytes;
  const handle = trained === "adapter" ? lora.apply(model, { r: 4, targetModules: "all-linear" }) : null;
  if (trained === "nothing") model.requiresGrad_(false);
  const parameters = handle?.trainableParameters() ?? (trained === "all" ? model.parameters() : []);
  const adapter = memoryStats().liveBytes - start;
  const optimizer = parameters.length > 0 ? new optim.AdamW(parameters, { lr: 1e-3 }) : null;
  const held = scope(() => {
    const x = zeros([16, 256], { requiresGrad: true });
    scope(() => F.mseLoss(model.forward(x), zeros([16, 256]))).backward();
    const bytes = memoryStats().liveBytes;
    optimizer?.step();
    optimizer?.zeroGrad();
    return bytes;
  });
  const { peakBytes } = memoryStats();
  handle?.detach();
  optimizer?.dispose();
  model.dispose();
  await shutdown();
  return { model: start, adapter, peak: peakBytes - start, held: held - start };
}

test("a LoRA step holds activations and the adapter: frozen weights have no gradients and no moments", async () => {
  const nothing = await stepMemory("nothing");
  const lora = await stepMemory("adapter");
  const all = await stepMemory("all");
  const inputs = 3 * 16 * 256 * 4; // x, its gradient and the target
  const small = 32 * 1024; // x Aᵀ, the loss, the kernels' scratch for products of rank 4
  // after backward: the adapter and its gradients
  expect(lora.held).toBeLessThan(2 * lora.adapter + inputs);
  expect(all.held).toBeGreaterThanOrEqual(all.model);
  // at the peak: AdamW's two moments as well
  expect(lora.peak - nothing.peak).toBeLessThan(4 * lora.adapter + small);
  expect(all.peak - nothing.peak).toBeGreaterThan(2.9 * all.model);
});
