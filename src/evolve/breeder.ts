/** Makes generations. */
import { type RandomRange, RandomStream, rangeFrom } from "../random.js";
import { kernels } from "../wasm/kernels.js";
import { type Ptr, workspace } from "../wasm/memory.js";
import type { Genome } from "./genome.js";
import { Individuals } from "./individuals.js";
import type { ResolvedOptions } from "./options.js";
import { drawPair, migrate, ranking } from "./selection.js";

/** A self-adapting rate is multiplied or divided by this for each child. */
const RATE_STEP = 1.5;
const LARGEST_RATE = 0.5;
/** Bytes of a child that have random numbers in common, and the counters these take (assembly/evolve.ts). */
const BLOCK = 256;
const BLOCK_COUNTERS = 4;
/** What the kernels need for them. */
const SCRATCH = 64;

/** Where the random numbers of a population go on. */
export interface BreederState {
  seed: number;
  /** The next unused counter of the kernels. */
  counter: number;
  /** How many numbers the choice of parents has used. */
  choices: number;
}

/** Crossover, mutation and the choice of parents, all from one seed. */
export class Breeder {
  private counter = 0;
  private choices: RandomStream;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly genome: Genome,
  ) {
    this.choices = new RandomStream(options.seed);
  }

  get state(): BreederState {
    return { seed: this.choices.seed, counter: this.counter, choices: this.choices.position };
  }

  set state({ seed, counter, choices }: BreederState) {
    this.choices = new RandomStream(seed, choices);
    this.counter = counter;
  }

  /** A generation in which all codes are equally likely. */
  randomGeneration(): Individuals {
    const individuals = this.unborn();
    const { codes } = individuals;
    // The last word sets these numbers apart from those of crossover and mutation.
    kernels.philox(codes.ptr, codes.size / 4, ...rangeFrom(this.choices.seed, this.counter), 0, 1);
    this.counter += codes.size / 16;
    return individuals;
  }

  /** The model, and mutants of it. */
  mutantsOfModel(): Individuals {
    const individuals = this.unborn();
    this.genome.encode(individuals.row(0));
    for (let i = 1; i < individuals.size; i++) {
      individuals.copy(i, 0);
      this.mutate(individuals.row(i), individuals.rates[i]);
    }
    return individuals;
  }

  /** The elites of `individuals` and children of them all. Islands lie one after the other, elites first in each. */
  nextGeneration(individuals: Individuals, isMigration: boolean): Individuals {
    const { islands, elites, children, reevaluateElites, migrants } = this.options;
    const next = this.unborn();
    const { losses } = individuals;
    const extent = individuals.size / islands;
    const natives = Array.from({ length: islands }, (_, k) => ranking(range(k * extent, extent), losses));
    for (const [k, ranked] of (isMigration ? migrate(natives, migrants, losses) : natives).entries()) {
      const end = (k + 1) * extent;
      for (const [place, elite] of ranked.slice(0, elites).entries()) {
        const i = k * extent + place;
        next.copy(i, elite, individuals);
        next.rates[i] = individuals.rates[elite];
        if (!reevaluateElites) next.setLoss(i, losses[elite]);
      }
      for (let i = k * extent + elites; i < end; i += children) {
        const [a, b] = drawPair(ranked, this.options, this.choices);
        const coins = this.nextRange();
        this.makeChild(next, i, individuals, a, b, coins);
        // The twin takes each code from the other parent: the same coins, the parents exchanged.
        if (children === 2 && i + 1 < end) this.makeChild(next, i + 1, individuals, b, a, coins);
      }
    }
    return next;
  }

  private makeChild(
    next: Individuals,
    i: number,
    parents: Individuals,
    a: number,
    b: number,
    coins: RandomRange,
  ): void {
    const child = next.row(i);
    if (this.options.crossover === "none") next.copy(i, a, parents);
    else kernels.crossover(child, parents.row(a), parents.row(b), workspace(SCRATCH), next.bytes, ...coins);
    if (this.options.selfAdaptingRate) next.rates[i] = this.adapted(this.toss() ? parents.rates[a] : parents.rates[b]);
    this.mutate(child, next.rates[i]);
  }

  private mutate(codes: Ptr, rate: number): void {
    kernels.mutate(codes, workspace(SCRATCH), this.genome.bytes, ...this.nextRange(), rate);
  }

  /** One bit of an individual flips at the least, half of them at the most. */
  private adapted(rate: number): number {
    const changed = this.toss() ? rate * RATE_STEP : rate / RATE_STEP;
    return Math.min(Math.max(changed, 1 / (4 * this.genome.codes)), LARGEST_RATE);
  }

  private toss(): boolean {
    return this.choices.next() < 0.5;
  }

  /** Random numbers for one row of codes. */
  private nextRange(): RandomRange {
    const start = this.counter;
    this.counter += BLOCK_COUNTERS * Math.ceil(this.genome.bytes / BLOCK);
    return rangeFrom(this.choices.seed, start);
  }

  private unborn(): Individuals {
    const { size, mutationRate } = this.options;
    return new Individuals(size, this.genome.bytes, new Array<number>(size).fill(mutationRate));
  }
}

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => start + i);
}
