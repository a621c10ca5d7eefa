import { checkOptions } from "../errors.js";
import { checkRange } from "./optimizer.js";
import { checkRates, type Scheduled } from "./scheduler.js";

export interface ReduceLROnPlateauOptions {
  /** Whether the metric is to fall or to rise. */
  mode?: "min" | "max";
  factor?: number;
  /** The rate falls after more than this many steps in a row without a better metric. */
  patience?: number;
  /** By how much a better metric must be better, … */
  threshold?: number;
  /** … as a part of the best one or as it is. */
  thresholdMode?: "rel" | "abs";
  /** Steps after a fall that don't count. */
  cooldown?: number;
  /** No rate falls below it. */
  minLr?: number;
  /** A fall by no more than this is left out. */
  eps?: number;
}

export interface PlateauState {
  /** Null before the first step. */
  best: number | null;
  badSteps: number;
  cooldownLeft: number;
  lrs: number[];
}

const defaults: Required<ReduceLROnPlateauOptions> = {
  mode: "min",
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  thresholdMode: "rel",
  cooldown: 0,
  minLr: 0,
  eps: 1e-8,
};

/**
 * Multiplies the learning rates by `factor` when a metric has stopped getting better.
 * Source: https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
 */
export class ReduceLROnPlateau {
  private readonly options: Required<ReduceLROnPlateauOptions>;
  private best: number | null = null;
  private badSteps = 0;
  private cooldownLeft = 0;

  constructor(
    private readonly optimizer: Scheduled,
    options: ReduceLROnPlateauOptions = {},
  ) {
    checkOptions("ReduceLROnPlateau", options, Object.keys(defaults));
    this.options = { ...defaults, ...options };
    const { mode, factor, patience, thresholdMode, cooldown, minLr } = this.options;
    const check = (option: string, value: unknown, holds: boolean, range: string) =>
      checkRange("ReduceLROnPlateau", option, value, holds, range);
    check("mode", mode, mode === "min" || mode === "max", '"min" or "max"');
    check("thresholdMode", thresholdMode, thresholdMode === "rel" || thresholdMode === "abs", '"rel" or "abs"');
    check("factor", factor, factor >= 0 && factor < 1, "from 0 to below 1");
    check("patience", patience, patience >= 0, "0 or more");
    check("cooldown", cooldown, cooldown >= 0, "0 or more");
    check("minLr", minLr, minLr >= 0, "0 or more");
  }

  /** To be called after each validation. */
  step(metric: number): void {
    if (typeof metric !== "number") throw new Error(`ReduceLROnPlateau: the metric must be a number, got ${metric}`);
    const { patience, cooldown } = this.options;
    const isBetter = this.isBetter(metric);
    if (isBetter) this.best = metric;
    this.badSteps = isBetter || this.cooldownLeft > 0 ? 0 : this.badSteps + 1;
    if (this.cooldownLeft > 0) this.cooldownLeft--;
    if (this.badSteps <= patience) return;
    this.reduce();
    this.cooldownLeft = cooldown;
    this.badSteps = 0;
  }

  /** The learning rates now, per group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** JSON-safe. */
  stateDict(): PlateauState {
    return { best: this.best, badSteps: this.badSteps, cooldownLeft: this.cooldownLeft, lrs: this.getLastLr() };
  }

  loadStateDict({ best, badSteps, cooldownLeft, lrs }: PlateauState): void {
    const { paramGroups } = this.optimizer;
    checkRates("ReduceLROnPlateau.loadStateDict", lrs, paramGroups.length);
    this.best = best;
    this.badSteps = badSteps;
    this.cooldownLeft = cooldownLeft;
    for (const [i, group] of paramGroups.entries()) group.lr = lrs[i];
  }

  private isBetter(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    const sign = mode === "min" ? -1 : 1;
    const best = this.best ?? -sign * Infinity;
    const bound = thresholdMode === "rel" ? best * (1 + sign * threshold) : best + sign * threshold;
    return sign * metric > sign * bound;
  }

  private reduce(): void {
    const { factor, minLr, eps } = this.options;
    for (const group of this.optimizer.paramGroups) {
      const lr = Math.max(group.lr * factor, minLr);
      if (group.lr - lr > eps) group.lr = lr;
    }
  }
}
