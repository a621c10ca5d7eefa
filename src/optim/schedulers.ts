/** Learning rates as functions of the number of steps taken. A scheduler sets the rate of step 0 when it is made. */
import { kernels } from "../wasm/kernels.js";
import type { CommonOptions, Optimizer } from "./optimizer.js";

export interface SchedulerState {
  stepCount: number;
  baseLrs: number[];
}

/** Scales the learning rate that each group of the optimizer had when the scheduler was made. */
export abstract class Scheduler {
  private stepCount = 0;
  private baseLrs: number[];

  constructor(private readonly optimizer: Pick<Optimizer<CommonOptions>, "paramGroups">) {
    this.baseLrs = optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** The learning rate after `step` steps where it was `baseLr`. */
  protected abstract lrAt(step: number, baseLr: number): number;

  /** To be called after each `optimizer.step()`. */
  step(): void {
    this.stepCount++;
    this.apply();
  }

  /** The learning rates now, per group. */
  getLastLr(): number[] {
    return this.baseLrs.map((lr) => this.lrAt(this.stepCount, lr));
  }

  stateDict(): SchedulerState {
    return { stepCount: this.stepCount, baseLrs: [...this.baseLrs] };
  }

  loadStateDict({ stepCount, baseLrs }: SchedulerState): void {
    if (baseLrs.length !== this.baseLrs.length) {
      throw new Error(`Scheduler.loadStateDict: there must be ${this.baseLrs.length} rates, got ${baseLrs.length}`);
    }
    this.stepCount = stepCount;
    this.baseLrs = [...baseLrs];
    this.apply();
  }

  /** Sets the learning rates; constructors end with it. */
  protected apply(): void {
    const rates = this.getLastLr();
    for (const [i, group] of this.optimizer.paramGroups.entries()) group.lr = rates[i];
  }
}

export interface WarmupCosineOptions {
  warmupSteps: number;
  totalSteps: number;
  /** The rate from `totalSteps` on. */
  minLr?: number;
}

/**
 * lr·t/w for t < w = warmupSteps; then minLr + (lr − minLr)·(1 + cos π·(t − w)/(T − w))/2 to T = totalSteps, and minLr
 * from there on. As `get_cosine_schedule_with_warmup` of Hugging Face, where minLr is 0.
 */
export class WarmupCosine extends Scheduler {
  private readonly options: Required<WarmupCosineOptions>;

  constructor(
    optimizer: Pick<Optimizer<CommonOptions>, "paramGroups">,
    { warmupSteps, totalSteps, minLr = 0 }: WarmupCosineOptions,
  ) {
    super(optimizer);
    if (
      !(Number.isInteger(warmupSteps) && Number.isInteger(totalSteps) && warmupSteps >= 0 && totalSteps >= warmupSteps)
    ) {
      throw new Error(
        `WarmupCosine: 0 ≤ warmupSteps ≤ totalSteps must be whole numbers, got ${warmupSteps} and ${totalSteps}`,
      );
    }
    if (!(minLr >= 0)) throw new Error(`WarmupCosine: minLr must be 0 or more, got ${minLr}`);
    this.options = { warmupSteps, totalSteps, minLr };
    this.apply();
  }

  protected override lrAt(step: number, baseLr: number): number {
    const { warmupSteps, totalSteps, minLr } = this.options;
    if (step < warmupSteps) return (baseLr * step) / warmupSteps;
    if (step >= totalSteps) return minLr;
    const progress = (step - warmupSteps) / (totalSteps - warmupSteps);
    return minLr + ((baseLr - minLr) * (1 + kernels.cos64(Math.PI * progress))) / 2;
  }
}
