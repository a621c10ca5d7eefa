/** The LoRA step: rank 8 on all linear layers of a Llama, A of seeded values, AdamW. */
import { F, lora, models, optim, scope, tensor } from "../src/index.js";
import { integers, uniform } from "./data.js";
import { BATCHES, type Training } from "./models.js";
import type { LoraSpec } from "./rows.js";

export async function loraTraining({ model: directory, B, T, vocabulary }: LoraSpec): Promise<Training> {
  const model = await models.Llama.fromPretrained(directory);
  const handle = lora.apply(model, { r: 8, alpha: 16, targetModules: "all-linear" });
  scope(() => {
    const adapter = handle.stateDict();
    const names = Object.keys(adapter).filter((name) => name.includes("lora_A"));
    for (const [seed, name] of names.sort().entries()) adapter[name].set(uniform(seed, adapter[name].size, 0.1));
  });
  const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 5e-3, weightDecay: 0 });
  const batches = Array.from({ length: BATCHES }, (_, i) => [
    integers(1000 + i, B * T, vocabulary),
    integers(2000 + i, B * T, vocabulary),
  ]);
  let taken = 0;
  const step = () =>
    scope(() => {
      const [inputs, targets] = batches[taken++ % BATCHES];
      const logits = model.forward(tensor(inputs, { shape: [B, T] })).reshape([B * T, -1]);
      const loss = F.crossEntropy(logits, tensor(targets));
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.item();
    });
  const dispose = () => {
    handle.detach();
    optimizer.dispose();
    model.dispose();
  };
  return { model, step, dispose };
}
