/** Evolution of 4-bit weights. */
import { ShapeError, showShape } from "../errors.js";
import type { Layer, Module } from "../nn/module.js";
import { sameShape } from "../shape.js";
import { alias, type Tensor } from "../tensor.js";
import { offsetBy, uint8View } from "../wasm/memory.js";
import { Breeder, type BreederState } from "./breeder.js";
import { Chain } from "./chain.js";
import {
  Evolution,
  evaluate,
  type Generation,
  type LossFunction,
  lossesOf,
  lossOf,
  type Settle,
  summarize,
} from "./evolution.js";
import { Genome } from "./genome.js";
import { Individuals } from "./individuals.js";
import { check, type PopulationOptions, type ResolvedOptions, resolveOptions } from "./options.js";
import { EvolvedParameters } from "./parameters.js";

/** The best individual. */
export interface Best {
  loss: number;
  /** By path: codes, packed as `quant`'s log4, and the magnitude of the largest of them. */
  parameters: Record<string, { codes: Uint8Array<ArrayBuffer>; scale: number }>;
}

/** All there is to a population, as checkpoints take it: JSON-safe but for the tensors. */
export interface PopulationStateDict extends BreederState {
  /** `codes` [size, bytes] (uint8): a row for each individual. */
  tensors: { codes: Tensor };
  /** How many generations have ended. */
  generation: number;
  /** null where it has not been taken, text where it is not finite. */
  losses: (number | string | null)[];
  /** Mutation rates. */
  rates: number[];
}

/**
 * Individuals whose weights are 4-bit codes: 0 or ±scale · 2^(e − 7), e from 1 to 7. In each generation the best survive
 * and children of two parents take the places of the others: each code is one parent's or the other's (uniform
 * crossover, Syswerda 1989), then bits flip at random. It takes forward passes alone, no graph and no gradients, and its
 * memory is the packed codes and one float32 model (the codes twice while children are made).
 *
 * Every parameter that requires a gradient is evolved, biases and norms too, with a scale for each tensor: 4/√fanIn,
 * where a bias has its layer's fan-in and norms have 1. Frozen parameters and buffers stay as they are. After each step
 * the model holds the best individual; what else is written to its parameters in between is lost.
 *
 * An elite keeps the loss it had. Where `lossFn` gives other losses each time (other data, dropout), the luckiest would
 * stay: `reevaluateElites` takes their losses anew.
 *
 * Results follow from the seed and the losses alone.
 */
export class Population extends Evolution {
  readonly size: number;
  private readonly options: ResolvedOptions;
  private readonly parameters: EvolvedParameters;
  private readonly genome: Genome;
  private readonly breeder: Breeder;
  private readonly chain: Chain | null;
  private individuals: Individuals;
  private generation = 0;

  constructor(
    private readonly model: Module,
    options: PopulationOptions = {},
  ) {
    super("Population");
    this.options = resolveOptions(this.name, options);
    this.size = this.options.size;
    this.chain = this.options.batched ? new Chain(this.name, model) : null;
    this.parameters = new EvolvedParameters(this.name, model);
    if (this.options.initial === "model") {
      this.parameters.checkFinite();
      this.parameters.checkNotAllZero();
    }
    this.genome = new Genome(this.parameters, model, this.options.scale);
    this.breeder = new Breeder(this.options, this.genome);
    this.individuals =
      this.options.initial === "random" ? this.breeder.randomGeneration() : this.breeder.mutantsOfModel();
  }

  /** @internal */
  protected override *run(lossFn: LossFunction): Generator<Settle, Generation> {
    this.parameters.check();
    if (this.individuals.pending.length === 0) this.breed();
    const original = this.individuals.isUntried ? this.parameters.values() : [];
    try {
      yield* this.chain ? this.evaluateGroups(this.chain, lossFn) : this.evaluateEach(lossFn);
      this.checkLosses();
      this.generation++;
    } finally {
      if (this.individuals.isUntried) this.parameters.restore(original);
      else this.showBest();
    }
    return summarize(this.generation, this.individuals.losses);
  }

  private breed(): void {
    const { islands, migrationInterval } = this.options;
    const isMigration = islands > 1 && this.generation % migrationInterval === 0;
    this.replace(this.breeder.nextGeneration(this.individuals, isMigration));
  }

  private *evaluateEach(lossFn: LossFunction): Generator<Settle, void> {
    const { individuals } = this;
    const forward = (x: Tensor) => (this.model as Layer).forward(x);
    for (const i of individuals.pending) {
      this.genome.express(individuals.row(i));
      const loss = evaluate(this.name, () => lossFn(forward), lossOf);
      individuals.setLoss(i, loss);
      yield () => this.showBest();
    }
  }

  private *evaluateGroups(chain: Chain, lossFn: LossFunction): Generator<Settle, void> {
    const { individuals } = this;
    const { pending } = individuals;
    const { batched } = this.options;
    const extent = typeof batched === "number" ? batched : pending.length;
    for (let start = 0; start < pending.length; start += extent) {
      const group = pending.slice(start, start + extent);
      const stackAndEvaluate = () => {
        const stacked = this.genome.stack(group.map((i) => individuals.row(i)));
        return lossFn((x) => chain.forward(x, stacked));
      };
      const losses = evaluate(this.name, stackAndEvaluate, (value) => lossesOf(this.name, value, group.length));
      for (const [k, i] of group.entries()) individuals.setLoss(i, losses[k]);
      yield () => this.showBest();
    }
  }

  private showBest(): void {
    this.genome.express(this.individuals.row(this.individuals.best));
  }

  /** Without any loss nothing can be chosen: the next step takes them anew. */
  private checkLosses(): void {
    const { losses, evaluated } = this.individuals;
    if (losses.some((loss) => !Number.isNaN(loss))) return;
    evaluated.fill(false);
    throw new Error(
      `${this.name}: lossFn must give a number for some individual, got NaN or no number for all ${this.size}`,
    );
  }

  /** The best individual of those whose loss has been taken. The model holds it, too. */
  best(): Best {
    this.checkIdle("best");
    if (this.individuals.isUntried)
      throw new Error(`${this.name}: best must follow a step, got a population without losses`);
    const { best, losses } = this.individuals;
    const parameters = this.genome.genes.map(({ path, offset, bytes, scale }) => {
      const codes = uint8View(offsetBy(this.individuals.row(best), offset), bytes);
      return [path, { codes: new Uint8Array(codes), scale }];
    });
    return { loss: losses[best], parameters: Object.fromEntries(parameters) };
  }

  /** The codes as a handle without a copy, which no later step changes; and the rest. */
  stateDict(): PopulationStateDict {
    this.checkIdle("stateDict");
    const { codes, losses, evaluated, rates } = this.individuals;
    return {
      tensors: { codes: alias(codes) },
      generation: this.generation,
      losses: losses.map((loss, i) => (!evaluated[i] ? null : Number.isFinite(loss) ? loss : String(loss))),
      rates: [...rates],
      ...this.breeder.state,
    };
  }

  /** Goes on where the other population was, bit for bit; the model then holds its best individual. */
  loadStateDict({ tensors, generation, losses, rates, ...random }: PopulationStateDict): void {
    this.checkIdle("loadStateDict");
    this.parameters.check();
    const expected = this.individuals.codes;
    const { codes } = tensors;
    if (!sameShape(codes.shape, expected.shape) || codes.dtype !== "uint8") {
      throw new ShapeError(
        `${this.name}.loadStateDict: codes must be uint8 ${showShape(expected.shape)}, got ${codes.dtype} ${showShape(codes.shape)}`,
      );
    }
    for (const list of [losses, rates]) {
      if (list.length !== this.size)
        throw new Error(`${this.name}.loadStateDict: ${this.size} losses and rates must be given, got ${list.length}`);
    }
    const isCount = Number.isSafeInteger(generation) && generation >= 0;
    check(`${this.name}.loadStateDict`, "generation", generation, isCount, "a whole number from 0");
    const wrong = rates.find((rate) => !(rate >= 0 && rate <= 1));
    check(`${this.name}.loadStateDict`, "rates", wrong, wrong === undefined, "from 0 to 1");
    this.breeder.state = random;
    this.generation = generation;
    const loaded = new Individuals(this.size, this.genome.bytes, [...rates]);
    loaded.codes.set(codes.data());
    for (const [i, loss] of losses.entries()) if (loss !== null) loaded.setLoss(i, Number(loss));
    this.replace(loaded);
    if (!this.individuals.isUntried) this.showBest();
  }

  private replace(individuals: Individuals): void {
    this.individuals.dispose();
    this.individuals = individuals;
  }

  /** Releases the codes; the model keeps what it holds. */
  dispose(): void {
    this.individuals.dispose();
    this.genome.dispose();
  }
}
