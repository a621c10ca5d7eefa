import { checkOptions } from "../errors.js";
import { Pacer } from "../pause.js";
import { Evolution, type Generation, type LossFunction } from "./evolution.js";
import { check } from "./options.js";

export interface FitOptions {
  /** How many at the most. */
  generations: number;
  lossFn: LossFunction;
  /** Ends the evolution once the best loss is this or less. */
  target?: number;
  /** Generations in a row after which the evolution ends if the best loss has not fallen. */
  patience?: number;
  /** Called after each, with the best individual in the model; may be asynchronous. */
  onGeneration?: (generation: Generation) => unknown;
  /** An abort ends the evolution after the present individual; a later step takes the losses that are lacking. */
  signal?: AbortSignal;
}

/** What became of an evolution. */
export interface History {
  generations: Generation[];
  /** "target" reached, "patience" at an end, "aborted" by the signal. */
  stopped: "completed" | "target" | "patience" | "aborted";
}

/** Steps a population or strategy, and gives way to events about every 12 ms, with the best individual in the model. */
export async function fit(evolution: Evolution, options: FitOptions): Promise<History> {
  if (!(evolution instanceof Evolution))
    throw new Error(`fit: the first argument must be a Population or an EvolutionStrategy, got ${evolution}`);
  checkFitOptions(options);
  const { generations, lossFn, target = -Infinity, patience = Infinity, onGeneration, signal } = options;
  const history: History = { generations: [], stopped: "completed" };
  const pacer = new Pacer();
  let least = Infinity;
  let waited = 0;
  while (history.generations.length < generations) {
    const generation = await nextGeneration(evolution, lossFn, pacer, signal);
    if (!generation) return { ...history, stopped: "aborted" };
    history.generations.push(generation);
    await onGeneration?.(generation);
    waited = generation.best < least ? 0 : waited + 1;
    least = Math.min(least, generation.best);
    if (least <= target) return { ...history, stopped: "target" };
    if (waited >= patience) return { ...history, stopped: "patience" };
  }
  return history;
}

/** null where the signal has ended it. */
async function nextGeneration(
  evolution: Evolution,
  lossFn: LossFunction,
  pacer: Pacer,
  signal: AbortSignal | undefined,
): Promise<Generation | null> {
  const steps = evolution.start(lossFn);
  try {
    while (!signal?.aborted) {
      const { done, value } = steps.next();
      if (done) return value;
      if (pacer.isDue) value();
      await pacer.pause();
    }
    return null;
  } finally {
    steps.return(undefined as never);
  }
}

function checkFitOptions(options: FitOptions): void {
  checkOptions("fit", options, ["generations", "lossFn", "target", "patience", "onGeneration", "signal"]);
  const { generations, target = 0, patience = 1, onGeneration = () => {} } = options;
  check("fit", "generations", generations, Number.isInteger(generations) && generations >= 0, "a whole number from 0");
  check("fit", "target", target, typeof target === "number" && !Number.isNaN(target), "a number");
  check("fit", "patience", patience, patience >= 1, "1 or more");
  check("fit", "onGeneration", onGeneration, typeof onGeneration === "function", "a function");
}
