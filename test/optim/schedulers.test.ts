import { describe, expect, test } from "vitest";
import { optim, scope, tensor } from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";

const { WarmupCosine } = optim.schedulers;

function sgdWith(...rates: number[]): optim.SGD {
  return new optim.SGD(
    rates.map((lr) => ({ params: [tensor([0])], lr })),
    { lr: 1 },
  );
}

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
