import type { CommonOptions, Optimizer } from "./optimizer.js";

export interface SchedulerState {
  stepCount: number;
  baseLrs: number[];
}

export type Scheduled = Pick<Optimizer<CommonOptions>, "paramGroups">;
type Group = Scheduled["paramGroups"][number];

/** The rate that a group had when its first scheduler was made: schedulers in sequence all start from it. */
const initialLrs = new WeakMap<Group, number>();

function initialLrOf(group: Group): number {
  const lr = initialLrs.get(group) ?? group.lr;
  initialLrs.set(group, lr);
  return lr;
}

/**
 * Learning rates as functions of the number of steps taken, which scale the rate that each group of the optimizer had
 * when its first scheduler was made. A scheduler sets the rates of step 0 when it is made.
 */
export abstract class Scheduler {
  private stepCount = 0;
  private baseLrs: number[];

  constructor(
    /** @internal */
    readonly optimizer: Scheduled,
  ) {
    this.baseLrs = optimizer.paramGroups.map(initialLrOf);
  }

  /** @internal The learning rate after `step` steps where it was `baseLr`, for the group of that number. */
  abstract lrAt(step: number, baseLr: number, group: number): number;

  /** To be called after each `optimizer.step()`. */
  step(): void {
    this.applyAt(this.stepCount + 1, this.baseLrs);
    this.stepCount++;
  }

  /** The learning rates now, per group. */
  getLastLr(): number[] {
    return this.ratesAt(this.stepCount, this.baseLrs);
  }

  /** JSON-safe. */
  stateDict(): SchedulerState {
    return { stepCount: this.stepCount, baseLrs: [...this.baseLrs] };
  }

  loadStateDict({ stepCount, baseLrs }: SchedulerState): void {
    checkRates("Scheduler.loadStateDict", baseLrs, this.baseLrs.length);
    if (!(Number.isInteger(stepCount) && stepCount >= 0)) {
      throw new Error(`Scheduler.loadStateDict: stepCount must be a whole number from 0, got ${stepCount}`);
    }
    this.stepCount = stepCount;
    this.baseLrs = [...baseLrs];
    this.apply();
  }

  /** Sets the learning rates; constructors end with it. */
  protected apply(): void {
    this.applyAt(this.stepCount, this.baseLrs);
  }

  /** @internal Sets the learning rates of `step`. */
  applyAt(step: number, baseLrs: readonly number[]): void {
    const rates = this.ratesAt(step, baseLrs);
    for (const [i, group] of this.optimizer.paramGroups.entries()) group.lr = rates[i];
  }

  private ratesAt(step: number, baseLrs: readonly number[]): number[] {
    return baseLrs.map((lr, group) => this.lrAt(step, lr, group));
  }
}

/** A state dict has a rate for every group. */
export function checkRates(op: string, rates: unknown, groups: number): void {
  const got = Array.isArray(rates) && rates.every(Number.isFinite) ? rates.length : JSON.stringify(rates);
  if (got !== groups) throw new Error(`${op}: there must be ${groups} rates, got ${got}`);
}
