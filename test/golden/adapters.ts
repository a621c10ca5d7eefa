/**
 * Writes tiny models with trained adapters of every kind for check_peft.py, which loads them into transformers and PEFT:
 * DIR/model/base, and DIR/model/variety with adapter/, merged/ and logits.json.
 *
 * Run: npx tsx test/golden/adapters.ts DIR
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { init, lora, manualSeed, models, nn, noGrad, scope, type Tensor, tensor } from "../../src/index.js";

type Model = nn.Module & { forward(ids: Tensor): Tensor; savePretrained(dir: string): Promise<unknown> };

const [out] = process.argv.slice(2);
if (!out) throw new Error("adapters: a directory must be given, got none");

const varieties = (attention: string[], mlp: string, embedding: string, head: string): Record<string, lora.LoraOptions> => ({
  lora: { targetModules: "all-linear", rankPattern: { [mlp]: 3 }, alphaPattern: { [attention[0]]: 5 } },
  rslora: { targetModules: attention, scaling: "alpha/sqrt(r)", rankPattern: { [attention[0]]: 3 } },
  alpha: { targetModules: attention, scaling: "alpha", rankPattern: { [attention[0]]: 3 } },
  dora: { targetModules: [...attention, mlp], useDora: true },
  pissa: { targetModules: [...attention, mlp], initWeights: "pissa", rankPattern: { [mlp]: 3 } },
  pissa_rslora: { targetModules: attention, initWeights: "pissa", scaling: "alpha/sqrt(r)" },
  pissa_dora: { targetModules: attention, initWeights: "pissa", useDora: true },
  embedding: { targetModules: [embedding, ...attention] },
  embedding_dora: { targetModules: [embedding], useDora: true },
  bias_all: { targetModules: attention, biasMode: "all", modulesToSave: [head] },
  lora_only: { targetModules: attention, biasMode: "lora_only" },
  pattern: { targetModules: new RegExp(`.*\\.${attention[0]}`), excludeModules: /.*\.0\..*/ },
  layers: { targetModules: attention, layersToTransform: 1 },
  orthogonal: { targetModules: attention, initWeights: "orthogonal" },
});

const families = {
  llama: {
    load: (files: models.ModelFiles) => models.Llama.fromPretrained(files),
    options: varieties(["q_proj", "v_proj"], "down_proj", "embed_tokens", "lm_head"),
  },
  gpt2: {
    load: (files: models.ModelFiles) => models.GPT2.fromPretrained(files),
    options: varieties(["c_attn"], "c_fc", "wpe", "ln_f"),
  },
  distilbert: {
    load: (files: models.ModelFiles) => models.DistilBertForSequenceClassification.fromPretrained(files),
    options: varieties(["q_lin", "v_lin"], "lin1", "position_embeddings", "classifier"),
  },
};

await init({ simd: "baseline" });
for (const [family, { load, options }] of Object.entries(families)) {
  const golden = JSON.parse(readFileSync(new URL(`peft_${family}.json`, import.meta.url), "utf8"));
  const files = {
    "config.json": JSON.stringify(golden.config),
    "model.safetensors": new Uint8Array(Buffer.from(golden.weights, "base64")),
  };
  const base = async () => (await load(files)).eval() as Model;
  await (await base()).savePretrained(join(out, family, "base"));
  for (const [name, option] of Object.entries(options)) {
    manualSeed(1);
    const model = await base();
    const handle = lora.apply(model, { r: 2, alpha: 3, ...option });
    noGrad(() =>
      scope(() => {
        for (const p of handle.trainableParameters()) p.add_(nn.init.normal_(p.clone(), 0, 0.1));
      }),
    );
    const dir = join(out, family, name);
    mkdirSync(join(dir, "adapter"), { recursive: true });
    lora.saveAdapter(handle, { dir: join(dir, "adapter") });
    const logits = scope(() => [...model.forward(tensor(golden.ids, { dtype: "int32" })).data()]);
    writeFileSync(join(dir, "logits.json"), JSON.stringify({ ids: golden.ids, logits }));
    handle.merge();
    handle.detach();
    await model.savePretrained(join(dir, "merged"));
  }
}
