import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { io, lora, manualSeed, memoryStats, noGrad, scope, tensor, zeros } from "../../src/index.js";
import { LoraModel } from "../support/loraModel.js";

const options: lora.LoraOptions = { r: 2, targetModules: ["q_proj", "embed_tokens"], modulesToSave: ["lm_head"] };

let model: LoraModel;
let files: lora.AdapterFiles;
let before: ReturnType<typeof memoryStats>;
let values: ReturnType<LoraModel["values"]>;
let modules: unknown[];
beforeEach(() => {
  manualSeed(0);
  model = new LoraModel();
  const handle = lora.apply(model, options);
  noGrad(() => handle.trainableParameters().map((p) => p.add_(0.5)));
  files = lora.saveAdapter(handle);
  handle.detach();
  values = model.values();
  modules = model.modules();
  before = memoryStats();
});
afterEach(() => {
  // whatever went wrong, the model is what it was
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
  expect(model.values()).toEqual(values);
  expect(model.modules().every((module, i) => module === modules[i])).toBe(true);
  expect(model.parameters().every((p) => p.requiresGrad)).toBe(true);
  model.dispose();
});

const config = (): Record<string, unknown> => JSON.parse(files["adapter_config.json"]);
const load = (changes: object, weights = files["adapter_model.safetensors"]) =>
  lora.loadAdapter(model, {
    "adapter_config.json": JSON.stringify({ ...config(), ...changes }),
    "adapter_model.safetensors": weights,
  });

/** The file's tensors with some of them replaced. */
async function rewritten(change: (tensors: Awaited<ReturnType<typeof io.safetensors.parse>>["tensors"]) => void) {
  const { tensors } = await io.safetensors.parse(files["adapter_model.safetensors"]);
  const given = Object.values(tensors);
  const bytes = scope(() => {
    change(tensors);
    return io.safetensors.serialize(tensors);
  });
  for (const t of given) t.dispose();
  return bytes;
}

describe("files that are damaged", () => {
  test("weights cut off anywhere", async () => {
    const whole = files["adapter_model.safetensors"];
    for (const length of [0, 1, 7, 8, 9, 100, whole.length >> 1, whole.length - 1]) {
      await expect(load({}, whole.slice(0, length))).rejects.toThrow(/safetensors/);
    }
  });

  test("a header of other bytes", async () => {
    const broken = files["adapter_model.safetensors"].slice();
    broken[9] = 0;
    await expect(load({}, broken)).rejects.toThrow(/safetensors/);
  });

  test("a configuration that is no JSON, no object, of another method, or lacks a field", async () => {
    const loadText = (text: string) => lora.loadAdapter(model, { ...files, "adapter_config.json": text });
    await expect(loadText(files["adapter_config.json"].slice(0, 50))).rejects.toThrow(/must be JSON/);
    await expect(loadText("[1]")).rejects.toThrow(/must hold an object, got \[1\]/);
    await expect(load({ peft_type: "ADALORA" })).rejects.toThrow(/peft_type must be "LORA", got "ADALORA"/);
    await expect(load({ r: null })).rejects.toThrow(/must have r, got none/);
  });

  test("a configuration with values of other types", async () => {
    await expect(load({ r: "2" })).rejects.toThrow(/lora\.loadAdapter: r must be a whole number from 1, got "2"/);
    await expect(load({ lora_alpha: "16" })).rejects.toThrow(/alpha must be a finite number/);
    await expect(load({ target_modules: 5 })).rejects.toThrow(/targetModules must be a list of names/);
    await expect(load({ target_modules: "(" })).rejects.toThrow(
      /target_modules must be a pattern that JavaScript has too/,
    );
    await expect(load({ rank_pattern: { "(": 2 } })).rejects.toThrow(
      /a pattern must be a regular expression, got "\("/,
    );
    await expect(load({ bias: "most" })).rejects.toThrow(/bias = "most"/);
    await expect(load({ modules_to_save: "lm_head" })).rejects.toThrow(/modulesToSave must be a list of names/);
  });
});

describe("adapters for another model", () => {
  test("other names, other shapes, missing and additional tensors: all are listed at once", async () => {
    await expect(load({ target_modules: ["query"] })).rejects.toThrow(/targetModules must match a layer, got query/);
    await expect(load({ r: 3 })).rejects.toThrow(/q_proj\.lora_A\.weight must have shape \[3, 6\], has \[2, 6\]/);
    await expect(load({ modules_to_save: null })).rejects.toThrow(/unexpected keys: .*lm_head\.weight/);
    const odd = await rewritten((tensors) => {
      delete tensors["base_model.model.layers.0.q_proj.lora_A.weight"];
      tensors["base_model.model.extra"] = zeros([2]);
      tensors["base_model.model.layers.1.q_proj.lora_B.weight"] = zeros([5, 2]);
    });
    await expect(load({}, odd)).rejects.toThrow(
      /missing keys: .*layers\.0\.q_proj\.lora_A\.weight\n.*unexpected keys: .*extra\n.*layers\.1\.q_proj\.lora_B\.weight must have shape \[6, 2\], has \[5, 2\]/,
    );
  });

  test("PEFT's copy of an embedding's own weight may be there, another weight may not", async () => {
    const key = "base_model.model.embed_tokens.base_layer.weight";
    const own = values["embed_tokens.weight"];
    const same = await rewritten((tensors) => {
      tensors[key] = tensor(own, { shape: [7, 6] });
    });
    (await load({}, same)).detach();
    const other = await rewritten((tensors) => {
      tensors[key] = tensor(
        own.map((v) => v + 1),
        { shape: [7, 6] },
      );
    });
    await expect(load({}, other)).rejects.toThrow(
      /unexpected keys: base_model\.model\.embed_tokens\.base_layer\.weight/,
    );
  });

  test("beside an adapter that is there: that one goes on", async () => {
    const handle = lora.apply(model, { r: 1, adapterName: "first" });
    await expect(load({ r: 3 })).rejects.toThrow(/must have shape/);
    await expect(lora.loadAdapter(model, files, { adapterName: "first" })).rejects.toThrow(
      /name must be new, got first/,
    );
    expect(handle.adapterNames).toEqual(["first"]);
    expect(handle.config.adapterName).toBe("first");
    await load({});
    expect(handle.adapterNames).toEqual(["first", "default"]);
    expect(lora.saveAdapter(handle, { adapterName: "default" })).toEqual(files);
    handle.detach();
  });
});

test("unknown fields that are off pass, as do those that change nothing in a trained adapter", async () => {
  const handle = await load({
    invented: null,
    another: false,
    lists: [],
    task_type: "CAUSAL_LM",
    peft_version: "0.99",
    inference_mode: false,
    init_lora_weights: "gaussian",
    megatron_core: "megatron.core",
    fan_in_fan_out: true,
  });
  handle.detach();
});

test("files may be Blobs, as the hub gives them in a browser, and what a file picker gives", async () => {
  const [config, weights] = Object.values(files).map((content) => new Blob([content]));
  const picked = Object.entries(files).map(([name, content]) => new File([content], name));
  for (const source of [{ "adapter_config.json": config, "adapter_model.safetensors": weights }, picked]) {
    const handle = await lora.loadAdapter(model, source);
    expect(lora.saveAdapter(handle)).toEqual(files);
    handle.detach();
  }
});

test("a missing file or none, and an adapter that has been detached, are named", async () => {
  const part = { "adapter_config.json": files["adapter_config.json"] };
  await expect(lora.loadAdapter(model, part)).rejects.toThrow(
    "lora.loadAdapter: the files must include adapter_model.safetensors, got adapter_config.json",
  );
  await expect(lora.loadAdapter(model, undefined as never)).rejects.toThrow("the source must be a directory");
  const handle = await lora.loadAdapter(model, files);
  handle.detach();
  expect(() => lora.saveAdapter(handle)).toThrow("got a detached adapter");
});

test("a frozen adapter has nothing to train", async () => {
  const handle = await lora.loadAdapter(model, files, { trainable: false });
  expect(handle.trainableParameters()).toEqual([]);
  expect(model.parameters().some((p) => p.requiresGrad)).toBe(false);
  handle.detach();
});
