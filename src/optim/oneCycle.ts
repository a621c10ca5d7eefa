import { checkOptions } from "../errors.js";
import { kernels } from "../wasm/kernels.js";
import { checkRange } from "./optimizer.js";
import { type Scheduled, Scheduler } from "./scheduler.js";

export interface OneCycleLROptions {
  /** The length of the cycle; or give `epochs` and `stepsPerEpoch`. */
  totalSteps?: number;
  epochs?: number;
  stepsPerEpoch?: number;
  /** The part of the cycle in which the rate rises. */
  pctStart?: number;
  annealStrategy?: "cos" | "linear";
  /** Move the momentum (or β₁) the other way: down while the rate rises. */
  cycleMomentum?: boolean;
  baseMomentum?: number;
  maxMomentum?: number;
  /** The first rate is maxLr / divFactor. */
  divFactor?: number;
  /** The last rate is the first / finalDivFactor. */
  finalDivFactor?: number;
  /** Go down to the first rate in as many steps as up, and then on to the last. */
  threePhase?: boolean;
}

const defaults = {
  pctStart: 0.3,
  annealStrategy: "cos",
  cycleMomentum: true,
  baseMomentum: 0.85,
  maxMomentum: 0.95,
  divFactor: 25,
  finalDivFactor: 1e4,
  threePhase: false,
} as const satisfies OneCycleLROptions;

type Settings = Required<Omit<OneCycleLROptions, "epochs" | "stepsPerEpoch">>;

/** Where the curves bend: the rate as a factor of maxLr. */
interface Corner {
  step: number;
  factor: number;
  momentum: number;
}

/**
 * From maxLr / divFactor up to maxLr, then down to maxLr / (divFactor · finalDivFactor), along half cosines or lines.
 * Smith & Topin 2017; https://pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
 */
export class OneCycleLR extends Scheduler {
  private readonly maxLrs: readonly number[];
  private readonly settings: Settings;
  private readonly corners: readonly Corner[];

  /** @param maxLr for all groups, or one for each */
  constructor(optimizer: Scheduled, maxLr: number | readonly number[], options: OneCycleLROptions) {
    super(optimizer);
    checkOptions("OneCycleLR", options, ["totalSteps", "epochs", "stepsPerEpoch", ...Object.keys(defaults)]);
    const { epochs = Number.NaN, stepsPerEpoch = Number.NaN, ...own } = options;
    this.settings = { totalSteps: epochs * stepsPerEpoch, ...defaults, ...own };
    this.maxLrs = typeof maxLr === "number" ? optimizer.paramGroups.map(() => maxLr) : maxLr;
    this.check();
    this.corners = cornersOf(this.settings);
    this.apply();
  }

  override lrAt(step: number, _baseLr: number, group: number): number {
    const { totalSteps } = this.settings;
    if (step > totalSteps) throw new Error(`OneCycleLR: there must be at most ${totalSteps} steps, got one more`);
    return this.maxLrs[group] * this.valueAt(step, "factor");
  }

  override applyAt(step: number, baseLrs: readonly number[]): void {
    super.applyAt(step, baseLrs);
    if (!this.settings.cycleMomentum) return;
    const momentum = this.valueAt(step, "momentum");
    for (const group of this.optimizer.paramGroups as Momentous[]) {
      if (group.betas) group.betas = [momentum, group.betas[1]];
      else group.momentum = momentum;
    }
  }

  private valueAt(step: number, name: "factor" | "momentum"): number {
    const last = this.corners.length - 1;
    const next = this.corners.findIndex((corner, i) => i > 0 && (step <= corner.step || i === last));
    const [from, to] = [this.corners[next - 1], this.corners[next]];
    const part = to.step === from.step ? 1 : (step - from.step) / (to.step - from.step);
    if (this.settings.annealStrategy === "linear") return from[name] + (to[name] - from[name]) * part;
    return to[name] + ((from[name] - to[name]) / 2) * (1 + kernels.cos64(Math.PI * part));
  }

  private check(): void {
    const { totalSteps, pctStart, annealStrategy, cycleMomentum } = this.settings;
    const groups = this.optimizer.paramGroups as Momentous[];
    const isLength = Number.isInteger(totalSteps) && totalSteps > 0;
    checkRange("OneCycleLR", "totalSteps", totalSteps, isLength, "a whole number from 1 (or epochs and stepsPerEpoch)");
    checkRange("OneCycleLR", "pctStart", pctStart, pctStart >= 0 && pctStart <= 1, "from 0 to 1");
    const isStrategy = annealStrategy === "cos" || annealStrategy === "linear";
    checkRange("OneCycleLR", "annealStrategy", annealStrategy, isStrategy, '"cos" or "linear"');
    const areRates = this.maxLrs.length === groups.length && this.maxLrs.every((lr) => lr >= 0);
    checkRange("OneCycleLR", "maxLr", this.maxLrs.join(" and "), areRates, "0 or more, for all groups or for each");
    if (cycleMomentum && !groups.every((group) => group.betas || group.momentum !== undefined)) {
      throw new Error(
        "OneCycleLR: the optimizer must have momentum or betas, got one without; use cycleMomentum: false",
      );
    }
  }
}

interface Momentous {
  momentum?: number;
  betas?: readonly [number, number];
}

function cornersOf(settings: Settings): Corner[] {
  const { totalSteps, pctStart, baseMomentum, maxMomentum, divFactor, finalDivFactor, threePhase } = settings;
  const first = { factor: 1 / divFactor, momentum: maxMomentum };
  const peak = pctStart * totalSteps - 1;
  return [
    { step: 0, ...first },
    { step: peak, factor: 1, momentum: baseMomentum },
    ...(threePhase ? [{ step: 2 * peak, ...first }] : []),
    { step: totalSteps - 1, factor: 1 / divFactor / finalDivFactor, momentum: maxMomentum },
  ];
}
