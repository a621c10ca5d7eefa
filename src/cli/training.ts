import { type lora, nn, optim, scope } from "../index.js";
import { Pacer } from "../pause.js";
import { saveRun, type TrainingCheckpoint, takeUp } from "./checkpoint.js";
import { type Corpus, type LanguageModel, lossAt, RandomRows } from "./corpus.js";
import { progressBar } from "./progress.js";

export interface TrainingOptions {
  steps: number;
  batchSize: number;
  context: number;
  learningRate: number;
  warmupSteps: number;
  weightDecay: number;
  seed: number;
  signal: AbortSignal;
  /** Written now and then, and where an abort ends the run. */
  checkpoint?: TrainingCheckpoint & { model: lora.LoraHandle };
}

export interface TrainingResult {
  losses: number[];
  seconds: number;
  tokensPerSecond: number;
  interrupted: boolean;
}

/** AdamW with warm-up and cosine decay over random rows, with a progress bar; an abort ends after the present step. */
export async function trainLanguageModel(
  title: string,
  model: LanguageModel,
  parameters: nn.Parameter[],
  corpus: Corpus,
  options: TrainingOptions,
): Promise<TrainingResult> {
  const { steps, batchSize, context, signal, checkpoint } = options;
  const optimizer = new optim.AdamW(parameters, { lr: options.learningRate, weightDecay: options.weightDecay });
  const schedule = new optim.schedulers.WarmupCosine(optimizer, {
    warmupSteps: Math.min(options.warmupSteps, steps),
    totalSteps: steps,
  });
  const rows = new RandomRows(corpus.train, batchSize, context, options.seed);
  const parts = checkpoint && { model: checkpoint.model, optimizer, scheduler: schedule, loader: rows };
  const losses = checkpoint?.resume && parts ? await takeUp(checkpoint, parts) : [];
  const before = losses.length;
  const bar = progressBar(title, steps, before);
  const pacer = new Pacer();
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  const tokensPerSecond = () => ((losses.length - before) * batchSize * context) / seconds();
  try {
    while (losses.length < steps && !signal.aborted) {
      const value = scope(() => {
        const loss = lossAt(model, corpus.train, rows.next(), context);
        loss.backward();
        nn.utils.clipGradNorm_(parameters, 1);
        optimizer.step();
        schedule.step();
        optimizer.zeroGrad();
        return loss.item();
      });
      if (!Number.isFinite(value)) {
        throw new Error(
          `training: the loss must be finite, got ${value} at step ${losses.length + 1}; lower --learning-rate`,
        );
      }
      losses.push(value);
      bar.update(losses.length, value, tokensPerSecond());
      await pacer.pause();
      if (checkpoint && parts && (signal.aborted || losses.length % checkpoint.everySteps === 0))
        await saveRun(checkpoint, parts, losses);
    }
  } finally {
    bar.stop();
    optimizer.dispose();
  }
  const took = seconds();
  return {
    losses,
    seconds: took,
    tokensPerSecond: losses.length === before ? 0 : ((losses.length - before) * batchSize * context) / took,
    interrupted: losses.length < steps,
  };
}
