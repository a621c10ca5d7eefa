/**
 * Training steps of the MLP, the GPT and, where there is a model directory, LoRA on stories260k: on one thread, beside
 * their rooflines, and where the time goes. Peers run the same steps in peers.bench.ts.
 */
import { existsSync } from "node:fs";
import { ceiling, interleave, median, start, table } from "./harness.js";
import { loraTraining } from "./loraTraining.js";
import { gptSpec, mlpSpec, training } from "./models.js";
import { type Result, runtime, writeSuite } from "./results.js";
import { copyTimes, traceStep } from "./roofline.js";

const GROUPS_SHOWN = 14;

const variant = await start();
const top = await ceiling(variant);
const copySeconds = copyTimes();
const stories = process.env.WASMGRAD_BENCH_MODEL ?? "../shared/models/stories260k";
const steps: [string, () => number][] = [
  ["MLP 784-512-512-10, batch 64", training(mlpSpec()).step],
  ["GPT, 4 layers, d 128, 8 × 64", training(gptSpec()).step],
];
if (existsSync(stories)) {
  const spec = { kind: "lora", model: stories, B: 8, T: 128, vocabulary: 512 } as const;
  steps.push(["LoRA, stories260k, 8 × 128", (await loraTraining(spec)).step]);
}

const results: Result[] = [];
for (const [name, step] of steps) {
  const [{ seconds, yardstick }] = interleave([step], top.run);
  const perSecond = top.flops / median(yardstick);
  const groups = traceStep(step, perSecond, copySeconds);
  const took = median(seconds);
  const bound = groups.reduce((sum, group) => sum + group.bound, 0);
  const inKernels = groups.reduce((sum, group) => sum + group.seconds, 0);
  const ms = (value: number) => (value * 1000).toFixed(2);
  const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
  const lines = groups
    .slice(0, GROUPS_SHOWN)
    .map(({ label, calls, seconds, bound }) => [
      label,
      String(Math.round(calls)),
      ms(seconds),
      ms(bound),
      percent(bound / seconds),
    ]);
  console.log(
    `\n${name}: ${ms(took)} ms, roofline ${ms(bound)} ms: ${percent(bound / took)}; in kernels ${ms(inKernels)} ms while traced`,
  );
  console.log(table([["kernel", "calls", "ms", "bound", "share"], ...lines]));
  const common = { row: `step: ${name}`, library: "wasmgrad", runtime, variant, threads: 1 };
  results.push({ ...common, seconds: took, share: { value: bound / took, of: "roofline" } });
}
writeSuite("train-step", results);
