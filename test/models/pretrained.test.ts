import { describe, expect, test } from "vitest";
import { F, io, lora, memoryStats, models, noGrad, type StateDict, scope, tensor } from "../../src/index.js";
import golden from "../golden/causal.json" with { type: "json" };
import { bytesOf } from "../support/golden.js";

const { config, weights } = golden.models.gpt2;
const files = { "config.json": JSON.stringify(config), "model.safetensors": bytesOf(weights) };
const index = "model.safetensors.index.json";

/** Whatever fails leaves nothing in memory. */
async function fails(
  source: models.ModelSource,
  error: RegExp | string,
  options?: models.LoadOptions<models.GPT2Config>,
): Promise<void> {
  const before = memoryStats();
  await expect(models.GPT2.fromPretrained(source, options)).rejects.toThrow(error);
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}

async function withModel(source: models.ModelSource, check: (model: models.GPT2) => unknown): Promise<void> {
  const before = memoryStats();
  const model = await models.GPT2.fromPretrained(source);
  try {
    await check(model);
  } finally {
    model.dispose();
  }
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}

function serialized(state: StateDict): Uint8Array<ArrayBuffer> {
  return io.safetensors.serialize(state);
}

/** The weights with 2 bytes each, as `encode` makes them of a float's bits. */
function halved(bytes: Uint8Array, dtype: "BF16" | "F16", encode: (bits: number) => number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const start = 8 + Number(view.getBigUint64(0, true));
  const { __metadata__: _, ...entries } = JSON.parse(new TextDecoder().decode(bytes.slice(8, start)));
  const header = Object.entries(entries as Record<string, { shape: number[]; data_offsets: [number, number] }>).map(
    ([key, { shape, data_offsets }]) =>
      [key, { dtype, shape, data_offsets: data_offsets.map((at) => at / 2) }] as const,
  );
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const output = new DataView(new ArrayBuffer(8 + json.length + (bytes.length - start) / 2));
  output.setBigUint64(0, BigInt(json.length), true);
  new Uint8Array(output.buffer).set(json, 8);
  for (let at = start; at < bytes.length; at += 4) {
    output.setUint16(8 + json.length + (at - start) / 2, encode(view.getUint32(at, true)), true);
  }
  return new Uint8Array(output.buffer);
}

/** The bits of a float16 (none of these is subnormal or too large), towards zero. */
function float16(bits: number): number {
  const exponent = ((bits >>> 23) & 255) - 112;
  return ((bits >>> 16) & 0x8000) | (exponent <= 0 ? 0 : (exponent << 10) | ((bits >>> 13) & 1023));
}

describe("fromPretrained", () => {
  test("half-precision weights are widened", async () => {
    const kept = (value: number, step: number) => Math.abs(value) * step;
    await withModel(files, async (exact) => {
      for (const [dtype, encode, step] of [
        ["BF16", (bits: number) => bits >>> 16, 2 ** -7],
        ["F16", float16, 2 ** -10],
      ] as const) {
        const narrow = halved(files["model.safetensors"], dtype, encode);
        await withModel({ ...files, "model.safetensors": narrow }, (model) => {
          const values = model.transformer.wte.weight.data();
          exact.transformer.wte.weight.data().forEach((value, i) => {
            expect(Math.abs(values[i] - value)).toBeLessThanOrEqual(kept(value, step) + 2 ** -14);
            expect(Math.abs(values[i])).toBeLessThanOrEqual(Math.abs(value));
          });
        });
      }
    });
  });

  test("the base model's name in front of the keys may be there or not; masks of old files are left out", () =>
    withModel(files, async (model) => {
      const written = scope(() => {
        const bare = Object.entries(model.stateDict()).map(([key, x]) => [key.replace("transformer.", ""), x] as const);
        const { "lm_head.weight": _, ...state } = Object.fromEntries(bare);
        return serialized({ ...state, "h.0.attn.bias": tensor([1]), "h.1.attn.masked_bias": tensor([-1e4]) });
      });
      await withModel({ ...files, "model.safetensors": written }, (again) => {
        expect(again.lm_head.weight).toBe(again.transformer.wte.weight);
        scope(() => {
          const ids = tensor(golden.ids, { dtype: "int32" });
          expect([...again.forward(ids).data()]).toEqual([...model.forward(ids).data()]);
        });
      });
    }));

  test("a tied weight may be in the file under either key or both, not with two values", () =>
    withModel(files, async (model) => {
      const withHead = (head: "same" | "other" | "alone") =>
        scope(() => {
          const { "transformer.wte.weight": wte, ...rest } = model.stateDict();
          const kept: StateDict = head === "alone" ? {} : { "transformer.wte.weight": wte };
          const value = head === "other" ? F.add(wte, 1) : wte;
          return { ...files, "model.safetensors": serialized({ ...rest, ...kept, "lm_head.weight": value }) };
        });
      for (const head of ["same", "alone"] as const) {
        await withModel(withHead(head), (again) =>
          expect([...again.lm_head.weight.data()]).toEqual([...model.lm_head.weight.data()]),
        );
      }
      await fails(withHead("other"), /must be equal, as the config ties them, got two$/);
    }));

  test("shards are read by their index, and written above a size", () =>
    withModel(files, async (model) => {
      const shards = await model.savePretrained(undefined, { maxShardBytes: 2000 });
      const names = Object.keys(shards).filter((name) => name.endsWith(".safetensors"));
      expect(names.length).toBeGreaterThan(2);
      expect(names[0]).toBe(`model-00001-of-${String(names.length).padStart(5, "0")}.safetensors`);
      const { metadata, weight_map } = JSON.parse(shards[index] as string);
      expect(metadata.total_size).toBe(model.numParameters() * 4);
      expect(Object.keys(weight_map).sort()).toEqual(
        scope(() => Object.keys(model.stateDict()))
          .filter((key) => key !== "lm_head.weight")
          .sort(),
      );
      const picked = Object.entries(shards).map(([name, content]) => new File([content], name));
      await withModel(picked, async (again) => {
        expect(await again.savePretrained()).toEqual(await model.savePretrained());
      });

      const { [names[1]]: _, ...without } = shards;
      await fails(without, `must include ${names[1]}, which ${index} names, got none of this name`);
      const unlisted = Object.entries(weight_map).filter(([, name]) => name !== names[1]);
      const shortened = JSON.stringify({ weight_map: Object.fromEntries(unlisted) });
      await fails({ ...shards, [index]: shortened }, /missing keys: transformer\./);
      await fails(
        { ...shards, [index]: '{"weight_map":{"a":"../x.safetensors"}}' },
        /must name safetensors files, got "\.\.\/x/,
      );
      await fails({ ...shards, [index]: "[]" }, /index\.json must be a JSON object, got \[\]/);
    }));

  test("a file that was cut off or corrupted is an error", async () => {
    const whole = files["model.safetensors"];
    const cut = (end: number) => ({ ...files, "model.safetensors": new Blob([whole.slice(0, end)]) });
    await fails(cut(5), /must have at least 8 bytes/);
    await fails(cut(500), /the header must fit the 500 bytes of the file \(is it whole\?\)/);
    await fails(cut(whole.length - 1), /must lie within the \d+ bytes of data \(is the file whole\?\)/);
    const corrupted = whole.slice();
    corrupted[9] ^= 255;
    await fails({ ...files, "model.safetensors": corrupted }, /^safetensors: /);
    await fails(
      { "config.json": files["config.json"] },
      /must include model\.safetensors or model\.safetensors\.index\.json, got config\.json/,
    );
    await fails({ ...files, "config.json": "null" }, "config.json must be a JSON object, got null");
  });

  test("missing, unexpected and mis-shaped keys are all reported at once", async () => {
    await withModel(files, async (model) => {
      const state = scope(() => {
        const { "transformer.ln_f.weight": _, "transformer.ln_f.bias": bias, ...rest } = model.stateDict();
        return serialized({ ...rest, extra: bias, "transformer.ln_f.bias": tensor([1, 2]) });
      });
      const error =
        /missing keys: transformer\.ln_f\.weight\n {2}unexpected keys: extra\n {2}transformer\.ln_f\.bias must have shape \[8\], has \[2\]/;
      await fails({ ...files, "model.safetensors": state }, error);
    });
  });

  test("a tensor that is there twice, with and without the base model's name, is an error", () =>
    withModel(files, async (model) => {
      const twice = scope(() => {
        const state = model.stateDict();
        return serialized({ ...state, "wpe.weight": state["transformer.wpe.weight"] });
      });
      await fails({ ...files, "model.safetensors": twice }, "must hold each tensor once, got wpe.weight again");
    }));

  test("fields that would change the results are an error that names them", async () => {
    const changed = (changes: object) => ({ ...files, "config.json": JSON.stringify({ ...config, ...changes }) });
    await fails(changed({ model_type: "bert" }), 'GPT2: config.model_type must be "gpt2", got "bert"');
    await fails(
      changed({ add_cross_attention: true }),
      "GPT2: config.add_cross_attention must be false in this version, got true",
    );
    await fails(
      changed({ activation_function: "laplace" }),
      /config\.activation_function must be one of gelu, .*, got "laplace"/,
    );
    await fails(changed({ n_head: 3 }), "GPT2: config.n_embd must be a multiple of n_head, got 8 and 3");
    await fails(changed({ n_layer: 0 }), "GPT2: config.n_layer must be a whole number from 1, got 0");
    await fails(changed({ attn_pdrop: 1 }), "GPT2: config.attn_pdrop must be from 0 to below 1, got 1");
    await fails(files, "GPT2: config.n_layer must be a whole number from 1, got 0", { config: { n_layer: 0 } });
    await fails(undefined as never, "the source must be a directory, an address or files, got undefined");
    await fails(files, /newHead must be given for a model with a head for one task/, { newHead: true });
    await expect(models.DistilBert.fromPretrained(files)).rejects.toThrow(
      'config.model_type must be "distilbert", got "gpt2"',
    );
  });

  test("an adapter that is not merged is in no weight that could be written", () =>
    withModel(files, async (model) => {
      const handle = lora.apply(model, { r: 2, initWeights: "pissa" });
      await expect(model.savePretrained()).rejects.toThrow("savePretrained: adapters must be merged, got an unmerged");
      const base = await handle.disable(() => model.savePretrained());
      expect(Object.keys(base).sort()).toEqual(["config.json", "model.safetensors"]);
      handle.merge();
      const merged = await model.savePretrained();
      handle.detach();
      expect(await model.savePretrained()).toEqual(merged);
    }));

  test("a model that memory does not hold leaves nothing behind", () =>
    fails(files, /^memory: a tensor of 8192\.0 MiB must fit/, { config: { n_embd: 1024, n_positions: 2 ** 21 } }));

  test("loading can be aborted between tensors", async () => {
    const controller = new AbortController();
    let seen = 0;
    const options = { signal: controller.signal, onProgress: () => ++seen === 3 && controller.abort() };
    await fails(files, /abort/, options as models.LoadOptions);
    expect(seen).toBe(3);
  });
});

describe("models", () => {
  test("ids that are not of the vocabulary, masks and positions of other shapes are errors that say so", () =>
    withModel(files, (model) =>
      scope(() => {
        const before = memoryStats().liveTensors;
        const ids = (values: number[][]) => tensor(values, { dtype: "int32" });
        expect(() => model.forward(ids([[1, 14]]))).toThrow(
          "GPT2: token ids must be from 0 to 13, as config.vocab_size is 14, got 14; the tokenizer must be the model's own",
        );
        expect(() => model.forward(ids([[-1]]))).toThrow("got -1; the tokenizer");
        expect(() => model.forward(tensor([[1.5]]))).toThrow('GPT2: token ids must have dtype "int32", got "float32"');
        expect(() => model.forward(tensor(Int32Array.of(1, 2)))).toThrow(
          /must have shape \[batch, tokens\].*, got \[2\]/,
        );
        expect(() => model.forward(ids([[1, 2]]), { attentionMask: tensor([[1, 1, 1]]) })).toThrow(
          "GPT2: attentionMask must have shape [1, 2], got [1, 3]",
        );
        expect(() => model.forward(ids([[1, 2]]), { positionIds: ids([[1]]) })).toThrow(
          "GPT2: positionIds must be int32 [1, 2], got int32 [1, 1]",
        );
        expect(() => model.forward(ids([[1, 2]]), { positionIds: ids([[0, 24]]) })).toThrow(
          "GPT2: positions must be below config.n_positions, which is 24, got 24",
        );
        expect(() => model.forward(ids([[1, 2]]), { mask: 1 } as object)).toThrow(
          /options must be cache, attentionMask/,
        );
        expect(memoryStats().liveTensors - before).toBeLessThan(12); // the ids made here, in this scope
      }),
    ));

  test("lists in place of tensors are errors that name them", () =>
    withModel(files, (model) =>
      scope(() => {
        const ids = tensor([[1]], { dtype: "int32" });
        const before = memoryStats().liveTensors;
        expect(() => model.forward([[1]] as never)).toThrow("GPT2: token ids must be a tensor, got 1");
        for (const name of ["attentionMask", "positionIds"]) {
          expect(() => model.forward(ids, { [name]: [[1]] })).toThrow(`GPT2: ${name} must be a tensor, got 1`);
        }
        expect(memoryStats().liveTensors).toBe(before);
      }),
    ));

  test("a model shows what it is made of", () =>
    withModel(files, (model) => {
      const text = model.toString();
      expect(text).toMatch(/^GPT2\(\n {2}\(transformer\): GPT2Model\(\n {4}\(wte\): Embedding\(14, 8\)/);
      expect(text).toMatch(/\(h\): ModuleList\(\n {6}\(0-1\): 2 x GPT2Block\(/);
      expect(text).toMatch(/\(c_attn\): Conv1D\(in=8, out=24\)/);
    }));

  test("what inference made is released", () =>
    withModel(files, (model) =>
      noGrad(() => {
        const { liveTensors } = memoryStats();
        scope(() => void model.forward(tensor(golden.ids, { dtype: "int32" })));
        expect(memoryStats().liveTensors).toBe(liveTensors);
      }),
    ));
});
