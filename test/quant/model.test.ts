import { describe, expect, test } from "vitest";
import {
  F,
  io,
  lora,
  manualSeed,
  memoryStats,
  models,
  nn,
  noGrad,
  optim,
  quant,
  randn,
  scope,
  tensor,
} from "../../src/index.js";

const schemes = [quant.log4, quant.int8, quant.nf4, quant.int4];

const config: models.LlamaConfig = {
  vocab_size: 40,
  hidden_size: 64,
  intermediate_size: 130,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  tie_word_embeddings: true,
  initializer_range: 0.1,
};

const ids = (seed: number) =>
  tensor(
    Int32Array.from({ length: 24 }, (_, i) => (i * 7 + seed) % 40),
    { shape: [2, 12] },
  );
const logits = (model: models.Llama) => noGrad(() => scope(() => model.forward(ids(1)).data()));
/** The state dict's bytes: as text, which compares fast. */
const fileOf = (model: nn.Module) => String(scope(() => io.safetensors.serialize(model.stateDict())));
const distance = (a: Float32Array, b: Float32Array) => Math.max(...a.map((v, i) => Math.abs(v - b[i])));

describe.each(schemes)("$name", (scheme) => {
  test("replaces every linear layer but the head, and says what that did", () => {
    manualSeed(1);
    const model = new models.Llama(config);
    const reference = logits(model);
    const before = memoryStats().liveBytes;
    const weight = model.getSubmodule("model.layers.1.mlp.down_proj") as nn.Linear;
    const values = weight.weight.data();
    const report = quant.quantizeModel(model, scheme, undefined, {
      loss: () => logits(model).reduce((sum, v) => sum + v, 0),
    });
    expect(report.layers.length).toBe(14);
    expect(model.lm_head).toBeInstanceOf(nn.Linear);
    const path = "model.layers.1.mlp.down_proj";
    const layer = model.getSubmodule(path) as quant.QuantizedLinear;
    expect(layer).toBeInstanceOf(quant.QuantizedLinear);
    const errors = scope(() => quant.dequantize(layer.weight).data()).map((v, i) => Math.abs(v - values[i]));
    const entry = report.layers.find((each) => each.path === path) as quant.LayerReport;
    expect(entry.shape).toEqual([64, 130]);
    expect(entry.maxError).toBeCloseTo(Math.max(...errors), 7);
    expect(entry.meanError).toBeCloseTo(errors.reduce((sum, v) => sum + v, 0) / errors.length, 7);
    expect(report.maxError).toBe(Math.max(...report.layers.map((each) => each.maxError)));
    expect(report.meanError).toBeLessThan(0.1 * 0.3);
    expect(report.bytesBefore).toBe(4 * 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 130));
    expect(report.ratio).toBeLessThan(scheme.bits === 4 ? 0.16 : 0.27);
    expect(memoryStats().liveBytes).toBeLessThan(before - report.bytesBefore / 2);
    expect(report.loss?.before).toBeCloseTo(reference.reduce((sum, v) => sum + v, 0));
    expect(report.loss?.after).not.toBe(report.loss?.before);
    const range = Math.max(...reference.map(Math.abs));
    expect(distance(logits(model), reference)).toBeLessThan(range * (scheme.bits === 8 ? 0.05 : 0.8));
    model.dispose();
  });

  test("a quantized model goes through a file: read, loaded and written again its bytes are equal", async () => {
    const [model, other] = [new models.Llama(config), new models.Llama(config)];
    for (const each of [model, other]) quant.quantizeModel(each, scheme);
    const file = scope(() => io.safetensors.serialize(model.stateDict()));
    const { tensors } = await io.safetensors.parse(file);
    other.loadStateDict(tensors);
    expect(fileOf(other)).toBe(String(file));
    expect(logits(other)).toEqual(logits(model));
    for (const t of Object.values(tensors)) t.dispose();
    model.dispose();
    other.dispose();
  });

  test("QLoRA: only the adapter learns, and follows a float32 model of the dequantized weights", () => {
    manualSeed(2);
    const quantized = new models.Llama(config);
    const reference = new models.Llama(config);
    scope(() => reference.loadStateDict(quantized.stateDict()));
    quant.quantizeModel(quantized, scheme);
    for (const [path, layer] of quantized.namedModules()) {
      if (!(layer instanceof quant.QuantizedLinear)) continue;
      scope(() => (reference.getSubmodule(path) as nn.Linear).weight.set(quant.dequantize(layer.weight).data()));
    }
    const codes = fileOf(quantized);
    const losses = [quantized, reference].map((model) => {
      manualSeed(3);
      const handle = lora.apply(model, { r: 4, targetModules: "all-linear" });
      const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 1e-2 });
      const curve = Array.from({ length: 8 }, (_, step) =>
        scope(() => {
          const loss = F.crossEntropy(model.forward(ids(step)).reshape([24, 40]), ids(step + 1).flatten());
          loss.backward();
          optimizer.step();
          optimizer.zeroGrad();
          return loss.item();
        }),
      );
      optimizer.dispose();
      return curve;
    });
    expect(losses[0][7]).toBeLessThan(losses[0][0] - 0.1);
    for (const [step, loss] of losses[0].entries()) expect(loss).toBeCloseTo(losses[1][step], 4);
    expect(fileOf(quantized)).toBe(codes);
    quantized.dispose();
    reference.dispose();
  });

  test("merging requantizes on request, reports the error, and unmerging brings the codes back", () => {
    manualSeed(4);
    const model = new models.Llama(config);
    quant.quantizeModel(model, scheme);
    const codes = fileOf(model);
    const handle = lora.apply(model, { r: 4, targetModules: "all-linear" });
    for (const p of handle.trainableParameters()) noGrad(() => p.normal_(0, 0.1));
    const separate = logits(model);
    expect(() => handle.merge()).toThrow("requantize: true");
    expect(logits(model)).toEqual(separate);
    const { maxError, meanError } = handle.merge({ requantize: true });
    expect(maxError).toBeGreaterThan(0);
    expect(maxError).toBeLessThan(1);
    expect(meanError).toBeGreaterThan(maxError / 1000);
    expect(meanError).toBeLessThan(maxError / 2);
    expect(fileOf(model)).not.toBe(codes);
    handle.unmerge();
    expect(logits(model)).toEqual(separate);
    handle.detach();
    expect(fileOf(model)).toBe(codes);
    model.dispose();
  });
});

test("an adapter trained over a quantized base goes through PEFT's files", async () => {
  manualSeed(5);
  const [model, other] = [new models.Llama(config), new models.Llama(config)];
  scope(() => other.loadStateDict(model.stateDict()));
  for (const each of [model, other]) quant.quantizeModel(each, "nf4");
  const handle = lora.apply(model, { r: 4, targetModules: "all-linear" });
  for (const p of handle.trainableParameters()) noGrad(() => p.normal_(0, 0.1));
  const files = lora.saveAdapter(handle);
  await lora.loadAdapter(other, files);
  expect(logits(other)).toEqual(logits(model));
  model.dispose();
  other.dispose();
});

test("dequantizeModel brings float32 layers back that compute the same", async () => {
  manualSeed(6);
  const model = new models.Llama(config);
  const keys = scope(() => Object.keys(model.stateDict()));
  quant.quantizeModel(model, "nf4");
  const quantized = logits(model);
  const handle = lora.apply(model, { r: 2 });
  expect(() => quant.dequantizeModel(model)).toThrow("model.layers.0.self_attn.q_proj must have no adapter");
  handle.detach();
  await expect(model.savePretrained()).rejects.toThrow("got a quantized one at model.layers.0.self_attn.q_proj");
  quant.dequantizeModel(model);
  expect(Object.keys(await model.savePretrained())).toContain("model.safetensors");
  expect(scope(() => Object.keys(model.stateDict()))).toEqual(keys);
  expect(logits(model)).toEqual(quantized);
  model.dispose();
  const conv = new nn.Sequential(new nn.Conv1D(6, 4));
  quant.quantizeModel(conv, "int4");
  const x = scope(() => randn([2, 6]).data());
  const apply = () => scope(() => conv.forward(tensor(x, { shape: [2, 6] })).data() as Float32Array);
  const y = apply();
  quant.dequantizeModel(conv);
  expect(conv.getSubmodule("0")).toBeInstanceOf(nn.Conv1D);
  expect(distance(apply(), y)).toBeLessThan(1e-6);
  conv.dispose();
});

test("targets by name and by pattern; shared layers are replaced at every path; a tied weight stays", () => {
  const shared = new nn.Linear(8, 8);
  const model = new nn.Sequential(shared, new nn.Linear(8, 8), shared);
  const report = quant.quantizeModel(model, "int8", /0|2/);
  expect(report.layers.map(({ path }) => path)).toEqual(["0"]);
  expect(model.getSubmodule("2")).toBe(model.getSubmodule("0"));
  expect(model.getSubmodule("1")).toBeInstanceOf(nn.Linear);
  model.dispose();
  const llama = new models.Llama(config);
  quant.quantizeModel(llama, "int8", ["lm_head"]);
  scope(() => expect(llama.forward(ids(0)).shape).toEqual([2, 12, 40]));
  expect(quant.quantizeModel(llama, "nf4", ["q_proj"]).layers.length).toBe(2);
  llama.dispose();
});

test("what is wrong is named, and the model left as it was", () => {
  const model = new nn.Sequential(new nn.Linear(4, 4), new nn.Linear(4, 4));
  expect(() => quant.quantizeModel(model, "nf4", ["q_proj"])).toThrow(
    "quantizeModel: every target must name a linear layer, got q_proj; the model's are named 0, 1",
  );
  expect(() => quant.quantizeModel(model, "nf4", /x/)).toThrow(
    "quantizeModel: targets must match a linear layer, got /x/; the model's are named 0, 1",
  );
  const before = memoryStats();
  const weight = (model.getSubmodule("1") as nn.Linear).weight;
  const value = weight.data()[3];
  weight.set(weight.data().fill(Number.NaN, 3, 4));
  expect(() => quant.quantizeModel(model, "nf4")).toThrow(
    "quantizeModel: 1: quantize: values must be finite, got NaN at 3",
  );
  expect(memoryStats().liveBytes).toBe(before.liveBytes);
  weight.set(weight.data().fill(value, 3, 4));
  expect(model.getSubmodule("0")).toBeInstanceOf(nn.Linear);
  const handle = lora.apply(model, { r: 1, targetModules: ["0"] });
  expect(() => quant.quantizeModel(model, "nf4")).toThrow(
    "quantizeModel: 0: QuantizedLinear: the layer must have no adapter",
  );
  handle.detach();
  scope(() => expect(model.forward(randn([2, 4])).shape).toEqual([2, 4]));
  const one = () => quant.quantizeModel(model, "nf4", "0" as "all-linear");
  expect(one).toThrow('targets must be a list of names, a RegExp or "all-linear", got "0"');
  expect(() => quant.quantizeModel(model, "nf4", [])).toThrow("got an empty list; the model's are named 0, 1");
  quant.quantizeModel(model, "nf4");
  expect(() => quant.quantizeModel(model, "nf4")).toThrow("the model has none inside it that is not quantized yet");
  model.dispose();
});

test("the loss is taken in a scope, without recording; where it fails, the model is as it was", () => {
  const model = new nn.Sequential(new nn.Linear(4, 4), new nn.Linear(4, 4));
  const layers = ["0", "1"].map((path) => model.getSubmodule(path));
  const x = randn([2, 4]);
  const before = memoryStats();
  let calls = 0;
  const failing = () => {
    expect(model.forward(x).requiresGrad).toBe(false);
    if (calls++ % 2 === 1) throw new Error("no text");
    return 1;
  };
  const quantize = (loss: () => unknown) => () =>
    quant.quantizeModel(model, "nf4", "all-linear", { loss: loss as () => number });
  expect(quantize(failing)).toThrow("no text");
  expect(calls).toBe(2);
  expect(quantize(() => model.forward(x).mean())).toThrow("loss must return a number, got a tensor; use item()");
  expect(quantize(async () => 1)).toThrow("must be synchronous, got a promise");
  expect(quantize(3 as unknown as () => unknown)).toThrow("loss must be a function, got number");
  for (const i of [0, 1]) expect(model.getSubmodule(`${i}`)).toBe(layers[i]);
  expect(memoryStats().liveTensors).toBe(before.liveTensors);
  expect(memoryStats().liveBytes).toBe(before.liveBytes);
  x.dispose();
  model.dispose();
});

test("weights in codes are counted, shared ones once, but never as trainable", () => {
  const shared = new nn.Linear(8, 6);
  const model = new nn.Sequential(shared, new nn.Linear(6, 8, { bias: false }), shared);
  quant.quantizeModel(model, "nf4");
  expect(model.numParameters()).toBe(8 * 6 + 6 + 6 * 8);
  model.requiresGrad_(false);
  const handle = lora.apply(model, { r: 2, targetModules: ["1"] });
  const adapter = 2 * (6 + 8);
  expect(model.numParameters({ trainableOnly: true })).toBe(adapter);
  expect(handle.parameterCount()).toMatchObject({ trainable: adapter, total: 8 * 6 + 6 + 6 * 8 + adapter });
  model.dispose();
});
