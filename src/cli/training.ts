import { nn, optim, scope } from "../index.js";
import { Pacer } from "../pause.js";
import { type Corpus, type LanguageModel, lossAt, randomStarts } from "./corpus.js";
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
  const { steps, batchSize, context, signal } = options;
  const optimizer = new optim.AdamW(parameters, { lr: options.learningRate, weightDecay: options.weightDecay });
  const schedule = new optim.schedulers.WarmupCosine(optimizer, {
    warmupSteps: Math.min(options.warmupSteps, steps),
    totalSteps: steps,
  });
  const starts = randomStarts(corpus.train, batchSize, context, options.seed);
  const bar = progressBar(title, steps);
  const pacer = new Pacer();
  const begin = performance.now();
  const losses: number[] = [];
  const seconds = () => (performance.now() - begin) / 1000;
  try {
    while (losses.length < steps && !signal.aborted) {
      const value = scope(() => {
        const loss = lossAt(model, corpus.train, starts.next().value, context);
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
      bar.update(losses.length, losses[losses.length - 1], (losses.length * batchSize * context) / seconds());
      await pacer.pause();
    }
  } finally {
    bar.stop();
    optimizer.dispose();
  }
  const took = seconds();
  return {
    losses,
    seconds: took,
    tokensPerSecond: (losses.length * batchSize * context) / took,
    interrupted: losses.length < steps,
  };
}
