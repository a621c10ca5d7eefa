import { describe, expect, inject, test, vi } from "vitest";
import { loadTokenizer } from "../../src/cli/tokenizer.js";
import { models } from "../../src/index.js";
import { missingSharedData, readJson, readText, reference, shakespeare, stories } from "../support/shared.node.js";

interface Summary {
  train_tokens: number;
  tokens: number;
  T: number;
  val_nll_before: number;
  val_nll_after: number;
}

describe.skipIf(missingSharedData)(`stories260k${missingSharedData ? `: ${missingSharedData}` : ""}`, () => {
  test("continues <s> as its published sample does", async () => {
    const tokenizer = await loadTokenizer(stories);
    const model = (await models.Llama.fromPretrained(stories)).eval();
    const published = readText(`${stories}/README.md`).match(
      /Greedy continuation of `<s>`[^"]*"([^"]*)"/,
    )?.[1] as string;
    const text = tokenizer.decode(await model.generate([1], { maxNewTokens: 60 }));
    expect(text.trim().slice(0, published.trim().length)).toBe(published.trim());
    model.dispose();
  });

  test("LoRA follows PyTorch + PEFT: first ten losses to 1e-4, all hundred to 0.05, validation to 0.02", {
    timeout: 120_000,
  }, async () => {
    vi.resetModules(); // a heap of its own, so that its size tells what this run needs
    const { init, lora, memoryStats, models, optim, scope, shutdown } = await import("../../src/index.js");
    const { evaluate, lossAt } = await import("../../src/cli/corpus.js");
    await init({ simd: inject("simd") });
    const summary = readJson<Summary>(`${reference}/summary.json`);
    const losses = readJson<number[]>(`${reference}/losses.json`);
    const batches = readJson<number[][]>(`${reference}/batches.json`);
    const tokenizer = await loadTokenizer(stories);
    const tokens = Int32Array.from(tokenizer.encode(readText(shakespeare).slice(0, 120_000)));
    expect(tokens.length).toBe(summary.tokens);
    const validation = tokens.subarray(summary.train_tokens);
    const model = await models.Llama.fromPretrained(stories);
    expect(await evaluate(model, validation, summary.T)).toBeCloseTo(summary.val_nll_before, 4);
    const handle = await lora.loadAdapter(model, `${reference}/adapter_init`);
    const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 5e-3, weightDecay: 0 });
    let reserved = 0;
    batches.forEach((starts, step) => {
      const loss = scope(() => {
        const loss = lossAt(model, tokens, starts, summary.T);
        loss.backward();
        optimizer.step();
        optimizer.zeroGrad();
        return loss.item();
      });
      expect(Math.abs(loss - losses[step]), `loss of step ${step}`).toBeLessThan(step < 10 ? 1e-4 : 0.05);
      if (step === 2) reserved = memoryStats().reservedBytes;
    });
    expect(memoryStats().reservedBytes).toBe(reserved);
    const after = await evaluate(model, validation, summary.T);
    expect(Math.abs(after - summary.val_nll_after)).toBeLessThan(0.02);
    handle.merge();
    expect(Math.abs((await evaluate(model, validation, summary.T)) - after)).toBeLessThan(1e-4);
    handle.detach();
    optimizer.dispose();
    model.dispose();
    await shutdown();
  });
});
