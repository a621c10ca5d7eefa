/** `evolve`: training by forward passes alone. */
export type { BreederState } from "./breeder.js";
export type { Evolution, Generation, LossFunction } from "./evolution.js";
export { type FitOptions, fit, type History } from "./fit.js";
export type { Scale } from "./genome.js";
export type { PopulationOptions } from "./options.js";
export { type Best, Population, type PopulationStateDict } from "./population.js";
export type { ParentSelection } from "./selection.js";
export { EvolutionStrategy, type EvolutionStrategyOptions, type EvolutionStrategyStateDict } from "./strategy.js";
