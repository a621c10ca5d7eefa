import { afterEach, describe, expect, inject, test, vi } from "vitest";

type Library = typeof import("../src/index.js");

/** The library loaded anew, cutting every call that can be cut. */
async function freshLibrary(): Promise<Library> {
  vi.resetModules();
  const { grain } = await import("../src/wasm/parallel.js");
  Object.assign(grain, { least: 0, chunk: 0 });
  return import("../src/index.js");
}

afterEach(() => vi.unstubAllGlobals());

/** 50 steps of a small classifier; the bits of its parameters. */
function train({ manualSeed, nn, optim, F, randn, randint, scope }: Library): number[] {
  manualSeed(7);
  const model = new nn.Sequential(
    new nn.Linear(20, 33),
    new nn.GELU(),
    new nn.LayerNorm([33]),
    new nn.Dropout(0.1),
    new nn.Linear(33, 10),
  );
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  for (let step = 0; step < 50; step++) {
    scope(() => {
      optimizer.zeroGrad();
      F.crossEntropy(model.forward(randn([37, 20])), randint(0, 10, [37])).backward();
      nn.utils.clipGradNorm_(model.parameters(), 1);
      optimizer.step();
    });
  }
  return model.parameters().flatMap((p) => [...new Int32Array(p.data().buffer)]);
}

/** Steps of LoRA over quantized layers; the bits of the adapter. */
function trainQuantized({ manualSeed, nn, optim, quant, lora, F, randn, scope }: Library): number[] {
  manualSeed(8);
  const model = new nn.Sequential(new nn.Linear(40, 70), new nn.GELU(), new nn.Linear(70, 40));
  quant.quantizeModel(model, "nf4");
  const parameters = lora.apply(model, { r: 4, targetModules: "all-linear" }).trainableParameters();
  const optimizer = new optim.AdamW(parameters, { lr: 1e-2 });
  for (let step = 0; step < 10; step++) {
    scope(() => {
      optimizer.zeroGrad();
      F.mseLoss(model.forward(randn([37, 40])), randn([37, 40])).backward();
      optimizer.step();
    });
  }
  return parameters.flatMap((p) => [...new Int32Array(p.data().buffer)]);
}

describe("threads", () => {
  test("50 steps of training end in the same bits with 1, 2 and 4 of them", async () => {
    const simd = inject("simd");
    const results: number[][] = [];
    for (const threads of [1, 2, 4]) {
      const library = await freshLibrary();
      expect(await library.init({ threads, simd })).toMatchObject({ threads, sharedMemory: threads > 1 });
      results.push([...train(library), ...trainQuantized(library)]);
      await library.shutdown();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test("more than cores run, and the runtime's info says what that means", async () => {
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 64 })).toMatchObject({ threads: 64, reason: expect.stringMatching(/64 threads on/) });
    await shutdown();
  });
});
