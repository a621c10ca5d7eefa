import { describe, expect, test } from "vitest";
import { evaluate, lossAt } from "../../src/cli/corpus.js";
import { loadTokenizer } from "../../src/cli/tokenizer.js";
import { lora, manualSeed, models, optim, quant, scope } from "../../src/index.js";
import { missingSharedData, readJson, readText, reference, shakespeare, stories } from "../support/shared.node.js";

const CONTEXT = 128;
const STEPS = 25;
/** Characters and rows of the text that are validated on: a part, for a fast test. */
const CHARACTERS = 120_000;
const VALIDATION_TOKENS = 24 * CONTEXT;

describe.skipIf(missingSharedData)(`stories260k${missingSharedData ? `: ${missingSharedData}` : ""}`, () => {
  test("LoRA over nf4 ends within 0.05 of LoRA over float32, whose layers take more than six times the bytes", {
    timeout: 120_000,
  }, async () => {
    const batches = readJson<number[][]>(`${reference}/batches.json`).slice(0, STEPS);
    const tokenizer = await loadTokenizer(stories);
    const tokens = Int32Array.from(tokenizer.encode(readText(shakespeare).slice(0, CHARACTERS)));
    const validation = tokens.subarray(tokens.length - VALIDATION_TOKENS - 1);
    const losses: number[] = [];
    for (const scheme of [null, quant.nf4]) {
      const model = await models.Llama.fromPretrained(stories);
      const report = scheme && quant.quantizeModel(model, scheme);
      if (report) expect(report.ratio).toBeLessThanOrEqual(0.16);
      manualSeed(1);
      const handle = lora.apply(model, { r: 8, alpha: 16, targetModules: "all-linear" });
      const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 5e-3, weightDecay: 0 });
      const before = await evaluate(model, validation, CONTEXT);
      for (const starts of batches) {
        scope(() => {
          lossAt(model, tokens, starts, CONTEXT).backward();
          optimizer.step();
          optimizer.zeroGrad();
        });
      }
      losses.push(await evaluate(model, validation, CONTEXT));
      expect(losses[losses.length - 1]).toBeLessThan(before - 1);
      optimizer.dispose();
      model.dispose();
    }
    expect(Math.abs(losses[1] - losses[0])).toBeLessThan(0.05);
  });
});
