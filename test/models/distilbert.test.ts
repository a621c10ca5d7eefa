import { describe, expect, test } from "vitest";
import { F, memoryStats, models, scope, tensor } from "../../src/index.js";
import golden from "../golden/distilbert.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { bytesOf, tensorsOf } from "../support/golden.js";

const files = { "config.json": JSON.stringify(golden.config), "model.safetensors": bytesOf(golden.weights) };
const ids = () => tensor(golden.ids, { dtype: "int32" });
const close = { absolute: 2e-6, relative: 1e-5 };

async function withModel(check: (model: models.DistilBertForSequenceClassification) => unknown): Promise<void> {
  const before = memoryStats();
  const model = await models.DistilBertForSequenceClassification.fromPretrained(files);
  await check(model);
  model.dispose();
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}

describe("DistilBert", () => {
  for (const padding of ["whole", "right", "left"] as const) {
    test(`hidden states, logits and gradients equal those of transformers: ${padding}`, () =>
      withModel(async (model) => {
        const { mask, loss, values } = golden[padding];
        const expected = await tensorsOf(values);
        scope(() => {
          const attentionMask = tensor(mask);
          expectClose(
            model.distilbert.forward(ids(), { attentionMask }).data(),
            expected.hidden.data(),
            close,
            "hidden states",
          );
          const logits = model.forward(ids(), { attentionMask });
          expectClose(logits.data(), expected.logits.data(), close, "logits");
          const got = F.crossEntropy(logits, tensor(golden.labels, { dtype: "int32" }));
          expectClose([got.item()], [loss]);
          got.backward();
        });
        const parameters = Object.fromEntries(model.namedParameters());
        for (const [key, value] of Object.entries(expected)) {
          if (key.startsWith("gradient.")) {
            expectClose(parameters[key.slice(9)].grad?.data() ?? [], value.data(), close, key);
          }
          value.dispose();
        }
      }));
  }

  test("its activation is the one that the config names", async () => {
    const { logits } = await tensorsOf(golden.relu);
    const model = await models.DistilBertForSequenceClassification.fromPretrained(files, {
      config: { activation: "relu" },
    });
    scope(() => expectClose(model.forward(ids()).data(), logits.data(), close));
    logits.dispose();
    model.dispose();
  });

  test("the encoder alone is read from the classifier's file", () =>
    withModel(async (model) => {
      const encoder = await models.DistilBert.fromPretrained(files);
      scope(() => {
        expect(Object.keys(encoder.stateDict())).toContain("transformer.layer.1.ffn.lin2.bias");
        expect([...encoder.forward(ids()).data()]).toEqual([...model.distilbert.forward(ids()).data()]);
      });
      encoder.dispose();
    }));

  test("a classifier on top of a file of the encoder starts anew where asked for, else its keys are missing", async () => {
    const encoder = await models.DistilBert.fromPretrained(files);
    const base = await encoder.savePretrained();
    const load = (options?: object) => models.DistilBertForSequenceClassification.fromPretrained(base, options);
    const before = memoryStats();
    await expect(load()).rejects.toThrow(
      /missing keys: pre_classifier\.weight, pre_classifier\.bias, classifier\.weight, classifier\.bias$/,
    );
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
    const fresh = await load({ newHead: true, config: { num_labels: 5 } });
    scope(() => {
      expect(fresh.forward(ids()).shape).toEqual([3, 5]);
      const [mine, its] = [fresh.distilbert, encoder].map((part) => part.forward(ids()).data());
      expect([...mine]).toEqual([...its]);
    });
    fresh.dispose();
    encoder.dispose();
  });
});
