import { checkOptions } from "../errors.js";
import { type Callback, type EpochEvent, monitored } from "./callbacks.js";

export interface EarlyStoppingOptions {
  /** Epochs in a row without improvement after which training ends. */
  patience?: number;
  /** By how much the loss must fall to count as improved. */
  minDelta?: number;
}

/** Ends the training when the validation loss (without validation, the loss) no longer falls. */
export class EarlyStopping implements Callback {
  private best = Infinity;
  private waited = 0;
  private readonly patience: number;
  private readonly minDelta: number;

  constructor(options: EarlyStoppingOptions = {}) {
    checkOptions("EarlyStopping", options, ["patience", "minDelta"]);
    const { patience = 3, minDelta = 0 } = options;
    if (!(patience >= 1)) throw new Error(`EarlyStopping: patience must be 1 or more, got ${patience}`);
    if (!(minDelta >= 0)) throw new Error(`EarlyStopping: minDelta must be 0 or more, got ${minDelta}`);
    this.patience = patience;
    this.minDelta = minDelta;
  }

  onStart(): void {
    this.best = Infinity;
    this.waited = 0;
  }

  stateDict(): { best: number; waited: number } {
    return { best: this.best, waited: this.waited };
  }

  loadStateDict({ best, waited }: { best: number; waited: number }): void {
    this.best = best;
    this.waited = waited;
  }

  onEpoch(event: EpochEvent): void {
    const loss = monitored(event);
    if (loss < this.best - this.minDelta) {
      this.best = loss;
      this.waited = 0;
    } else if (++this.waited >= this.patience) event.stop();
  }
}
