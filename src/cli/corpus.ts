/** A text as tokens: what is trained on, what is held out, and batches of both. */

import { F, noGrad, scope, type Tensor, tensor } from "../index.js";
import { Pacer } from "../pause.js";
import { RandomStream } from "../random.js";

export interface Corpus {
  train: Int32Array;
  /** The last tenth of the text. */
  validation: Int32Array;
}

/** A model of token ids [B, T] to logits [B, T, vocab]. */
export type LanguageModel = { forward(ids: Tensor): Tensor };

/** Errors: a text too short for one batch row on either side. */
export function splitCorpus(tokens: ArrayLike<number>, context: number): Corpus {
  const ids = Int32Array.from(tokens);
  const cut = Math.floor(ids.length * 0.9);
  const corpus = { train: ids.subarray(0, cut), validation: ids.subarray(cut) };
  const shortest = Math.min(corpus.train.length, corpus.validation.length);
  if (shortest <= context) {
    throw new Error(
      `data: the last tenth of the text must have more than ${context} tokens (--context), got ${shortest} of ${ids.length} in all; use a longer text or a shorter context`,
    );
  }
  return corpus;
}

/** Next-token loss of `count` rows of `context` tokens that start at `starts`. */
export function lossAt(model: LanguageModel, tokens: Int32Array, starts: readonly number[], context: number): Tensor {
  const rows = (shift: number) => {
    const ids = new Int32Array(starts.length * context);
    for (const [row, start] of starts.entries())
      ids.set(tokens.subarray(start + shift, start + shift + context), row * context);
    return tensor(ids, { shape: [starts.length, context] });
  };
  const logits = model.forward(rows(0)); // (B, T, vocab)
  return F.crossEntropy(logits.reshape([-1, logits.shape[2]]), rows(1).flatten());
}

/** Random row starts, the same for the same seed. */
export class RandomRows {
  private readonly random: RandomStream;
  private readonly choices: number;

  constructor(
    tokens: Int32Array,
    private readonly batchSize: number,
    context: number,
    seed: number,
  ) {
    this.random = new RandomStream(seed);
    this.choices = tokens.length - context;
  }

  next(): number[] {
    return Array.from({ length: this.batchSize }, () => Math.floor(this.random.next() * this.choices));
  }

  stateDict(): { position: number } {
    return { position: this.random.position };
  }

  loadStateDict({ position }: { position: number }): void {
    this.random.seek(position);
  }
}

const EVALUATION_ROWS = 16;

/** Mean loss over all whole rows of `tokens`; an abort rejects. */
export async function evaluate(
  model: LanguageModel,
  tokens: Int32Array,
  context: number,
  signal?: AbortSignal,
): Promise<number> {
  const rows = Math.floor((tokens.length - 1) / context);
  const pacer = new Pacer();
  let sum = 0;
  for (let row = 0; row < rows; row += EVALUATION_ROWS) {
    signal?.throwIfAborted();
    const starts = Array.from({ length: Math.min(EVALUATION_ROWS, rows - row) }, (_, i) => (row + i) * context);
    sum += starts.length * noGrad(() => scope(() => lossAt(model, tokens, starts, context).item()));
    await pacer.pause();
  }
  return sum / rows;
}
