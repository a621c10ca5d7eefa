import { describe, expect, test } from "vitest";
import {
  F,
  io,
  lora,
  memoryStats,
  models,
  type nn,
  noGrad,
  optim,
  scope,
  type Tensor,
  tensor,
} from "../../src/index.js";
import distilbert from "../golden/peft_distilbert.json" with { type: "json" };
import gpt2 from "../golden/peft_gpt2.json" with { type: "json" };
import llama from "../golden/peft_llama.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { bytesOf } from "../support/golden.js";

interface Adapter {
  config: object;
  start: string;
}

interface Variety extends Adapter {
  logits: string;
  gradients: string;
  losses: number[];
  converted?: { config: object; end: string; logits: string };
}

interface Golden {
  config: object;
  weights: string;
  logits: string;
  varieties: Readonly<Record<string, Variety>>;
  sums: Readonly<Record<string, { adapters: Adapter[]; logits: string }>>;
}

interface Case {
  golden: Golden;
  load: (files: { "config.json": string; "model.safetensors": Uint8Array<ArrayBuffer> }) => Promise<nn.Module>;
  logits: (model: nn.Module) => Tensor;
  loss: (logits: Tensor) => Tensor;
}

type LanguageModel = nn.Module & { forward(ids: Tensor): Tensor };

const languageModel = (golden: Golden & { ids: number[][] }, load: Case["load"]): Case => ({
  golden,
  load,
  logits: (model) => (model as LanguageModel).forward(tensor(golden.ids, { dtype: "int32" })),
  loss: (logits) => {
    const targets = tensor(
      golden.ids.flatMap((row) => row.slice(1)),
      { dtype: "int32" },
    );
    const inner = F.narrow(logits, 1, 0, golden.ids[0].length - 1);
    return F.crossEntropy(F.reshape(inner, [targets.size, -1]), targets);
  },
});

const cases: Record<string, Case> = {
  Llama: languageModel(llama, (files) => models.Llama.fromPretrained(files)),
  GPT2: languageModel(gpt2, (files) => models.GPT2.fromPretrained(files)),
  DistilBert: {
    golden: distilbert,
    load: (files) => models.DistilBertForSequenceClassification.fromPretrained(files),
    logits: (model) =>
      (model as models.DistilBertForSequenceClassification).forward(tensor(distilbert.ids, { dtype: "int32" }), {
        attentionMask: tensor(distilbert.mask, { dtype: "int32" }),
      }),
    loss: (logits) => F.crossEntropy(logits, tensor(distilbert.labels, { dtype: "int32" })),
  },
};

const adapterFiles = ({ config, start }: Adapter) => ({
  "adapter_config.json": JSON.stringify(config),
  "adapter_model.safetensors": bytesOf(start),
});

const floats = (base64: string) => new Float32Array(bytesOf(base64).buffer);

/** float32 against float32: logits after a handful of layers. */
const tolerance = { absolute: 2e-5, relative: 2e-5 };

for (const [name, { golden, load, logits, loss }] of Object.entries(cases)) {
  const withModel = async (run: (model: nn.Module) => Promise<void>) => {
    const files = { "config.json": JSON.stringify(golden.config), "model.safetensors": bytesOf(golden.weights) };
    const model = (await load(files)).eval();
    try {
      logitsOf(model); // the first call makes rotary tables
      const before = memoryStats();
      await run(model);
      const after = memoryStats();
      expect([after.liveBytes, after.liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
    } finally {
      model.dispose();
    }
  };
  const logitsOf = (model: nn.Module) => scope(() => noGrad(() => logits(model)).data());

  /** Ten steps of AdamW against PEFT's losses; the first step's gradients too. */
  const follow = (model: nn.Module, handle: lora.LoraHandle, reference: Variety, checksGradients: boolean) => {
    const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 5e-3, weightDecay: 0.01 });
    const losses = reference.losses.map((_, step) =>
      scope(() => {
        const result = loss(logits(model));
        result.backward();
        if (step === 0 && checksGradients) {
          const state = handle.stateDict();
          const gradients = Object.keys(state)
            .sort()
            .flatMap((key) => {
              const parameter = handle.trainableParameters().find((p) => p.buffer === state[key].buffer);
              return [...(parameter?.grad?.data() ?? [])];
            });
          expectClose(gradients, floats(reference.gradients), { absolute: 2e-6, relative: 1e-4 }, "gradients");
        }
        optimizer.step();
        optimizer.zeroGrad();
        return result.item();
      }),
    );
    expectClose(losses, reference.losses, { absolute: 0, relative: 1e-4 }, "losses");
    optimizer.dispose();
  };

  describe(`${name} with adapters from PEFT`, () => {
    test.each(Object.entries(golden.varieties))(
      "%s: logits, gradients and ten steps are PEFT's",
      async (_, reference) => {
        await withModel(async (model) => {
          expectClose(logitsOf(model), floats(golden.logits), tolerance, "base");
          const handle = await lora.loadAdapter(model, adapterFiles(reference));
          expectClose(logitsOf(model), floats(reference.logits), tolerance, "adapted");
          follow(model, handle, reference, true);
          handle.detach();
          expectClose(logitsOf(model), floats(golden.logits), tolerance, "detached");
        });
      },
    );

    test.each(Object.entries(golden.varieties))("%s: saved, it loads again to the bit", async (key, reference) => {
      await withModel(async (model) => {
        const handle = await lora.loadAdapter(model, adapterFiles(reference));
        const saved = lora.saveAdapter(handle);
        const before = logitsOf(model);
        handle.detach();
        const again = await lora.loadAdapter(model, saved);
        if (key.startsWith("pissa")) expectClose(logitsOf(model), before, tolerance);
        else expect(logitsOf(model)).toEqual(before);
        expect(lora.saveAdapter(again)).toEqual(saved);
        again.detach();
      });
    });

    test.each(Object.entries(golden.varieties))("%s: merged and detached, it is in the model", async (_, reference) => {
      await withModel(async (model) => {
        const keys = scope(() => Object.keys(model.stateDict()));
        const handle = await lora.loadAdapter(model, adapterFiles(reference));
        handle.merge();
        expectClose(logitsOf(model), floats(reference.logits), tolerance, "merged");
        for (let i = 0; i < 100; i++) {
          handle.unmerge();
          handle.merge();
        }
        expectClose(logitsOf(model), floats(reference.logits), tolerance, "merged 100 times");
        handle.detach();
        expectClose(logitsOf(model), floats(reference.logits), tolerance, "detached");
        expect(scope(() => Object.keys(model.stateDict()))).toEqual(keys);
      });
    });

    test.each(Object.entries(golden.sums))("weighted sum, %s", async (method, { adapters, logits: expected }) => {
      await withModel(async (model) => {
        const [one, two] = adapters;
        const handle = await lora.loadAdapter(model, adapterFiles(one), { adapterName: "one" });
        await lora.loadAdapter(model, adapterFiles(two), { adapterName: "two" });
        handle.addWeightedAdapter(["one", "two"], [0.7, -0.4], "sum", { method: method as "linear" });
        handle.setAdapter("sum");
        expectClose(logitsOf(model), floats(expected), tolerance);
        handle.detach();
      });
    });

    test("pissa: our start is PEFT's, so are ten steps from it, and what is saved then", async () => {
      const reference = golden.varieties.pissa;
      await withModel(async (model) => {
        const { target_modules } = reference.config as { target_modules: string[] };
        const handle = lora.apply(model, { r: 2, alpha: 3, initWeights: "pissa", targetModules: target_modules });
        expectClose(logitsOf(model), floats(golden.logits), tolerance, "start");
        const { tensors } = await io.safetensors.parse(bytesOf(reference.start));
        scope(() => {
          for (const [key, values] of Object.entries(handle.stateDict())) {
            // the sign of a singular vector is free
            expectClose(values.data().map(Math.abs), tensors[key].data().map(Math.abs), { absolute: 1e-5 }, key);
          }
        });
        for (const t of Object.values(tensors)) t.dispose();
        follow(model, handle, reference, false);
        const saved = lora.saveAdapter(handle);
        const after = logitsOf(model);
        handle.detach();
        const { converted } = reference;
        if (!converted) throw new Error("the golden file must have the converted adapter");
        expectClose(after, floats(converted.logits), { absolute: 1e-3, relative: 1e-3 }, "after ten steps");
        const ours = await lora.loadAdapter(model, saved);
        expectClose(logitsOf(model), after, tolerance, "ours, converted");
        ours.detach();
        const theirs = await lora.loadAdapter(model, adapterFiles({ config: converted.config, start: converted.end }));
        expectClose(logitsOf(model), floats(converted.logits), tolerance, "theirs, converted");
        theirs.detach();
      });
    });
  });
}
