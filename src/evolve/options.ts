import { checkOptions } from "../errors.js";
import type { Scale } from "./genome.js";
import type { ParentSelection } from "./selection.js";

export interface PopulationOptions {
  /** Individuals. */
  size?: number;
  /** How many of the best (of each island) survive. With 0 the best loss may rise. */
  elites?: number;
  /** The probability with which each bit of a child flips. */
  mutationRate?: number;
  /** Each individual has a rate of its own, which its children inherit, times or divided by 1.5. Bäck and Schütz 1996 */
  selfAdaptingRate?: boolean;
  /** "uniform": each code from one parent or the other, by a fair coin. "none": one parent. */
  crossover?: "uniform" | "none";
  /** Of a pair: with 2, the second has the codes that the first did not take. */
  children?: 1 | 2;
  parents?: ParentSelection;
  /** Among how many the best is taken, with parents "tournament". */
  tournamentSize?: number;
  /** Sub-populations of equal size, whose individuals have children among themselves only. */
  islands?: number;
  /** Every so many generations, the best of each island join the next one's parents. */
  migrationInterval?: number;
  migrants?: number;
  scheme?: "log4";
  /** The magnitude of the largest code: for every tensor, or by fan-in and path. */
  scale?: Scale;
  /** What the first generation is: random codes, or the model's own nearest codes and mutants of them. */
  initial?: "random" | "model";
  /** Takes the losses of the elites anew in every generation: for losses that change from call to call. */
  reevaluateElites?: boolean;
  /** For chains of linear layers and activations: all individuals (or groups of so many) as one batched product. */
  batched?: boolean | number;
  seed?: number;
}

export type ResolvedOptions = Required<PopulationOptions>;

/** Four times the bound of a usual initialization: with less, not every seed learns XOR. */
export function defaultScale(fanIn: number): number {
  return 4 / Math.sqrt(fanIn);
}

const defaults: ResolvedOptions = {
  size: 100,
  elites: 2,
  mutationRate: 0.01,
  selfAdaptingRate: false,
  crossover: "uniform",
  children: 1,
  parents: "fitness",
  tournamentSize: 3,
  islands: 1,
  migrationInterval: 10,
  migrants: 1,
  scheme: "log4",
  scale: defaultScale,
  initial: "random",
  reevaluateElites: false,
  batched: false,
  seed: 0,
};

/** All options, checked. */
export function resolveOptions(op: string, options: PopulationOptions): ResolvedOptions {
  checkOptions(op, options, Object.keys(defaults));
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const all: ResolvedOptions = { ...defaults, ...Object.fromEntries(given) };
  const { size, elites, islands, migrants } = all;
  const island = size / islands;
  const isWhole = (value: number, least: number) => Number.isInteger(value) && value >= least;
  check(op, "size", size, isWhole(size, 2), "a whole number from 2");
  check(op, "islands", islands, isWhole(islands, 1), "a whole number from 1");
  check(op, "islands", islands, Number.isInteger(island) && island >= 2, `equal parts, of 2 or more, of ${size}`);
  check(op, "elites", elites, isWhole(elites, 0) && elites < island, `a whole number from 0 and below ${island}`);
  check(
    op,
    "migrants",
    migrants,
    isWhole(migrants, 0) && migrants < island,
    `a whole number from 0 and below ${island}`,
  );
  check(op, "migrationInterval", all.migrationInterval, isWhole(all.migrationInterval, 1), "a whole number from 1");
  check(op, "tournamentSize", all.tournamentSize, isWhole(all.tournamentSize, 1), "a whole number from 1");
  check(op, "mutationRate", all.mutationRate, all.mutationRate >= 0 && all.mutationRate <= 1, "from 0 to 1");
  check(
    op,
    "batched",
    all.batched,
    typeof all.batched === "boolean" || isWhole(all.batched, 1),
    "true, false or a whole number from 1",
  );
  check(op, "seed", all.seed, Number.isSafeInteger(all.seed) && all.seed >= 0, "a whole number from 0");
  checkChoice(op, "crossover", all.crossover, ["uniform", "none"]);
  checkChoice(op, "children", all.children, [1, 2]);
  checkChoice(op, "parents", all.parents, ["fitness", "uniform", "tournament"]);
  checkChoice(op, "scheme", all.scheme, ["log4"]);
  checkChoice(op, "initial", all.initial, ["random", "model"]);
  return all;
}

export function check(op: string, option: string, value: unknown, holds: boolean, rule: string): void {
  if (!holds) throw new Error(`${op}: ${option} must be ${rule}, got ${value}`);
}

function checkChoice(op: string, option: string, value: unknown, choices: readonly unknown[]): void {
  const listed = choices.map((choice) => JSON.stringify(choice)).join(" or ");
  check(op, option, JSON.stringify(value), choices.includes(value), listed);
}
