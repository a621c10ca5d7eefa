/** What became of a training. */
export interface History {
  /** The mean loss of every step. */
  steps: number[];
  epochs: EpochSummary[];
  /** "aborted" by the signal, "early" by a callback. */
  stopped: "completed" | "aborted" | "early";
}

export interface EpochSummary {
  /** Counted from 1. */
  epoch: number;
  /** The mean loss over the epoch's samples, each as the model was at its step. */
  loss: number;
  /** Afterwards. */
  validationLoss?: number;
  /** Per parameter group, after the epoch. */
  learningRates: number[];
}

/** Σ count·loss / Σ count, in the order of arrival. */
export class WeightedMean {
  constructor(
    public sum = 0,
    public count = 0,
  ) {}

  add(loss: number, count: number): void {
    if (count === 0) return; // the mean of nothing is NaN
    this.sum += loss * count;
    this.count += count;
  }

  get value(): number {
    return this.sum / this.count;
  }
}
