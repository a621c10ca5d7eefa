import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  update(step: number, loss: number, tokensPerSecond: number): void;
  stop(): void;
}

/** A live bar in a terminal; a line every few seconds elsewhere. */
export function progressBar(title: string, steps: number, done = 0): Progress {
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
  bar.start(steps, done, { loss: "–", rate: "–" });
  return {
    update: (step, loss, rate) =>
      bar.update(step, { loss: loss.toFixed(3), rate: Math.round(rate).toLocaleString("en-US") }),
    stop: () => bar.stop(),
  };
}

const MEBIBYTE = 1024 * 1024;

/** How much of a file has come: a line that is drawn again in a terminal, one at its end elsewhere. */
export function showDownload(loaded: number, total: number, file: string): void {
  const { isTTY } = process.stderr;
  if (!isTTY && loaded !== total) return;
  const of = Number.isNaN(total) ? "" : ` of ${(total / MEBIBYTE).toFixed(1)}`;
  const line = `  ${file} ${(loaded / MEBIBYTE).toFixed(1)}${of} MiB`;
  process.stderr.write(isTTY ? `\r${line}\x1b[K${loaded === total ? "\n" : ""}` : `${line}\n`);
}
