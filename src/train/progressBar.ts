import { checkOptions } from "../errors.js";
import type { Callback, EpochEvent, StepEvent } from "./callbacks.js";

/** Where the bar is drawn: `process.stderr`, or anything like it. */
export interface ProgressOutput {
  isTTY?: boolean;
  write(text: string): unknown;
}

export interface ProgressBarOptions {
  title?: string;
  output?: ProgressOutput;
}

const WIDTH = 24;
const REDRAW_MS = 50;
const LINE_MS = 2000;

/** A live bar where the output is a terminal; elsewhere, a line for an epoch every two seconds, and for the last. */
export class ProgressBar implements Callback {
  private readonly title: string;
  private readonly output: ProgressOutput;
  private begun = 0;
  /** Steps that were taken before it began, known with the first one it sees. */
  private before = -1;
  private drawn = 0;
  /** Of the last epoch, until it is written. */
  private summary = "";
  private isOpen = false;

  constructor(options: ProgressBarOptions = {}) {
    checkOptions("ProgressBar", options, ["title", "output"]);
    this.title = options.title ?? "training";
    this.output = options.output ?? standardOutput();
  }

  onStart(): void {
    this.begun = performance.now();
    this.before = -1;
    this.drawn = this.output.isTTY ? 0 : this.begun;
  }

  onStep(event: StepEvent): void {
    const now = performance.now();
    if (this.before < 0) this.before = event.step - 1;
    const isLast = event.step === event.totalSteps;
    if (!this.output.isTTY || (now - this.drawn < REDRAW_MS && !isLast)) return;
    this.drawn = now;
    this.isOpen = true;
    this.output.write(`\r${this.line(event, (now - this.begun) / 1000)}\x1b[K`);
  }

  onEpoch({ epoch, totalEpochs, loss, validationLoss }: EpochEvent): void {
    if (this.output.isTTY) return;
    const validation = validationLoss === undefined ? "" : ` · validation ${showLoss(validationLoss)}`;
    this.summary = `${this.title} epoch ${epoch}/${totalEpochs} · loss ${showLoss(loss)}${validation}\n`;
    if (performance.now() - this.drawn >= LINE_MS) this.writeSummary();
  }

  onEnd(): void {
    if (this.summary) this.writeSummary();
    if (this.isOpen) this.output.write("\n");
    this.isOpen = false;
  }

  private writeSummary(): void {
    this.output.write(this.summary);
    this.summary = "";
    this.drawn = performance.now();
  }

  private line({ step, totalSteps, epoch, totalEpochs, loss, history }: StepEvent, seconds: number): string {
    const bar = totalSteps === undefined ? "" : `${drawBar(step / totalSteps)} `;
    const left =
      totalSteps === undefined ? "" : ` · ${showTime((seconds / (step - this.before)) * (totalSteps - step))} left`;
    const validationLoss = history.epochs.at(-1)?.validationLoss;
    const validation = validationLoss === undefined ? "" : ` · validation ${showLoss(validationLoss)}`;
    const count = totalSteps === undefined ? `step ${step}` : `${step}/${totalSteps}`;
    return `${this.title} ${bar}${count} · epoch ${epoch}/${totalEpochs} · loss ${showLoss(loss)}${validation}${left}`;
  }
}

function drawBar(share: number): string {
  const full = Math.min(WIDTH, Math.round(share * WIDTH));
  return "█".repeat(full) + "░".repeat(WIDTH - full);
}

function showLoss(loss: number): string {
  return loss.toPrecision(4);
}

function showTime(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, "0")}s`;
}

/** The console where there is no terminal, as in browsers. */
function standardOutput(): ProgressOutput {
  const { process } = globalThis as { process?: { stderr?: ProgressOutput } };
  return process?.stderr ?? { write: (text) => console.log(text.trimEnd()) };
}
