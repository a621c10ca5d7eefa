import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { F, lora, manualSeed, memoryStats, models, nn, noGrad, quant, scope, type Tensor } from "../../src/index.js";
import distilbert from "../golden/peft_distilbert.json" with { type: "json" };
import gpt2 from "../golden/peft_gpt2.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { LoraModel } from "../support/loraModel.js";

let model: LoraModel;
let before: ReturnType<typeof memoryStats>;
beforeEach(() => {
  manualSeed(0);
  model = new LoraModel();
  before = memoryStats();
});
afterEach(() => {
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
  model.dispose();
});

const pathsFor = (options: lora.LoraOptions) => {
  const handle = lora.apply(model, { r: 1, ...options });
  const paths = handle.adapted.map(({ path }) => path);
  handle.detach();
  return paths;
};

describe("targets", () => {
  test("every kind of layer by name; all-linear leaves out embeddings and the output head", () => {
    expect(pathsFor({ targetModules: ["embed_tokens", "lm_head"] })).toEqual(["embed_tokens", "lm_head"]);
    const all = pathsFor({ targetModules: "all-linear" });
    expect(all).toHaveLength(12);
    expect(all.filter((path) => /embed|lm_head/.test(path))).toEqual([]);
    expect(pathsFor({})).toEqual([0, 1, 2].flatMap((i) => [`layers.${i}.q_proj`, `layers.${i}.v_proj`]));
  });

  test("layersToTransform picks blocks by number, of the lists that layersPattern names", () => {
    expect(pathsFor({ targetModules: ["q_proj"], layersToTransform: 1, layersPattern: "layers" })).toEqual([
      "layers.1.q_proj",
    ]);
    expect(pathsFor({ targetModules: ["q_proj"], layersToTransform: [0, 2], layersPattern: ["layers"] })).toHaveLength(
      2,
    );
    // as PEFT: without a pattern the list must itself have a name before it
    expect(() => pathsFor({ targetModules: ["q_proj"], layersToTransform: [1] })).toThrow(
      /targetModules must match a layer, got q_proj in layers 1 without a match/,
    );
    expect(() => pathsFor({ targetModules: /.*q_proj/, layersToTransform: [1] })).toThrow(/a list of names beside/);
    expect(() => pathsFor({ targetModules: ["q_proj"], layersPattern: "layers" })).toThrow(
      /given with layersToTransform/,
    );
  });

  test("excludeModules takes names and patterns away; a pattern matches whole paths", () => {
    expect(pathsFor({ targetModules: /layers\.\d\.q_proj/, excludeModules: /.*\.1\..*/ })).toEqual([
      "layers.0.q_proj",
      "layers.2.q_proj",
    ]);
    expect(() => pathsFor({ targetModules: /q_proj/ })).toThrow(/without a match/);
    expect(() => pathsFor({ targetModules: ["q_proj"], excludeModules: ["q_proj"] })).toThrow(/without a match/);
  });

  test("layers of modules that are trained whole get no adapter", () => {
    expect(pathsFor({ targetModules: ["q_proj", "lm_head"], modulesToSave: ["lm_head", "layers.0"] })).toEqual([
      "layers.1.q_proj",
      "layers.2.q_proj",
    ]);
    expect(() => pathsFor({ targetModules: ["q_proj"], modulesToSave: ["head_of_state"] })).toThrow(
      /modulesToSave must name modules, got head_of_state; the model's are named embed_tokens, layers/,
    );
  });
});

describe("sizes", () => {
  test("patterns give single layers their rank and alpha, whatever the scaling", () => {
    for (const [scaling, expected] of [
      ["alpha/r", 6 / 3],
      ["alpha/sqrt(r)", 6 / Math.sqrt(3)],
      ["alpha", 6],
    ] as const) {
      const handle = lora.apply(model, {
        r: 2,
        alpha: 4,
        scaling,
        rankPattern: { "1.q_proj": 3 },
        alphaPattern: { "layers.1.q_proj": 6 },
      });
      const { delta } = handle.adapted.find(({ path }) => path === "layers.1.q_proj") as {
        delta: { rank: number; scaling: number };
      };
      expect([delta.rank, delta.scaling]).toEqual([3, expected]);
      handle.detach();
    }
  });

  test("wrong values are errors that name the option", () => {
    const wrong: [lora.LoraOptions, RegExp][] = [
      [{ r: 7 }, /rank of layers\.0\.q_proj must be a whole number from 1 to 6 \(the layer is 6 → 6\), got 7/],
      [{ rankPattern: { v_proj: 0 } }, /rankPattern\["v_proj"\] must be a whole number from 1, got 0/],
      [{ rankPattern: null as never }, /rankPattern must be an object of numbers by pattern, got null/],
      [{ alpha: Number.NaN }, /alpha must be a finite number/],
      [{ scaling: "alpha/2" as "alpha" }, /scaling must be "alpha\/r", "alpha\/sqrt\(r\)" or "alpha", got "alpha\/2"/],
      [{ initWeights: "olora" as "pissa" }, /initWeights must be "default", "gaussian", "pissa" or "orthogonal"/],
      [
        { initWeights: "orthogonal", r: 3 },
        /rank must be even for initWeights "orthogonal", got 3 at layers\.0\.q_proj/,
      ],
      [{ initWeights: "pissa", alpha: 0, r: 2 }, /alpha must be above 0/],
      [{ biasMode: "some" as "all" }, /biasMode must be "none", "all" or "lora_only"/],
      [{ modulesToSave: "lm_head" as unknown as string[] }, /modulesToSave must be a list of names/],
      [{ useDora: 1 as unknown as boolean }, /useDora must be true or false/],
    ];
    for (const [options, message] of wrong) expect(() => lora.apply(model, options)).toThrow(message);
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true);
  });
});

describe("starts", () => {
  const start = (options: lora.LoraOptions) =>
    lora.apply(model, { r: 2, targetModules: ["q_proj", "c_fc", "embed_tokens"], ...options });

  test.each(["default", "gaussian", "orthogonal", "pissa"] as const)(
    "%s changes nothing, with and without DoRA",
    (initWeights) => {
      const base = model.logits();
      for (const useDora of [false, true]) {
        const handle = start({ initWeights, useDora });
        expectClose(model.logits(), base, { absolute: 5e-6 });
        handle.detach();
        expect(model.logits()).toEqual(base);
      }
    },
  );

  test("gaussian has standard deviation 1/r, the default is Kaiming's, an embedding's B is normal", () => {
    const wide = new nn.Linear(300, 300);
    const spread = (initWeights: "default" | "gaussian") => {
      const handle = lora.apply(wide, { r: 4, targetModules: /.*/, initWeights });
      const a = scope(() => handle.adapted[0].delta.lora_A.data());
      handle.detach();
      return Math.sqrt(a.reduce((sum, v) => sum + v * v, 0) / a.length);
    };
    expect(spread("gaussian") * 4).toBeCloseTo(1, 1);
    expect(spread("default") * Math.sqrt(3 * 300)).toBeCloseTo(1, 1); // U(−1/√in, 1/√in)
    wide.dispose();
    const handle = start({ initWeights: "gaussian" });
    const { delta } = handle.adapted[0];
    expect(delta.lora_A.data().every((v) => v === 0)).toBe(true);
    expect(delta.lora_B.data().every((v) => v !== 0)).toBe(true);
    handle.detach();
  });

  test("orthogonal: A and B are not zero, their product is", () => {
    const handle = start({ initWeights: "orthogonal" });
    scope(() => {
      const { delta } = handle.adapted[1];
      expect(F.norm(delta.lora_B).item()).toBeGreaterThan(0.05);
      expect(F.norm(F.matmul(delta.lora_B, delta.lora_A)).item()).toBeLessThan(1e-7);
    });
    handle.detach();
  });

  test("pissa: the layer's weight is the residual, under its name; its largest singular vectors are trained", () => {
    const weight = model.values()["layers.0.q_proj.weight"];
    const handle = start({ initWeights: "pissa", alpha: 3 });
    scope(() => {
      const { delta } = handle.adapted.find(({ path }) => path === "layers.0.q_proj") as (typeof handle.adapted)[0];
      const residual = model.values()["layers.0.q_proj.weight"];
      const change = F.mul(F.matmul(delta.lora_B, delta.lora_A), 1.5).data();
      expectClose(
        residual.map((v, i) => v + change[i]),
        weight,
      );
      expect(Math.hypot(...residual)).toBeLessThan(Math.hypot(...weight));
    });
    handle.detach();
    expect(model.values()["layers.0.q_proj.weight"]).toEqual(weight);
  });

  test("one seed, one adapter", () => {
    const draw = (): Float32Array => {
      manualSeed(7);
      const handle = start({ initWeights: "orthogonal" });
      const values = handle.adapted[1].delta.lora_A.data();
      handle.detach();
      return values;
    };
    expect(draw()).toEqual(draw());
  });
});

describe("targetsFor: the parts that tutorials switch on", () => {
  const recipe = (target: nn.Module, parts: lora.Parts, r = 4) => {
    const options = lora.targetsFor(target, parts, { r });
    const handle = lora.apply(target, { alpha: 8, ...options });
    const paths = handle.adapted.map(({ path }) => path.split(".").at(-1));
    const ranks = handle.adapted.map(({ delta }) => delta.rank);
    handle.detach();
    return { names: new Set(paths), ranks };
  };

  test("on DistilBERT's names: each part alone, all together; a small head gets a smaller rank", () => {
    const bert = new models.DistilBertForSequenceClassification(distilbert.config as models.DistilBertConfig);
    expect(recipe(bert, { query: true }).names).toEqual(new Set(["q_lin"]));
    expect(recipe(bert, { key: true }).names).toEqual(new Set(["k_lin"]));
    expect(recipe(bert, { value: true }).names).toEqual(new Set(["v_lin"]));
    expect(recipe(bert, { projection: true }).names).toEqual(new Set(["out_lin"]));
    expect(recipe(bert, { mlp: true }).names).toEqual(new Set(["lin1", "lin2"]));
    const head = recipe(bert, { head: true });
    expect(head.names).toEqual(new Set(["pre_classifier", "classifier"]));
    expect(head.ranks).toEqual([4, 3]);
    expect(recipe(bert, { query: true, key: false, value: true, mlp: true, head: true }).names.size).toBe(6);
    bert.dispose();
  });

  test("on GPT-2's and Llama's names", () => {
    const gpt = new models.GPT2(gpt2.config as models.GPT2Config);
    expect(recipe(gpt, { query: true, value: true }).names).toEqual(new Set(["c_attn"]));
    expect(lora.targetsFor(gpt, { projection: true }).targetModules).toEqual(["attn.c_proj"]);
    expect(recipe(gpt, { mlp: true }).ranks).toHaveLength(4);
    gpt.dispose();
    expect(recipe(model, { query: true, value: true, mlp: true, head: true }).names).toEqual(
      new Set(["q_proj", "v_proj", "c_fc", "down_proj", "lm_head"]),
    );
  });

  test("parts that are unknown, missing or none are errors", () => {
    expect(() => lora.targetsFor(model, { keys: true } as lora.Parts)).toThrow(/parts must be query, key/);
    expect(() => lora.targetsFor(model, { key: true })).toThrow(/got key; the model's layers that take an adapter/);
    expect(() => lora.targetsFor(model, {})).toThrow(/got none/);
  });

  test("freeze all, wrap the chosen, train, merge, detach", () => {
    const target = new LoraModel();
    const handle = lora.apply(target, { alpha: 8, ...lora.targetsFor(target, { query: true, mlp: true, head: true }) });
    scope(() => {
      target.loss().backward();
      const trained = new Set(target.parameters().filter((p) => p.grad));
      expect(trained).toEqual(new Set(handle.trainableParameters()));
      noGrad(() => {
        for (const p of handle.trainableParameters()) p.add_(p.grad as Tensor, { alpha: -0.1 });
      });
    });
    const adapted = target.logits();
    handle.merge();
    handle.detach();
    expectClose(target.logits(), adapted, { absolute: 1e-5 });
    expect(target.parameters().every((p) => p.requiresGrad)).toBe(true);
    target.dispose();
  });
});

describe("over quantized layers", () => {
  test("trains, and merges only on request, saying what rounding cost; unmerge and detach give the codes back", () => {
    const target = new LoraModel();
    for (const path of ["layers.0.q_proj", "layers.1.q_proj", "layers.2.down_proj"]) {
      const layer = target.getSubmodule(path) as nn.Linear;
      target.setSubmodule(path, quant.QuantizedLinear.from(layer, "int8"));
      layer.dispose();
    }
    const codes = target.values();
    const targetModules = ["0.q_proj", "1.q_proj", "2.down_proj"];
    const handle = lora.apply(target, { r: 2, targetModules });
    scope(() => {
      for (const p of handle.trainableParameters()) nn.init.normal_(p, 0, 0.1);
      target.loss().backward();
      expect(handle.trainableParameters().every((p) => p.grad)).toBe(true);
    });
    const adapted = target.logits();
    expect(() => handle.merge()).toThrow(/got a quantized weight, .*requantize: true.*layers\.0\.q_proj/);
    expect(target.logits()).toEqual(adapted);
    const { maxError } = scope(() => handle.merge({ requantize: true })); // the codes are kept beyond the scope
    expect(maxError).toBeGreaterThan(0);
    expect(maxError).toBeLessThan(0.02);
    handle.unmerge();
    expect(target.logits()).toEqual(adapted);
    handle.detach();
    expect(target.values()).toEqual(codes);
    expect(() => lora.apply(target, { initWeights: "pissa", targetModules, r: 2 })).toThrow(/got a quantized layer/);
    target.dispose();
  });
});
