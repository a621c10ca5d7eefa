import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { F, lora, manualSeed, memoryStats, noGrad, optim, scope, type Tensor } from "../../src/index.js";
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

/** Every kind of adapter on this model. */
const varieties: Record<string, lora.LoraOptions> = {
  lora: { targetModules: "all-linear" },
  rslora: { scaling: "alpha/sqrt(r)" },
  dora: { targetModules: ["q_proj", "c_fc"], useDora: true },
  pissa: { targetModules: ["q_proj", "c_fc"], initWeights: "pissa" },
  "pissa with dora": { targetModules: ["q_proj"], initWeights: "pissa", useDora: true },
  embedding: { targetModules: ["embed_tokens", "v_proj"] },
  "embedding with dora": { targetModules: ["embed_tokens"], useDora: true },
  "biases and modules": { biasMode: "all", modulesToSave: ["norm", "lm_head"] },
  "biases of its layers": { biasMode: "lora_only", targetModules: ["q_proj", "c_fc"] },
};

const apply = (options: lora.LoraOptions) => lora.apply(model, { r: 2, alpha: 3, ...options });

/** Moves everything that is trained, so that the adapter does something. */
function train(handle: lora.LoraHandle): void {
  scope(() => {
    model.loss().backward();
    noGrad(() => {
      for (const p of handle.trainableParameters()) p.add_(F.mul(F.add(p.grad as Tensor, 0.03), -1));
    });
    model.zeroGrad();
  });
}

describe.each(Object.entries(varieties))("%s", (_, options) => {
  test("trains its own parameters and no other; disabled, switched off and detached, the model is the base to the bit", async () => {
    const base = model.logits();
    const values = model.values();
    const layers = model.modules();
    const handle = apply(options);
    scope(() => {
      model.loss().backward();
      const trained = new Set(model.parameters().filter((p) => p.grad));
      expect(trained).toEqual(new Set(handle.trainableParameters()));
    });
    model.zeroGrad();
    train(handle);
    const adapted = model.logits();
    expect(Math.max(...adapted.map((v, i) => Math.abs(v - base[i])))).toBeGreaterThan(1e-3);
    expect(Object.keys(model.values())).toEqual(Object.keys(values));
    await handle.disable(async () => {
      await Promise.resolve();
      expect(model.logits()).toEqual(base);
      expect(model.values()).toEqual(values);
      expect(() => handle.merge()).toThrow(/while it is disabled/);
    });
    expect(model.logits()).toEqual(adapted);
    handle.detach();
    expect(model.values()).toEqual(values);
    expect(model.modules()).toEqual(layers);
    expect(model.modules().every((module, i) => module === layers[i])).toBe(true);
    expect(model.parameters().every((p) => p.requiresGrad && p.grad === null)).toBe(true);
  });

  test("merge computes the same; a hundred times merged and unmerged, it drifts by less than 1e-5", () => {
    const handle = apply(options);
    train(handle);
    const adapted = model.logits();
    handle.merge();
    const merged = model.values();
    expectClose(model.logits(), adapted, { absolute: 1e-5 });
    for (let i = 0; i < 100; i++) {
      handle.unmerge();
      handle.merge();
    }
    for (const [key, values] of Object.entries(model.values())) {
      expectClose(values, merged[key], { absolute: 1e-5, relative: 0 }, key);
    }
    handle.unmerge();
    expectClose(model.logits(), adapted, { absolute: 1e-5 });
    handle.merge();
    handle.detach();
    expectClose(model.logits(), adapted, { absolute: 1e-5 });
  });

  test("saved and loaded on the base it computes the same", async () => {
    const handle = apply(options);
    train(handle);
    const adapted = model.logits();
    const saved = lora.saveAdapter(handle);
    handle.detach();
    const again = await lora.loadAdapter(model, saved);
    expectClose(model.logits(), adapted, { absolute: 1e-5 });
    expect(lora.saveAdapter(again)).toEqual(saved);
    again.detach();
  });
});

describe("several adapters", () => {
  test("one is active; switching, adding and deleting leave the others alone", () => {
    const base = model.logits();
    const handle = apply({ adapterName: "one" });
    train(handle);
    const one = model.logits();
    handle.addAdapter("two", { r: 1, initWeights: "pissa", targetModules: ["q_proj", "down_proj"] });
    expect(model.logits()).toEqual(one);
    handle.setAdapter("two");
    expectClose(model.logits(), base, { absolute: 5e-6 });
    expect(handle.config).toMatchObject({ adapterName: "two", r: 1 });
    train(handle);
    const two = model.logits();
    handle.addAdapter("three", { r: 2, modulesToSave: ["lm_head"], biasMode: "lora_only" });
    handle.setAdapter("three");
    expect(model.logits()).toEqual(base);
    train(handle);
    handle.setAdapter("one");
    expect(model.logits()).toEqual(one);
    handle.deleteAdapter("three");
    handle.setAdapter("two");
    expectClose(model.logits(), two, { absolute: 1e-6 });
    expect(handle.adapterNames).toEqual(["one", "two"]);
    handle.detach();
    expect(model.logits()).toEqual(base);
  });

  test("names, states and combinations that cannot be are errors, and change nothing", () => {
    const handle = apply({ biasMode: "all" });
    train(handle);
    const adapted = model.logits();
    const live = memoryStats();
    const wrong: [() => void, RegExp][] = [
      [() => handle.addAdapter("default"), /name must be new, got default/],
      [() => handle.addAdapter("two", { r: 9 }), /lora\.addAdapter: rank of layers\.0\.q_proj/],
      [() => handle.addAdapter("two", { r: 2, biasMode: "all" }), /one adapter of a model may train biases, got two/],
      [() => handle.setAdapter("two"), /must be one of default, got two/],
      [() => handle.deleteAdapter("default"), /must name an adapter that is not active/],
      [() => handle.addWeightedAdapter(["two"], [1], "sum"), /must be one of default, got two/],
      [() => handle.addWeightedAdapter(["default"], [1], "sum"), /got default with trained biases or modules/],
      [() => handle.addWeightedAdapter(["default"], [1, 2], "sum"), /a finite weight for each, got 1 and \[1, 2\]/],
      [
        () => handle.addWeightedAdapter([], [], "sum", { method: "ties" as "cat" }),
        /method must be "linear", "cat" or/,
      ],
      [() => handle.addWeightedAdapter([], [], "sum", { rank: 2 }), /rank must be .* beside method "svd"/],
      [() => handle.unmerge(), /unmerge must be called on a merged adapter, got an unmerged one/],
      [() => lora.apply(model), /no adapter yet, .*detach\(\) it first/],
      [() => lora.saveAdapter(model, { adapterName: "two" }), /must be one of default, got two/],
    ];
    for (const [call, message] of wrong) expect(call).toThrow(message);
    handle.merge();
    for (const call of [() => handle.merge(), () => handle.setAdapter("default"), () => handle.addAdapter("two")]) {
      expect(call).toThrow(/must be called on an unmerged adapter, got a merged one/);
    }
    handle.unmerge();
    expectClose(model.logits(), adapted, { absolute: 1e-5 });
    expect(memoryStats()).toMatchObject({ liveBytes: live.liveBytes, liveTensors: live.liveTensors });
    handle.detach();
    expect(() => handle.trainableParameters()).toThrow(/must be called before detach/);
  });

  test("weighted sums of unequal ranks and targets: exact by cat and svd, refused by linear", () => {
    const handle = apply({ adapterName: "one", targetModules: ["q_proj", "embed_tokens"] });
    train(handle);
    handle.addAdapter("two", { r: 3, targetModules: ["q_proj", "c_fc"], rankPattern: { "0.q_proj": 1 } });
    handle.setAdapter("two");
    train(handle);
    const changeOf = (name: string, path: string) => {
      handle.setAdapter(name);
      const found = handle.adapted.find((each) => each.path === path);
      if (!found) return [];
      return scope(() => {
        const { lora_A: a, lora_B: b, scaling } = found.delta;
        return [...F.mul(F.matmul(b, a), scaling).data()];
      });
    };
    expect(() => handle.addWeightedAdapter(["one", "two"], [1, 1], "sum")).toThrow(/ranks must be equal .* 2 and 1 at/);
    handle.addWeightedAdapter(["one", "two"], [0.5, -2], "cat", { method: "cat" });
    handle.addWeightedAdapter(["one", "two"], [0.5, -2], "svd", { method: "svd", rank: 6 });
    for (const path of ["layers.0.q_proj", "layers.1.q_proj", "layers.1.c_fc", "embed_tokens"]) {
      const [one, two] = [changeOf("one", path), changeOf("two", path)];
      const sum = Array.from(
        { length: Math.max(one.length, two.length) },
        (_, i) => 0.5 * (one[i] ?? 0) - 2 * (two[i] ?? 0),
      );
      expectClose(changeOf("cat", path), sum, { absolute: 1e-6 }, `cat, ${path}`);
      expectClose(changeOf("svd", path), sum, { absolute: 1e-6 }, `svd, ${path}`);
    }
    handle.detach();
  });
});

describe("what is shared", () => {
  test("a tied weight is not merged, nor a tied module put back; the model is as it was", () => {
    model.lm_head.weight.dispose();
    model.lm_head.weight = model.embed_tokens.weight;
    before = memoryStats();
    for (const options of [{ targetModules: ["embed_tokens"] }, { modulesToSave: ["lm_head"] }]) {
      const handle = apply(options);
      train(handle);
      const adapted = model.logits();
      expect(() => handle.merge()).toThrow(/must not change a weight that is tied, got .*\.weight, tied to/);
      expect(model.logits()).toEqual(adapted);
      handle.detach();
    }
  });

  test("a DoRA magnitude of 0 is not merged", () => {
    const handle = apply({ useDora: true });
    handle.adapted[0].delta.lora_magnitude_vector?.set(new Float32Array(6));
    expect(() => handle.merge()).toThrow(/got a DoRA magnitude or a row of the weight that is 0 \(layers\.0\.q_proj\)/);
    handle.detach();
  });

  test("a model that is disposed takes its adapters with it", () => {
    const other = new LoraModel();
    const handle = lora.apply(other, { modulesToSave: ["lm_head"], biasMode: "all", initWeights: "pissa", r: 2 });
    handle.addAdapter("two", { r: 2, useDora: true });
    other.dispose();
    expect(() => handle.merge()).toThrow(/detached/);
  });

  test("the number of parameters, as PEFT prints it", () => {
    const handle = apply({ targetModules: ["q_proj"] });
    const total = model.numParameters();
    const trainable = 3 * (2 * 6 + 6 * 2);
    expect(handle.parameterCount()).toEqual({ trainable, total, percent: (100 * trainable) / total });
    handle.detach();
  });

  test("under dropout, training draws masks for the adapter's input alone; DoRA's base part has none", () => {
    for (const useDora of [false, true]) {
      const handle = apply({ useDora, dropout: 0.5 });
      const still = model.eval().logits();
      expect(model.logits()).toEqual(still);
      model.train();
      expectClose(model.logits(), still, { absolute: 5e-6 }); // B is zero yet
      train(handle);
      expect(model.logits()).not.toEqual(model.logits());
      handle.detach();
    }
  });

  test("an optimizer goes on after a switch to another adapter and back", () => {
    const handle = apply({ adapterName: "one", targetModules: ["q_proj", "c_fc", "lm_head"] });
    const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 0.1 });
    handle.addAdapter("two", { r: 2 });
    handle.setAdapter("two");
    handle.setAdapter("one");
    const start = scope(() => model.loss().item());
    for (let i = 0; i < 20; i++) {
      scope(() => {
        model.loss().backward();
        optimizer.step();
        optimizer.zeroGrad();
      });
    }
    expect(scope(() => model.loss().item())).toBeLessThan(start / 2);
    optimizer.dispose();
    handle.detach();
  });
});
