import { beforeEach, describe, expect, test } from "vitest";
import { F, lora, memoryStats, models, nn, optim, randn, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/llama.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { bytesOf, tensorsOf } from "../support/golden.js";

const baseFiles = { "config.json": JSON.stringify(golden.config), "model.safetensors": bytesOf(golden.weights) };
const adapterFiles = ({ config, start }: typeof golden.lora) => ({
  "adapter_config.json": JSON.stringify(config),
  "adapter_model.safetensors": bytesOf(start),
});

let model: models.Llama;
beforeEach(async () => {
  model = (await models.Llama.fromPretrained(baseFiles)).eval();
  return () => model.dispose();
});

function lossOf(): Tensor {
  const inputs = tensor(
    golden.ids.map((row) => row.slice(0, -1)),
    { dtype: "int32" },
  );
  const targets = tensor(
    golden.ids.flatMap((row) => row.slice(1)),
    { dtype: "int32" },
  );
  return F.crossEntropy(model.forward(inputs).reshape([-1, golden.config.vocab_size]), targets);
}

describe("adapters from PEFT", () => {
  for (const name of ["lora", "rslora"] as const) {
    test(`${name}: losses, gradients and ten steps follow PEFT`, async () => {
      const reference = golden[name];
      const handle = await lora.loadAdapter(model, adapterFiles(reference));
      const gradients = await tensorsOf(reference.gradients);
      const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 5e-3, weightDecay: 0.01 });
      reference.losses.forEach((expected, step) => {
        scope(() => {
          const loss = lossOf();
          loss.backward();
          expectClose([loss.item()], [expected], { absolute: 0, relative: 1e-4 }, `loss of step ${step}`);
          if (step === 0) {
            for (const [key, state] of Object.entries(handle.stateDict())) {
              const parameter = handle.trainableParameters().find((p) => p.buffer === state.buffer);
              expectClose(
                parameter?.grad?.data() ?? [],
                gradients[key].data(),
                { absolute: 1e-6, relative: 1e-4 },
                key,
              );
            }
          }
          optimizer.step();
          optimizer.zeroGrad();
        });
      });
      const end = await tensorsOf(reference.end);
      scope(() => {
        for (const [key, value] of Object.entries(handle.stateDict()))
          expectClose(value.data(), end[key].data(), { absolute: 2e-4 }, key);
      });
      for (const t of [...Object.values(gradients), ...Object.values(end)]) t.dispose();
      optimizer.dispose();
      handle.detach();
    });
  }

  test("what is saved loads again with the same bytes and the same loss", async () => {
    const handle = await lora.loadAdapter(model, adapterFiles(golden.lora));
    const saved = lora.saveAdapter(model);
    const before = scope(() => lossOf().item());
    handle.detach();
    const again = await lora.loadAdapter(model, saved, { trainable: false });
    expect(lora.saveAdapter(again)).toEqual(saved);
    expect(scope(() => lossOf().item())).toBe(before);
    expect(again.trainableParameters()).toEqual([]);
    expect([...saved["adapter_model.safetensors"]]).toEqual([...bytesOf(golden.lora.start)]);
    again.detach();
  });

  test("settings that would change the result, and files that do not fit, are errors; the model is left as it was", async () => {
    const before = memoryStats();
    const load = (changes: object, weights = golden.lora.start) =>
      lora.loadAdapter(model, {
        "adapter_config.json": JSON.stringify({ ...golden.lora.config, ...changes }),
        "adapter_model.safetensors": bytesOf(weights),
      });
    await expect(load({ use_dora: true })).rejects.toThrow(/missing keys: .*lora_magnitude_vector/);
    await expect(load({ modules_to_save: ["lm_head"] })).rejects.toThrow(/missing keys: .*lm_head\.weight/);
    await expect(load({ modules_to_save: ["head"], bias: "all" })).rejects.toThrow(/q_proj\.base_layer\.bias/);
    await expect(load({ invented_feature: 3, use_qalora: true })).rejects.toThrow(
      /use_qalora = true, invented_feature = 3/,
    );
    await expect(load({ init_lora_weights: "olora" })).rejects.toThrow(/init_lora_weights = "olora"/);
    await expect(load({ lora_bias: true })).rejects.toThrow(/lora_bias = true/);
    await expect(load({ layer_replication: [[0, 2]] })).rejects.toThrow(/layer_replication = \[\[0,2\]\]/);
    await expect(load({ target_modules: null })).rejects.toThrow(/must have target_modules/);
    await expect(load({ peft_type: "IA3" })).rejects.toThrow(/peft_type/);
    await expect(load({ rank_pattern: {} })).rejects.toThrow(
      /q_proj\.lora_A\.weight must have shape \[3, 24\], has \[2, 24\]/,
    );
    await expect(load({ target_modules: ["q_proj"] })).rejects.toThrow(/unexpected keys/);
    await expect(load({}, golden.weights)).rejects.toThrow(/missing keys/);
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true);
  });
});

describe("lora.apply", () => {
  test("a new adapter changes nothing at first, and only it is trained", () => {
    scope(() => {
      const before = lossOf().item();
      const handle = lora.apply(model, { r: 2, targetModules: "all-linear" });
      expect(lossOf().item()).toBe(before);
      lossOf().backward();
      const withGradient = model.parameters().filter((p) => p.grad);
      expect(new Set(withGradient)).toEqual(new Set(handle.trainableParameters()));
      expect(handle.parameterCount().trainable).toBe(model.numParameters({ trainableOnly: true }));
      handle.detach();
    });
  });

  test("state-dict keys of the model stay; the adapter's are PEFT's", () => {
    scope(() => {
      const keys = Object.keys(model.stateDict());
      const handle = lora.apply(model);
      expect(Object.keys(model.stateDict())).toEqual(keys);
      expect(Object.keys(handle.stateDict()).slice(0, 2)).toEqual([
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
      ]);
      expect(handle.config.targetModules).toEqual(["q_proj", "v_proj"]);
      handle.detach();
    });
  });

  test("merged weights compute what the adapter computes; unmerge and detach bring back what was there", async () => {
    const layer = model.getSubmodule("model.layers.0.self_attn.q_proj");
    const base = scope(() => lossOf().item());
    const handle = await lora.loadAdapter(model, adapterFiles(golden.lora));
    const adapted = scope(() => lossOf().item());
    expect(Math.abs(adapted - base)).toBeGreaterThan(1e-3);
    expect(await handle.disable(() => scope(() => lossOf().item()))).toBe(base);
    handle.merge();
    expectClose([scope(() => lossOf().item())], [adapted], {}, "merged");
    expect(() => handle.merge()).toThrow(/merge must be called on an unmerged adapter/);
    handle.unmerge();
    for (let i = 0; i < 100; i++) {
      handle.merge();
      handle.unmerge();
    }
    handle.detach();
    expect(model.getSubmodule("model.layers.0.self_attn.q_proj")).toBe(layer);
    expectClose([scope(() => lossOf().item())], [base], { absolute: 1e-5 }, "detached");
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true);
    expect(() => handle.merge()).toThrow(/detach/);
  });

  test("a tied weight is not merged: the embedding that shares it would change", () => {
    const tied = new models.Llama({ ...golden.config, tie_word_embeddings: true });
    const handle = lora.apply(tied, { r: 1, targetModules: ["lm_head"] });
    expect(() => handle.merge()).toThrow(/lm_head\.weight, tied to model\.embed_tokens\.weight/);
    handle.detach();
    tied.dispose();
  });

  test("targets: names, dotted suffixes, patterns; all-linear leaves out the output head", () => {
    const pathsFor = (options: Parameters<typeof lora.apply>[1]) => {
      const handle = lora.apply(model, { r: 1, ...options });
      const paths = handle.adapted.map(({ path }) => path);
      handle.detach();
      return paths;
    };
    expect(pathsFor({ targetModules: ["mlp.up_proj"] })).toEqual([
      "model.layers.0.mlp.up_proj",
      "model.layers.1.mlp.up_proj",
    ]);
    expect(pathsFor({ targetModules: /.*layers\.1.*_proj/, excludeModules: ["o_proj"] })).toHaveLength(6);
    expect(pathsFor({ targetModules: "all-linear" })).toHaveLength(14);
    expect(pathsFor({ targetModules: ["lm_head"] })).toEqual(["lm_head"]);
  });

  test("wrong options are errors that tell what to do, and leave the model as it was", () => {
    const before = memoryStats();
    const apply = (options: object) => () => lora.apply(model, options);
    expect(apply({ r: 0 })).toThrow(/r must be a whole number from 1, got 0/);
    expect(apply({ r: 100 })).toThrow(
      /lora\.apply: rank of model\.layers\.0\.self_attn\.q_proj must be a whole number from 1 to 24/,
    );
    expect(apply({ targetModules: ["query"] })).toThrow(
      /got query; the model's layers that take an adapter are named embed_tokens, q_proj, k_proj/,
    );
    expect(apply({ targetModules: /nothing/ })).toThrow(/without a match/);
    expect(apply({ rank: 8 })).toThrow(/options must be .*got rank/);
    expect(apply({ dropout: 1 })).toThrow(/dropout/);
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
    expect(apply({ targetModules: "q_proj" })).toThrow(/must be a list of names, a RegExp or "all-linear"/);
    const handle = lora.apply(model, { r: undefined });
    expect(() => lora.apply(model.model, {})).toThrow(/no adapter yet, got layers\.0/);
    expect(apply({})).toThrow(/detach\(\) it first/);
    handle.detach();
  });

  test("dropout acts on the adapter's input in training alone", async () => {
    const handle = lora.apply(model, { r: 2, dropout: 0.5 });
    scope(() => {
      for (const p of handle.trainableParameters()) nn.init.normal_(p);
      model.train();
      expect(lossOf().item()).not.toBe(lossOf().item());
      model.eval();
      expect(lossOf().item()).toBe(lossOf().item());
    });
    handle.detach();
  });
});

describe("LoRALayer and LinearWithLoRA", () => {
  test("alpha · (x A B), with B zero at first, and merged weights that compute the same", () => {
    scope(() => {
      const layer = new lora.LinearWithLoRA(new nn.Linear(7, 5), 3, 2);
      const x = randn([4, 7]);
      const plain = layer.linear.forward(x).data();
      expect([...layer.forward(x).data()]).toEqual([...plain]);
      expect(layer.lora.A.shape).toEqual([7, 3]);
      nn.init.normal_(layer.lora.B);
      const expected = F.add(
        layer.linear.forward(x),
        F.mul(F.matmul(F.matmul(x, layer.lora.A), layer.lora.B), 2),
      ).data();
      expectClose(layer.forward(x).data(), expected);
      layer.mergeWeights();
      expectClose(layer.forward(x).data(), expected, { absolute: 1e-5 });
      expect(() => layer.mergeWeights()).toThrow(/once/);
      expect(() => new lora.LoRALayer(4, 4, 5, 1)).toThrow(/rank/);
      expect(() => new lora.LoRALayer(4, 4, 2, Number.NaN)).toThrow("LoRALayer: alpha must be a finite number");
      layer.dispose();
    });
  });

  test("A has standard deviation 1/√rank", () => {
    const layer = new lora.LoRALayer(400, 100, 16, 1);
    const a = layer.A.data();
    const std = Math.sqrt(a.reduce((sum, v) => sum + v * v, 0) / a.length);
    expect(std).toBeGreaterThan(0.24);
    expect(std).toBeLessThan(0.26);
    layer.dispose();
  });
});
