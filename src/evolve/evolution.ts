/** What the kinds of evolution share: generations, and how their losses are taken. */
import { noGrad } from "../graph.js";
import { scope } from "../scope.js";
import { Tensor } from "../tensor.js";

/** What became of one generation. */
export interface Generation {
  /** Counted from 1. */
  generation: number;
  /** The least loss. */
  best: number;
  /** Over the individuals with a loss. */
  mean: number;
  worst: number;
  /** How many had a loss that was NaN or no number. */
  invalid: number;
}

/**
 * The loss of the individual that the model holds. It runs without recording, in a scope of its own. With `batched`, it
 * is given what computes the outputs [individuals, rows, out] of all from inputs [rows, in], and returns all their losses.
 */
export type LossFunction = (forward: (x: Tensor) => Tensor) => number | Tensor | ArrayLike<number>;

/** Puts into the model what it holds between generations: for code that runs while a generation is under way. */
export type Settle = () => void;

/** Minimizes a loss over a model's parameters with forward passes alone. */
export abstract class Evolution {
  private isRunning = false;

  protected constructor(readonly name: string) {}

  /** @internal One generation, which may pause after each individual. */
  protected abstract run(lossFn: LossFunction): Generator<Settle, Generation>;

  /**
   * One generation.
   * Errors: `lossFn` throws, returns a promise, or gives no individual a loss; the generation is then not over, and the
   * next step goes on with it.
   */
  step(lossFn: LossFunction): Generation {
    const steps = this.start(lossFn);
    let result = steps.next();
    while (!result.done) result = steps.next();
    return result.value;
  }

  /** @internal `step`, pausing after each individual. */
  *start(lossFn: LossFunction): Generator<Settle, Generation> {
    if (typeof lossFn !== "function") throw new Error(`${this.name}: lossFn must be a function, got ${typeof lossFn}`);
    if (this.isRunning)
      throw new Error(`${this.name}: a generation must end before the next, got a step inside a step`);
    this.isRunning = true;
    try {
      return yield* this.run(lossFn);
    } finally {
      this.isRunning = false;
    }
  }

  /** @internal State must not change under way. */
  protected checkIdle(method: string): void {
    if (this.isRunning)
      throw new Error(`${this.name}: ${method} must be called between generations, got a call inside one`);
  }
}

/** What `read` makes of what `lossFn` returns, an error where that is a promise. */
export function evaluate<T>(name: string, lossFn: () => unknown, read: (value: unknown) => T): T {
  return noGrad(() =>
    scope(() => {
      const value = lossFn();
      if (typeof (value as { then?: unknown } | null | undefined)?.then !== "function") return read(value);
      Promise.resolve(value).catch(() => {}); // what it rejects with later is answered by the error here
      throw new Error(
        `${name}: lossFn must return its loss at once, got a promise; await what it needs before the step`,
      );
    }),
  );
}

/** A number for a loss, NaN for anything else. */
export function lossOf(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** The same of the losses of `n` individuals, given as a tensor or a list. */
export function lossesOf(name: string, value: unknown, n: number): number[] {
  const list: unknown = value instanceof Tensor ? value.data() : value;
  const { length } = Object(list) as { length?: unknown };
  if (length !== n)
    throw new Error(`${name}: with batched, lossFn must return ${n} losses, got ${length ?? typeof value}`);
  return Array.from(list as ArrayLike<unknown>, lossOf);
}

/** Of all losses; NaN counts as invalid. */
export function summarize(generation: number, losses: ArrayLike<number>): Generation {
  const valid = Array.from(losses).filter((loss) => !Number.isNaN(loss));
  return {
    generation,
    best: valid.reduce((least, loss) => Math.min(least, loss), Infinity),
    mean: valid.reduce((sum, loss) => sum + loss, 0) / valid.length,
    worst: valid.reduce((most, loss) => Math.max(most, loss), -Infinity),
    invalid: losses.length - valid.length,
  };
}
