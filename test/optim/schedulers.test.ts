import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import golden from "../golden/schedulers.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";

const {
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiStepLR,
  OneCycleLR,
  ReduceLROnPlateau,
  Scheduler,
  SequentialLR,
  StepLR,
  WarmupCosine,
} = optim.schedulers;

/** Momentum as in test/golden/schedulers.py, since OneCycleLR moves it. */
function sgdWith(...rates: number[]): optim.SGD {
  return new optim.SGD(
    rates.map((lr) => ({ params: [tensor([0])], lr })),
    { lr: 1, momentum: 0.1 },
  );
}

interface AnyScheduler {
  step(metric: number): void;
  getLastLr(): number[];
  stateDict(): object;
  loadStateDict(state: object): void;
}
type Make = (optimizer: optim.SGD) => AnyScheduler;

/** Rates of both groups and the momentum of the first, for 50 steps; from the 20th on by a scheduler that was restored. */
function checkRates(make: Make, expected: number[][]): void {
  scope(() => {
    let optimizer = sgdWith(0.5, 0.1);
    let scheduler = make(optimizer);
    expected.forEach((rates, t) => {
      if (t === 20) {
        const state = JSON.parse(JSON.stringify(scheduler.stateDict()));
        optimizer = sgdWith(7, 7);
        scheduler = make(optimizer);
        scheduler.loadStateDict(state);
      }
      const { paramGroups } = optimizer;
      // PyTorch multiplies step by step what is computed here at once.
      const tolerance = { absolute: 1e-12, relative: 1e-9 };
      expectClose([...paramGroups.map(({ lr }) => lr), paramGroups[0].momentum], rates, tolerance, `step ${t}`);
      expectClose(scheduler.getLastLr(), rates.slice(0, 2), tolerance);
      if (t + 1 < expected.length) scheduler.step(golden.metrics[t]);
    });
  });
}

describe("PyTorch's learning rates for 50 steps", () => {
  const classes = { CosineAnnealingLR, ExponentialLR, LinearLR, MultiStepLR, OneCycleLR, StepLR };
  for (const { name, args, rates } of golden.cases) {
    test(`${name} ${JSON.stringify(args)}`, () => {
      const Class = classes[name as keyof typeof classes] as unknown as new (...all: unknown[]) => AnyScheduler;
      checkRates((optimizer) => new Class(optimizer, ...args), rates);
    });
  }

  test("LambdaLR", () => {
    checkRates((optimizer) => new LambdaLR(optimizer, [(t) => 0.9 ** t, (t) => 1 / (1 + t)]), golden.lambda);
  });

  test("SequentialLR", () => {
    checkRates((optimizer) => {
      const parts = [
        new LinearLR(optimizer, { startFactor: 0.1, totalIters: 6 }),
        new CosineAnnealingLR(optimizer, 20, { etaMin: 0.01 }),
        new ExponentialLR(optimizer, 0.9),
      ];
      return new SequentialLR(optimizer, parts, [6, 26]);
    }, golden.sequential);
  });

  for (const { options, rates } of golden.plateau) {
    test(`ReduceLROnPlateau ${JSON.stringify(options)}`, () => {
      const given = options as optim.schedulers.ReduceLROnPlateauOptions;
      checkRates((optimizer) => new ReduceLROnPlateau(optimizer, given), rates);
    });
  }
});

describe("schedulers", () => {
  test("every group has its own rate, and β₁ is cycled where there is one", () => {
    scope(() => {
      const optimizer = new optim.AdamW([tensor([0])], { lr: 1, betas: [0.1, 0.7] });
      const scheduler = new OneCycleLR(optimizer, 1, { totalSteps: 10 });
      expect(optimizer.paramGroups[0].betas).toEqual([0.95, 0.7]);
      for (let t = 0; t < 2; t++) scheduler.step();
      expect(optimizer.paramGroups[0]).toMatchObject({ lr: 1, betas: [0.85, 0.7] });
    });
  });

  test("one cycle ends: a step more is an error, and changes nothing", () => {
    scope(() => {
      const optimizer = sgdWith(1);
      const scheduler = new OneCycleLR(optimizer, 1, { totalSteps: 2 });
      for (let t = 0; t < 2; t++) scheduler.step();
      const { lr } = optimizer.paramGroups[0];
      expect(() => scheduler.step()).toThrow("OneCycleLR: there must be at most 2 steps, got one more");
      expect(optimizer.paramGroups[0].lr).toBe(lr);
      expect(scheduler.getLastLr()).toEqual([lr]);
    });
  });

  test("schedules of one's own are classes too", () => {
    class Halving extends Scheduler {
      constructor(optimizer: optim.schedulers.Scheduled) {
        super(optimizer);
        this.apply();
      }
      override lrAt(step: number, baseLr: number): number {
        return baseLr / 2 ** step;
      }
    }
    scope(() => {
      const scheduler = new Halving(sgdWith(1, 4));
      scheduler.step();
      expect(scheduler.getLastLr()).toEqual([0.5, 2]);
    });
  });

  test("wrong arguments are errors", () => {
    scope(() => {
      const optimizer = sgdWith(1);
      expect(() => new StepLR(optimizer, 0)).toThrow("StepLR: stepSize must be a whole number from 1, got 0");
      expect(() => new StepLR(optimizer, 1, { gama: 1 } as object)).toThrow(/^StepLR: options must be gamma, got gama/);
      expect(() => new ExponentialLR(optimizer, Number.NaN)).toThrow("ExponentialLR: gamma must be 0 or more, got NaN");
      expect(() => new CosineAnnealingLR(optimizer, 0)).toThrow("CosineAnnealingLR: tMax must be above 0, got 0");
      expect(() => new LinearLR(optimizer, { startFactor: 0 })).toThrow(
        /startFactor must be above 0 and up to 1, got 0/,
      );
      expect(() => new LambdaLR(optimizer, [])).toThrow(/one for each of 1 groups, got 0/);
      expect(() => new OneCycleLR(optimizer, 1, {})).toThrow(/totalSteps must be a whole number from 1.*got NaN/);
      expect(() => new OneCycleLR(optimizer, [1, 2], { totalSteps: 5 })).toThrow(/maxLr must be .* got 1 and 2/);
      const adagrad = new optim.Adagrad([tensor([0])]);
      expect(() => new OneCycleLR(adagrad, 1, { totalSteps: 5 })).toThrow(/use cycleMomentum: false/);
      expect(() => new ReduceLROnPlateau(optimizer, { factor: 1 })).toThrow(/factor must be from 0 to below 1, got 1/);
      expect(() => new ReduceLROnPlateau(optimizer).step(undefined as unknown as number)).toThrow(
        "ReduceLROnPlateau: the metric must be a number, got undefined",
      );
      expect(() => new SequentialLR(optimizer, [new StepLR(optimizer, 1)], [3])).toThrow(/got 1 for 1/);
      expect(() => new SequentialLR(optimizer, [new StepLR(sgdWith(1), 1)], [])).toThrow(/same optimizer, got StepLR/);
      expect(() => new WarmupCosine(optimizer, { warmupSteps: 1, totalSteps: 2, minLR: 0 } as never)).toThrow(
        /^WarmupCosine: options must be .*, got minLR/,
      );
    });
  });
});

/** Hugging Face's get_cosine_schedule_with_warmup, with a floor. */
function expectedRate(t: number, lr: number, warmup: number, total: number, floor: number): number {
  if (t < warmup) return (lr * t) / warmup;
  const progress = Math.min(1, (t - warmup) / Math.max(1, total - warmup));
  return floor + (lr - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

describe("WarmupCosine", () => {
  for (const [warmupSteps, totalSteps, minLr] of [
    [4, 20, 0],
    [0, 10, 0.01],
    [5, 5, 0.02],
    [1, 3, 0.1],
  ]) {
    test(`${warmupSteps} of ${totalSteps} steps, then ${minLr}`, () => {
      scope(() => {
        const optimizer = sgdWith(1, 0.5);
        const scheduler = new WarmupCosine(optimizer, { warmupSteps, totalSteps, minLr });
        for (let t = 0; t < totalSteps + 3; t++) {
          const expected = [1, 0.5].map((lr) =>
            t >= totalSteps ? minLr : expectedRate(t, lr, warmupSteps, totalSteps, minLr),
          );
          expectClose(scheduler.getLastLr(), expected, { absolute: 1e-12, relative: 1e-12 }, `step ${t}`);
          expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual(scheduler.getLastLr());
          scheduler.step();
        }
      });
    });
  }

  test("goes on from a state dict", () => {
    scope(() => {
      const scheduler = new WarmupCosine(sgdWith(2), { warmupSteps: 2, totalSteps: 9 });
      for (let t = 0; t < 5; t++) scheduler.step();
      const optimizer = sgdWith(7);
      const other = new WarmupCosine(optimizer, { warmupSteps: 2, totalSteps: 9 });
      other.loadStateDict(JSON.parse(JSON.stringify(scheduler.stateDict())));
      expect(optimizer.paramGroups[0].lr).toBe(scheduler.getLastLr()[0]);
      scheduler.step();
      other.step();
      expect(other.getLastLr()).toEqual(scheduler.getLastLr());
      const two = new WarmupCosine(sgdWith(1, 1), { warmupSteps: 2, totalSteps: 9 });
      expect(() => two.loadStateDict(scheduler.stateDict())).toThrow(
        "Scheduler.loadStateDict: there must be 2 rates, got 1",
      );
    });
  });

  test("wrong options are errors", () => {
    scope(() => {
      const optimizer = sgdWith(1);
      expect(() => new WarmupCosine(optimizer, { warmupSteps: 5, totalSteps: 4 })).toThrow(/got 5 and 4$/);
      expect(() => new WarmupCosine(optimizer, { warmupSteps: 0.5, totalSteps: 4 })).toThrow(/whole numbers/);
      expect(() => new WarmupCosine(optimizer, { warmupSteps: 0, totalSteps: 4, minLr: -1 })).toThrow(
        /minLr must be 0 or more, got -1/,
      );
    });
  });
});
