import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  update(step: number, loss: number, tokensPerSecond: number): void;
  stop(): void;
}

/** A live bar in a terminal; a line every few seconds elsewhere. */
export function progressBar(title: string, steps: number): Progress {
  const bar = new SingleBar(
    {
      format: `${title} {bar} {value}/{total} · loss {loss} · {rate} tokens/s · {eta_formatted} left`,
      barsize: 24,
      hideCursor: true,
      noTTYOutput: true,
      notTTYSchedule: 5000,
      etaBuffer: 20,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  bar.start(steps, 0, { loss: "–", rate: "–" });
  return {
    update: (step, loss, rate) =>
      bar.update(step, { loss: loss.toFixed(3), rate: Math.round(rate).toLocaleString("en-US") }),
    stop: () => bar.stop(),
  };
}
