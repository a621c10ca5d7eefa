/** `optim.schedulers`: learning rates that follow the number of steps taken, or a metric. */
import { checkOptions } from "../errors.js";
import { kernels } from "../wasm/kernels.js";
import { checkRange } from "./optimizer.js";
import { type Scheduled, Scheduler } from "./scheduler.js";

export { OneCycleLR, type OneCycleLROptions } from "./oneCycle.js";
export { type PlateauState, ReduceLROnPlateau, type ReduceLROnPlateauOptions } from "./plateau.js";
export { type Scheduled, Scheduler, type SchedulerState } from "./scheduler.js";

export interface DecayOptions {
  /** What the rate is multiplied by. */
  gamma?: number;
}

/** lr · gammaᵏ, k the number of whole `stepSize`s taken */
export class StepLR extends Scheduler {
  private readonly gamma: number;

  constructor(
    optimizer: Scheduled,
    private readonly stepSize: number,
    options: DecayOptions = {},
  ) {
    super(optimizer);
    checkRange("StepLR", "stepSize", stepSize, Number.isInteger(stepSize) && stepSize > 0, "a whole number from 1");
    this.gamma = gammaOf("StepLR", options);
    this.apply();
  }

  override lrAt(step: number, baseLr: number): number {
    return baseLr * kernels.pow64(this.gamma, Math.floor(step / this.stepSize));
  }
}

/** lr · gammaᵏ, k the number of `milestones` reached */
export class MultiStepLR extends Scheduler {
  private readonly gamma: number;

  constructor(
    optimizer: Scheduled,
    private readonly milestones: readonly number[],
    options: DecayOptions = {},
  ) {
    super(optimizer);
    this.gamma = gammaOf("MultiStepLR", options);
    this.apply();
  }

  override lrAt(step: number, baseLr: number): number {
    return baseLr * kernels.pow64(this.gamma, reached(this.milestones, step));
  }
}

/** lr · gammaᵗ */
export class ExponentialLR extends Scheduler {
  constructor(
    optimizer: Scheduled,
    private readonly gamma: number,
  ) {
    super(optimizer);
    gammaOf("ExponentialLR", { gamma });
    this.apply();
  }

  override lrAt(step: number, baseLr: number): number {
    return baseLr * kernels.pow64(this.gamma, step);
  }
}

export interface CosineAnnealingLROptions {
  /** The lowest rate, reached after `tMax` steps. */
  etaMin?: number;
}

/** etaMin + (lr − etaMin)·(1 + cos(π·t/tMax))/2, which rises again after `tMax` steps. Loshchilov & Hutter 2016 */
export class CosineAnnealingLR extends Scheduler {
  private readonly etaMin: number;

  constructor(
    optimizer: Scheduled,
    private readonly tMax: number,
    options: CosineAnnealingLROptions = {},
  ) {
    super(optimizer);
    checkOptions("CosineAnnealingLR", options, ["etaMin"]);
    const { etaMin = 0 } = options;
    checkRange("CosineAnnealingLR", "tMax", tMax, tMax > 0, "above 0");
    checkRange("CosineAnnealingLR", "etaMin", etaMin, etaMin >= 0, "0 or more");
    this.etaMin = etaMin;
    this.apply();
  }

  override lrAt(step: number, baseLr: number): number {
    return this.etaMin + ((baseLr - this.etaMin) * (1 + kernels.cos64((Math.PI * step) / this.tMax))) / 2;
  }
}

export interface LinearLROptions {
  startFactor?: number;
  endFactor?: number;
  totalIters?: number;
}

/** lr times a factor that goes from `startFactor` to `endFactor` in `totalIters` steps, and stays */
export class LinearLR extends Scheduler {
  private readonly options: Required<LinearLROptions>;

  constructor(optimizer: Scheduled, options: LinearLROptions = {}) {
    super(optimizer);
    checkOptions("LinearLR", options, ["startFactor", "endFactor", "totalIters"]);
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = options;
    checkRange("LinearLR", "startFactor", startFactor, startFactor > 0 && startFactor <= 1, "above 0 and up to 1");
    checkRange("LinearLR", "endFactor", endFactor, endFactor >= 0 && endFactor <= 1, "from 0 to 1");
    checkRange("LinearLR", "totalIters", totalIters, totalIters > 0, "above 0");
    this.options = { startFactor, endFactor, totalIters };
    this.apply();
  }

  override lrAt(step: number, baseLr: number): number {
    const { startFactor, endFactor, totalIters } = this.options;
    return baseLr * (startFactor + ((endFactor - startFactor) * Math.min(step, totalIters)) / totalIters);
  }
}

/** lr · lambda(t), one function for all groups or one for each; functions are not part of the state dict */
export class LambdaLR extends Scheduler {
  constructor(
    optimizer: Scheduled,
    private readonly lambda: ((step: number) => number) | readonly ((step: number) => number)[],
  ) {
    super(optimizer);
    const groups = optimizer.paramGroups.length;
    if (typeof lambda !== "function" && lambda.length !== groups) {
      throw new Error(
        `LambdaLR: there must be one function, or one for each of ${groups} groups, got ${lambda.length}`,
      );
    }
    this.apply();
  }

  override lrAt(step: number, baseLr: number, group: number): number {
    return baseLr * (typeof this.lambda === "function" ? this.lambda : this.lambda[group])(step);
  }
}

/** One scheduler after the other: the next takes over, from its own step 0, at each of `milestones`. */
export class SequentialLR extends Scheduler {
  constructor(
    optimizer: Scheduled,
    private readonly schedulers: readonly Scheduler[],
    private readonly milestones: readonly number[],
  ) {
    super(optimizer);
    if (schedulers.length === 0 || milestones.length !== schedulers.length - 1) {
      throw new Error(
        `SequentialLR: there must be one milestone between each two schedulers, got ${milestones.length} for ${schedulers.length}`,
      );
    }
    const stranger = schedulers.find((s) => !(s instanceof Scheduler) || s.optimizer !== optimizer);
    if (stranger) {
      throw new Error(
        `SequentialLR: every scheduler must follow the steps of the same optimizer, got ${stranger.constructor.name}`,
      );
    }
    this.apply();
  }

  override lrAt(step: number, baseLr: number, group: number): number {
    const { scheduler, start } = this.partAt(step);
    return scheduler.lrAt(step - start, baseLr, group);
  }

  override applyAt(step: number, baseLrs: readonly number[]): void {
    const { scheduler, start } = this.partAt(step);
    scheduler.applyAt(step - start, baseLrs);
  }

  private partAt(step: number): { scheduler: Scheduler; start: number } {
    const i = reached(this.milestones, step);
    return { scheduler: this.schedulers[i], start: i === 0 ? 0 : this.milestones[i - 1] };
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

  constructor(optimizer: Scheduled, options: WarmupCosineOptions) {
    super(optimizer);
    checkOptions("WarmupCosine", options, ["warmupSteps", "totalSteps", "minLr"]);
    const { warmupSteps, totalSteps, minLr = 0 } = options;
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

  override lrAt(step: number, baseLr: number): number {
    const { warmupSteps, totalSteps, minLr } = this.options;
    if (step < warmupSteps) return (baseLr * step) / warmupSteps;
    if (step >= totalSteps) return minLr;
    const progress = (step - warmupSteps) / (totalSteps - warmupSteps);
    return minLr + ((baseLr - minLr) * (1 + kernels.cos64(Math.PI * progress))) / 2;
  }
}

function gammaOf(name: string, options: DecayOptions): number {
  checkOptions(name, options, ["gamma"]);
  const { gamma = 0.1 } = options;
  checkRange(name, "gamma", gamma, gamma >= 0, "0 or more");
  return gamma;
}

function reached(milestones: readonly number[], step: number): number {
  return milestones.filter((milestone) => milestone <= step).length;
}
