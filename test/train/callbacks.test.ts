import { describe, expect, test, vi } from "vitest";
import { nn, train } from "../../src/index.js";

function epochEvent(epoch: number, loss: number, validationLoss?: number) {
  let stopped = false;
  const event: train.EpochEvent = {
    model: new nn.Sequential(),
    history: { steps: [], epochs: [], stopped: "completed" },
    totalEpochs: 9,
    totalSteps: 18,
    stop: () => {
      stopped = true;
    },
    epoch,
    loss,
    validationLoss,
  };
  return { event, stopped: () => stopped };
}

describe("EarlyStopping", () => {
  const epochsUntilStop = (losses: number[], options: train.EarlyStoppingOptions) => {
    const stopping = new train.EarlyStopping(options);
    stopping.onStart();
    return (
      losses.findIndex((loss, i) => {
        const { event, stopped } = epochEvent(i + 1, 0, loss);
        stopping.onEpoch(event);
        return stopped();
      }) + 1
    );
  };

  test("waits so many epochs without improvement", () => {
    expect(epochsUntilStop([5, 4, 4.5, 4.2, 3, 3, 3, 3], { patience: 3 })).toBe(8);
    expect(epochsUntilStop([5, 4, 4, 3], { patience: 1 })).toBe(3);
    expect(epochsUntilStop([3, Number.NaN, Number.NaN], { patience: 2 })).toBe(3);
  });

  test("small improvements don't count below minDelta", () => {
    expect(epochsUntilStop([5, 4.95, 4.9, 4.8], { patience: 2, minDelta: 0.15 })).toBe(3);
  });

  test("without validation it watches the loss", () => {
    const stopping = new train.EarlyStopping({ patience: 1 });
    stopping.onEpoch(epochEvent(1, 1).event);
    const { event, stopped } = epochEvent(2, 1);
    stopping.onEpoch(event);
    expect(stopped()).toBe(true);
  });

  test("says what is out of range", () => {
    expect(() => new train.EarlyStopping({ patience: 0 })).toThrow("EarlyStopping: patience must be 1 or more, got 0");
    expect(() => new train.EarlyStopping({ wait: 1 } as object)).toThrow("got wait");
  });
});

describe("ProgressBar", () => {
  function written(isTTY: boolean, work: () => void = () => {}): string {
    let text = "";
    const output = {
      isTTY,
      write: (part: string) => {
        text += part;
      },
    };
    const bar = new train.ProgressBar({ title: "digits", output });
    bar.onStart();
    for (let step = 1; step <= 18; step++) {
      work();
      const { event } = epochEvent(Math.ceil(step / 2), 1 / step);
      bar.onStep({ ...event, step, learningRates: [0.1], gradientNorm: undefined });
      if (step % 2 === 0) bar.onEpoch(epochEvent(step / 2, 1 / step, 0.25).event);
    }
    bar.onEnd();
    return text;
  }

  test("draws one line over and over in a terminal", () => {
    const text = written(true);
    expect(text.split("\n").length).toBe(2);
    expect(text).toContain("\rdigits █");
    expect(text).toContain(`digits ${"█".repeat(24)} 18/18 · epoch 9/9 · loss 0.05556 · 0s left`);
  });

  test("writes a line now and then elsewhere, and one for the last epoch", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const lines = written(false, () => vi.advanceTimersByTime(500))
        .trimEnd()
        .split("\n");
      expect(lines).toEqual([
        "digits epoch 2/9 · loss 0.2500 · validation 0.2500",
        "digits epoch 4/9 · loss 0.1250 · validation 0.2500",
        "digits epoch 6/9 · loss 0.08333 · validation 0.2500",
        "digits epoch 8/9 · loss 0.06250 · validation 0.2500",
        "digits epoch 9/9 · loss 0.05556 · validation 0.2500",
      ]);
    } finally {
      vi.useRealTimers();
    }
  });
});
