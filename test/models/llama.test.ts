import { describe, expect, test } from "vitest";
import { memoryStats, models, noGrad, scope, tensor } from "../../src/index.js";
import golden from "../golden/llama.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { bytesOf, tensorsOf } from "../support/golden.js";

const files = { "config.json": JSON.stringify(golden.config), "model.safetensors": bytesOf(golden.weights) };
const ids = () => tensor(golden.ids, { dtype: "int32" });

async function withModel(check: (model: models.Llama) => void | Promise<void>): Promise<void> {
  const before = memoryStats();
  const model = (await models.Llama.fromPretrained(files)).eval();
  await check(model);
  model.dispose();
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}

describe("Llama", () => {
  test("logits equal those of transformers", () =>
    withModel(async (model) => {
      const { logits } = await tensorsOf(golden.logits);
      scope(() =>
        expectClose(model.forward(ids()).data(), logits.data(), { absolute: 1e-5, relative: 1e-5 }, "logits"),
      );
      logits.dispose();
    }));

  test("the state dict has the keys and values of the published file", () =>
    withModel(async (model) => {
      const published = await tensorsOf(golden.weights);
      const own = model.stateDict();
      expect(Object.keys(own).sort()).toEqual(Object.keys(published).sort());
      for (const [key, value] of Object.entries(published)) {
        expect([...own[key].data()], key).toEqual([...value.data()]);
        own[key].dispose();
        value.dispose();
      }
    }));

  test("generation is the greedy continuation that transformers finds", () =>
    withModel(async (model) => {
      const prompt = golden.greedy.slice(0, 4);
      const seen: number[] = [];
      const got = await model.generate(prompt, {
        maxNewTokens: 16,
        repetitionPenalty: 1.3,
        stop: [],
        onToken: (id) => seen.push(id),
      });
      expect(got).toEqual(golden.greedy);
      expect(seen).toEqual(golden.greedy.slice(4));
    }));

  test("with the cache, tokens one by one have the logits of the whole", () =>
    withModel((model) => {
      const cache = new models.KeyValueCache(2);
      noGrad(() =>
        scope(() => {
          const whole = model.forward(ids()).data();
          const [B, T, V] = [3, 12, golden.config.vocab_size];
          for (const [start, length] of [
            [0, 5],
            [5, 1],
            [6, 1],
            [7, 5],
          ]) {
            const part = golden.ids.map((row) => row.slice(start, start + length));
            const got = scope(() => model.forward(tensor(part, { dtype: "int32" }), { cache }).data());
            for (let b = 0; b < B; b++) {
              const from = (b * T + start) * V;
              expectClose(
                got.subarray(b * length * V, (b + 1) * length * V),
                whole.subarray(from, from + length * V),
                { absolute: 1e-5 },
                `from ${start}`,
              );
            }
          }
        }),
      );
      cache.dispose();
    }));

  test("padding that the mask hides, with positions that skip it, leaves the logits of a text as they are", () =>
    withModel((model) =>
      scope(() => {
        const text = golden.ids[0].slice(0, 5);
        const V = golden.config.vocab_size;
        const plain = model.forward(tensor([text], { dtype: "int32" })).data();
        const padded = model.forward(tensor([[9, 9, 9, ...text]], { dtype: "int32" }), {
          attentionMask: tensor([[0, 0, 0, 1, 1, 1, 1, 1]]),
          positionIds: tensor([[0, 0, 0, 0, 1, 2, 3, 4]], { dtype: "int32" }),
        });
        expectClose(padded.data().subarray(3 * V), plain, { absolute: 1e-5 }, "padded");
        expect(() => model.forward(ids(), { attentionMask: tensor([[1]]) })).toThrow(
          /attentionMask must have shape \[3, 12\]/,
        );
      }),
    ));

  test("a cache in training is an error, since no gradient would flow through it", () =>
    withModel((model) => {
      const cache = new models.KeyValueCache();
      scope(() => expect(() => model.forward(ids(), { cache })).toThrow(/noGrad/));
      cache.dispose();
    }));

  test("a hook's own tensor is not the model's to free", () =>
    withModel((model) =>
      scope(() => {
        const mine = tensor(new Float32Array(3 * 12 * 24), { shape: [3, 12, 24] });
        const remove = model.model.layers.at(0).registerForwardHook(() => mine);
        const first = model.forward(ids()).data();
        expect([...model.forward(ids()).data()]).toEqual([...first]);
        expect(mine.size).toBe(3 * 12 * 24);
        remove();
      }),
    ));

  test("sampling repeats with its seed and stops at a stop token", () =>
    withModel(async (model) => {
      const sampled = (seed: number) =>
        model.generate([5, 6], { maxNewTokens: 12, temperature: 1, topK: 20, topP: 0.9, seed, stop: [] });
      expect(await sampled(3)).toEqual(await sampled(3));
      expect(await sampled(3)).not.toEqual(await sampled(4));
      const [, , first] = await model.generate([5, 6], { maxNewTokens: 1 });
      expect(await model.generate([5, 6], { maxNewTokens: 12, stop: [first] })).toEqual([5, 6, first]);
    }));

  test("memory is flat over generation and evaluation of any length", () =>
    withModel(async (model) => {
      const run = async (length: number) => {
        await model.generate([5], { maxNewTokens: length, stop: [] });
        noGrad(() => scope(() => void model.forward(ids())));
      };
      await run(60);
      const { liveBytes, liveTensors } = memoryStats();
      await run(10);
      await run(60);
      const { reservedBytes } = memoryStats();
      for (const length of [7, 60, 31]) await run(length);
      expect(memoryStats()).toMatchObject({ liveBytes, liveTensors, reservedBytes });
    }));

  test("what it writes it reads again, byte for byte", () =>
    withModel(async (model) => {
      const written = await model.savePretrained();
      const again = await models.Llama.fromPretrained(written);
      expect((await again.savePretrained())["model.safetensors"]).toEqual(written["model.safetensors"]);
      again.dispose();
    }));

  test("tied embeddings are one tensor, and written once", async () => {
    const model = new models.Llama({ ...golden.config, tie_word_embeddings: true });
    expect(model.lm_head.weight).toBe(model.model.embed_tokens.weight);
    const written = await model.savePretrained();
    const again = await models.Llama.fromPretrained(written);
    scope(() => expect([...again.forward(ids()).data()]).toEqual([...model.forward(ids()).data()]));
    again.dispose();
    model.dispose();
  });

  test("a model that does not fit its file, or asks for what is not there, is an error that says so", async () => {
    const config = (changes: object) => ({ ...files, "config.json": JSON.stringify({ ...golden.config, ...changes }) });
    const before = memoryStats();
    const load = (source: models.ModelFiles) => models.Llama.fromPretrained(source);
    await expect(load(config({ num_hidden_layers: 3 }))).rejects.toThrow(/missing keys: model\.layers\.2/);
    await expect(load(config({ vocab_size: 41 }))).rejects.toThrow(
      /embed_tokens\.weight must have shape \[41, 24\], has \[40, 24\]/,
    );
    for (const field of ["num_key_value_heads", "head_dim", "max_position_embeddings"]) {
      await expect(load(config({ [field]: 0 }))).rejects.toThrow(
        `config.${field} must be a whole number from 1, got 0`,
      );
    }
    await expect(load(config({ hidden_act: "swiglu" }))).rejects.toThrow(
      /config\.hidden_act must be one of gelu, .*, got "swiglu"/,
    );
    await expect(load(config({ rope_scaling: { rope_type: "llama3" } }))).rejects.toThrow(
      /the rope's factor must be a number above 0, got undefined/,
    );
    await expect(load(config({ rope_parameters: { rope_type: "yarn" } }))).rejects.toThrow(
      /rope type must be one of default, linear, llama3 in this version, got "yarn"/,
    );
    await expect(load(config({ rope_scaling: { partial_rotary_factor: 0.5 } }))).rejects.toThrow(
      /partial_rotary_factor must be 1 in this version, got 0\.5/,
    );
    await expect(load(config({ quantization_config: { bits: 4 } }))).rejects.toThrow(
      /config\.quantization_config must be null in this version, got {"bits":4}/,
    );
    await expect(load(config({ model_type: "granite" }))).rejects.toThrow(
      /model_type must be "llama" or "mistral" or "qwen2", got "granite"/,
    );
    await expect(load({ "config.json": files["config.json"] })).rejects.toThrow(/must include model\.safetensors/);
    await expect(load({ ...files, "config.json": "{" })).rejects.toThrow(/config\.json must be a JSON object/);
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
  });
});
