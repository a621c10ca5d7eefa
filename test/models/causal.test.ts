import { describe, expect, test, vi } from "vitest";
import { F, memoryStats, models, noGrad, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/causal.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { bytesOf, tensorsOf } from "../support/golden.js";

const int = (values: number[][]) => tensor(values, { dtype: "int32" });
const close = { absolute: 5e-6, relative: 1e-5 };

interface Golden {
  config: { model_type: string };
  weights: string;
  loss: number;
  greedy: number[];
  values: string;
}
const all: Record<string, Golden> = golden.models;

function load(which: Golden, changes: object = {}): Promise<models.GPT2 | models.Llama> {
  const config = JSON.stringify({ ...which.config, ...changes });
  return read(which, { "config.json": config, "model.safetensors": bytesOf(which.weights) });
}

function read({ config }: Golden, files: models.ModelFiles): Promise<models.GPT2 | models.Llama> {
  return config.model_type === "gpt2" ? models.GPT2.fromPretrained(files) : models.Llama.fromPretrained(files);
}

async function withModel(which: Golden, check: (model: models.GPT2 | models.Llama) => unknown): Promise<void> {
  const before = memoryStats();
  const model = await load(which);
  try {
    await check(model);
  } finally {
    model.dispose();
  }
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}

for (const [name, which] of Object.entries(all)) {
  describe(name, () => {
    test("logits, loss and gradients equal those of transformers, with padding and without", () =>
      withModel(which, async (model) => {
        const expected = await tensorsOf(which.values);
        scope(() => {
          expectClose(model.forward(int(golden.ids)).data(), expected.logits.data(), close, "logits");
          const mask = tensor(golden.mask);
          const logits = model.forward(int(golden.ids), { attentionMask: mask, positionIds: int(golden.positions) });
          const shown = F.mul(logits, F.unsqueeze(mask, -1));
          expectClose(shown.data(), expected.padded.data(), close, "logits with padding");
          const [B, T, V] = logits.shape;
          const predictions = F.reshape(F.narrow(logits, 1, 0, T - 1), [B * (T - 1), V]);
          const loss = F.crossEntropy(predictions, F.reshape(int(golden.targets), [-1]));
          expectClose([loss.item()], [which.loss]);
          loss.backward();
        });
        const parameters = Object.fromEntries(model.namedParameters());
        const gradients = Object.entries(expected).filter(([key]) => key.startsWith("gradient."));
        expect(gradients.length).toBeGreaterThan(0);
        for (const [key, value] of gradients) {
          expectClose(parameters[key.slice(9)].grad?.data() ?? [], value.data(), close, key);
        }
        for (const value of Object.values(expected)) value.dispose();
      }));

    test("the greedy continuation is transformers'", () =>
      withModel(which, async (model) => {
        const options = { maxNewTokens: 12, repetitionPenalty: 1.2, stop: [] };
        expect(await model.generate(which.greedy.slice(0, 4), options)).toEqual(which.greedy);
      }));

    test("with the cache, tokens have the logits of the whole, also where texts have padding", () =>
      withModel(which, (model) =>
        noGrad(() =>
          scope(() => {
            const [mask, positions, ids] = [tensor(golden.mask), int(golden.positions), int(golden.ids)];
            const whole = model.forward(ids, { attentionMask: mask, positionIds: positions });
            const cache = new models.KeyValueCache(3);
            const T = ids.shape[1];
            const parts = [5, 1, 1, 2].map((length) => {
              const at = cache.length;
              const part = (x: Tensor) => F.narrow(x, 1, at, length);
              const attentionMask = F.narrow(mask, 1, 0, at + length);
              return model.forward(part(ids), { attentionMask, positionIds: part(positions), cache });
            });
            expect(cache.length).toBe(T);
            cache.dispose();
            const shown = (x: Tensor) => F.mul(x, F.unsqueeze(mask, -1)).data();
            expectClose(shown(F.cat(parts, 1)), shown(whole), close);
          }),
        ),
      ));

    test("what it writes it reads again, byte for byte", () =>
      withModel(which, async (model) => {
        const written = await model.savePretrained();
        const again = await read(which, written);
        expect(await again.savePretrained()).toEqual(written);
        again.dispose();
      }));
  });
}

describe("causal language models", () => {
  const { gpt2, qwen2, mistral } = all;

  test("logits of the last tokens alone are those of the whole", () =>
    withModel(gpt2, (model) =>
      scope(() => {
        const whole = model.forward(int(golden.ids));
        const last = model.forward(int(golden.ids), { logitsToKeep: 2 });
        expect(last.shape).toEqual([2, 2, whole.shape[2]]);
        expectClose(last.data(), F.narrow(whole, 1, 7, 2).data(), close);
        expect(() => model.forward(int(golden.ids), { logitsToKeep: 10 })).toThrow(
          "GPT2: logitsToKeep must be a whole number from 1 to 9, got 10",
        );
      }),
    ));

  test("generation is without dropout, whatever the mode, and leaves the mode", () =>
    withModel(gpt2, async (model) => {
      const plain = await model.generate([3, 4, 5], { stop: [] });
      model.train();
      expect(await model.generate([3, 4, 5], { stop: [] })).toEqual(plain);
      expect(model.modules().every((module) => module.training)).toBe(true);
    }));

  test("dropout acts in training", () =>
    withModel(gpt2, (model) =>
      scope(() => {
        model.train();
        const [a, b] = [model.forward(int(golden.ids)).data(), model.forward(int(golden.ids)).data()];
        expect([...a]).not.toEqual([...b]);
      }),
    ));

  test("GPT-2 has no positions beyond its last: more tokens are an error before any work", () =>
    withModel(gpt2, async (model) => {
      const prompt = new Int32Array(20).fill(3);
      const seen: number[] = [];
      await expect(model.generate(prompt, { maxNewTokens: 6, onToken: (id) => seen.push(id) })).rejects.toThrow(
        "generate: prompt and maxNewTokens must fit config.n_positions, which is 24, got 26 tokens",
      );
      expect(seen).toEqual([]);
      // the last token is not computed with
      expect((await model.generate(prompt, { maxNewTokens: 5, stop: [] })).length).toBe(25);
    }));

  test("Llama goes on beyond its longest text, with a warning", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const model = await load(mistral, { max_position_embeddings: 6 });
    expect((await model.generate([3, 4, 5], { maxNewTokens: 6, stop: [] })).length).toBe(9);
    expect(warn.mock.calls).toEqual([
      [
        expect.stringMatching(
          /^generate: prompt and maxNewTokens must fit config\.max_position_embeddings, which is 6, got 9/,
        ),
      ],
    ]);
    warn.mockRestore();
    model.dispose();
  });

  test("a sliding window is an error where it would change the result, and only there", async () => {
    const ids = int([[3, 4, 5, 6, 7]]);
    for (const changes of [
      { ...mistral.config, sliding_window: 4 },
      { ...qwen2.config, use_sliding_window: true, max_window_layers: 1 },
    ]) {
      const which = changes.model_type === "mistral" ? mistral : qwen2;
      const model = await load(which, changes);
      const error = /texts must not be longer than config\.sliding_window, which is 4, in this version, got 5 tokens/;
      scope(() => {
        expect(() => model.forward(ids)).toThrow(error);
        expect(model.forward(F.narrow(ids, 1, 0, 4)).shape).toEqual([1, 4, 14]);
      });
      await expect(model.generate([3, 4], { maxNewTokens: 4 })).rejects.toThrow(/must fit config\.sliding_window/);
      model.dispose();
    }
    const model = await load(qwen2, { use_sliding_window: true, max_window_layers: 2 });
    scope(() => expect(model.forward(ids).shape).toEqual([1, 5, 14]));
    model.dispose();
    ids.dispose();
  });

  test("options of generation are checked before any work", () =>
    withModel(gpt2, async (model) => {
      const fails = (ids: number[], options: models.GenerateOptions, error: string) =>
        expect(model.generate(ids, options)).rejects.toThrow(error);
      await fails([], {}, "generate: the prompt must have one token or more, got none");
      await fails("text" as never, {}, "generate: the prompt must be a list of token ids, got text");
      await fails([1.5], {}, "generate: the prompt must be a list of token ids, got [1.5]");
      await fails([1], { stop: ["</s>"] as never }, 'generate: stop must be a list of token ids, got ["</s>"]');
      await fails([1, 14], {}, "GPT2: token ids must be from 0 to 13, as config.vocab_size is 14, got 14");
      await fails([1], { temperature: -1 }, "generate: temperature must be a finite number from 0, got -1");
      await fails([1], { topK: 0 }, "generate: topK must be a whole number from 1, got 0");
      await fails([1], { topP: 1.5 }, "generate: topP must be above 0 and up to 1, got 1.5");
      await fails([1], { temperatur: 1 } as object, "generate: options must be");
    }));

  test("an abort ends generation after the present token", () =>
    withModel(gpt2, async (model) => {
      const controller = new AbortController();
      const seen: number[] = [];
      const onToken = (id: number) => seen.push(id) === 2 && controller.abort();
      const ids = await model.generate([3, 4], { stop: [], signal: controller.signal, onToken: onToken as () => void });
      expect(ids).toEqual([3, 4, ...seen]);
      expect(seen.length).toBe(2);
    }));

  test("memory is flat over generation of any length", () =>
    withModel(gpt2, async (model) => {
      const run = (maxNewTokens: number) => model.generate([5], { maxNewTokens, stop: [], temperature: 1, topK: 5 });
      for (const length of [20, 5, 20]) await run(length);
      const { liveBytes, liveTensors, reservedBytes } = memoryStats();
      for (const length of [7, 20, 13]) await run(length);
      expect(memoryStats()).toMatchObject({ liveBytes, liveTensors, reservedBytes });
    }));

  test("a cache is for one batch", () =>
    withModel(gpt2, (model) =>
      noGrad(() =>
        scope(() => {
          const cache = new models.KeyValueCache();
          model.forward(int([[3, 4]]), { cache });
          expect(() => model.forward(int([[3], [4]]), { cache })).toThrow(
            "KeyValueCache: keys and values must be [1, 2, tokens, 4] as those before, got [2, 2, 1, 4]",
          );
          cache.dispose();
        }),
      ),
    ));

  test("a cache that a failed forward left incomplete is an error", () =>
    withModel(gpt2, (model) =>
      noGrad(() =>
        scope(() => {
          const cache = new models.KeyValueCache();
          const { h } = (model as models.GPT2).transformer;
          const remove = h.at(0).registerForwardHook(() => {
            throw new Error("interrupted");
          });
          expect(() => model.forward(int([[3, 4]]), { cache })).toThrow("interrupted");
          remove();
          expect(() => model.forward(int([[3, 4]]), { cache })).toThrow(
            "KeyValueCache: every layer must hold the same tokens, got a forward that failed; start a new one",
          );
          cache.dispose();
        }),
      ),
    ));
});
