/** Evolution strategies: descent along a gradient that is estimated from losses around the weights. */
import { checkOptions } from "../errors.js";
import { type Layer, type Module, zeroGradOf } from "../nn/module.js";
import { RandomStream, rangeFrom } from "../random.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { offsetBy, type Ptr, workspace } from "../wasm/memory.js";
import {
  Evolution,
  evaluate,
  type Generation,
  type LossFunction,
  lossOf,
  type Settle,
  summarize,
} from "./evolution.js";
import { check } from "./options.js";
import { EvolvedParameters } from "./parameters.js";
import { centeredRanks } from "./selection.js";

export interface EvolutionStrategyOptions {
  /** Individuals, in pairs θ + σε and θ − σε. */
  size?: number;
  /** σ, the standard deviation of the noise. */
  sigma?: number;
  /** The step of plain descent, where there is no optimizer. */
  lr?: number;
  /** Takes the estimate for the parameters' gradient: one of `optim`, made for this model's parameters. */
  optimizer?: { step(): unknown; readonly paramGroups?: readonly { readonly params: readonly Tensor[] }[] };
  seed?: number;
}

/** JSON-safe. The weights are the model's, and an optimizer has a state of its own. */
export interface EvolutionStrategyStateDict {
  tensors: Record<string, Tensor>;
  /** How many generations have ended. */
  generation: number;
  seed: number;
}

/** Noise is made this many floats at a time, so that it stays in the cache. */
const CHUNK = 16384;
/** One counter's. */
const FLOATS = 4;
const WORD = 4294967296;

/**
 * A gradient of the loss's expectation around θ from forward passes alone: g = 1/(n·σ) Σ u(loss) · ±ε over n losses at
 * θ ± σε with ε from N(0, 1), where u are the ranks of the losses, from −½ (the least) to ½. Then θ ← θ − lr·g, or what an
 * optimizer does with g. Noise is drawn again instead of kept. Salimans et al. 2017, "Evolution Strategies as a Scalable
 * Alternative to Reinforcement Learning", with antithetic pairs
 *
 * Every parameter that requires a gradient takes part, in float32. After each step the model holds the new θ, which is
 * none of the individuals that the generation reports on.
 */
export class EvolutionStrategy extends Evolution {
  readonly size: number;
  readonly sigma: number;
  /** May change between steps. */
  lr: number;
  private readonly optimizer: EvolutionStrategyOptions["optimizer"];
  private readonly parameters: EvolvedParameters;
  private seed: number;
  private generation = 0;

  constructor(
    private readonly model: Module,
    options: EvolutionStrategyOptions = {},
  ) {
    super("EvolutionStrategy");
    checkOptions(this.name, options, ["size", "sigma", "lr", "optimizer", "seed"]);
    const { size = 100, sigma = 0.1, lr = 0.05, seed = 0 } = options;
    check(this.name, "size", size, Number.isInteger(size) && size >= 2 && size % 2 === 0, "an even number from 2");
    check(this.name, "sigma", sigma, sigma > 0 && sigma < Infinity, "above 0 and finite");
    check(this.name, "lr", lr, lr >= 0 && lr < Infinity, "0 or more and finite");
    check(this.name, "seed", seed, Number.isSafeInteger(seed) && seed >= 0, "a whole number from 0");
    this.size = size;
    this.sigma = sigma;
    this.lr = lr;
    this.seed = seed;
    this.optimizer = options.optimizer;
    this.parameters = new EvolvedParameters(this.name, model);
    this.parameters.checkFinite();
    this.checkOptimizer();
  }

  /** One for another model's parameters would change nothing. */
  private checkOptimizer(): void {
    const { optimizer } = this;
    if (optimizer === undefined) return;
    check(this.name, "optimizer", optimizer, typeof optimizer.step === "function", "one of optim");
    const own = new Set<Tensor>(this.parameters.entries.map(([, parameter]) => parameter));
    const isOwn = !optimizer.paramGroups || optimizer.paramGroups.some(({ params }) => params.some((p) => own.has(p)));
    check(this.name, "optimizer", "another's", isOwn, "made for the model's parameters");
  }

  /** @internal */
  protected override *run(lossFn: LossFunction): Generator<Settle, Generation> {
    this.parameters.check();
    const center = this.parameters.values();
    const forward = (x: Tensor) => (this.model as Layer).forward(x);
    const losses: number[] = [];
    try {
      while (losses.length < this.size) {
        this.parameters.restore(center);
        this.perturb(losses.length);
        losses.push(evaluate(this.name, () => lossFn(forward), lossOf));
        yield () => this.parameters.restore(center);
      }
    } finally {
      this.parameters.restore(center);
    }
    const summary = summarize(this.generation + 1, losses);
    if (summary.invalid === this.size) {
      throw new Error(
        `${this.name}: lossFn must give a number for some individual, got NaN or no number for all ${this.size}`,
      );
    }
    this.descend(centeredRanks(losses));
    this.generation++;
    return summary;
  }

  /** θ ± σε: individuals 2k and 2k + 1 share their noise. */
  private perturb(individual: number): void {
    const sign = individual % 2 === 0 ? 1 : -1;
    this.addNoise(individual >> 1, sign * this.sigma, (parameter) => parameter.ptr);
    for (const [, parameter] of this.parameters.entries) parameter.storage.version++;
  }

  private descend(shares: readonly number[]): void {
    const { optimizer, size, sigma } = this;
    const weights = Array.from({ length: size / 2 }, (_, k) => (shares[2 * k] - shares[2 * k + 1]) / (size * sigma));
    if (!optimizer) {
      for (const [k, weight] of weights.entries()) this.addNoise(k, -this.lr * weight, (parameter) => parameter.ptr);
      for (const [, parameter] of this.parameters.entries) parameter.storage.version++;
      return;
    }
    for (const [, parameter] of this.parameters.entries) {
      zeroGradOf(parameter, true);
      parameter.adoptGrad(scope(() => empty(parameter.shape).fillWith(0)));
    }
    for (const [k, weight] of weights.entries()) this.addNoise(k, weight, ({ grad }) => (grad as Tensor).ptr);
    optimizer.step();
    for (const [, parameter] of this.parameters.entries) zeroGradOf(parameter, true);
  }

  /** target += factor·ε for the noise ε of the generation's pair `k`. */
  private addNoise(k: number, factor: number, target: (parameter: Tensor) => Ptr): void {
    const counters = this.parameters.entries.reduce((sum, [, { size }]) => sum + Math.ceil(size / FLOATS), 0);
    const key = keyOf(this.seed);
    let counter = (this.generation * (this.size / 2) + k) * counters;
    for (const [, parameter] of this.parameters.entries) {
      const y = target(parameter);
      for (let start = 0; start < parameter.size; start += CHUNK) {
        const n = Math.min(CHUNK, parameter.size - start);
        const noise = workspace(4 * n);
        const [, , c0, c1] = rangeFrom(0, counter + start / FLOATS);
        kernels.normal(noise, n, ...key, c0, c1, 0, 1);
        kernels.addScaled(offsetBy(y, 4 * start), noise, n, factor);
      }
      counter += Math.ceil(parameter.size / FLOATS);
    }
  }

  stateDict(): EvolutionStrategyStateDict {
    this.checkIdle("stateDict");
    return { tensors: {}, generation: this.generation, seed: this.seed };
  }

  /** Goes on with the noise where the other was. */
  loadStateDict({ generation, seed }: EvolutionStrategyStateDict): void {
    this.checkIdle("loadStateDict");
    check(this.name, "seed", seed, Number.isSafeInteger(seed) && seed >= 0, "a whole number from 0");
    check(
      this.name,
      "generation",
      generation,
      Number.isSafeInteger(generation) && generation >= 0,
      "a whole number from 0",
    );
    this.generation = generation;
    this.seed = seed;
  }
}

/** Other numbers than those that `manualSeed(seed)` gives. */
function keyOf(seed: number): readonly [number, number] {
  const stream = new RandomStream(seed);
  return [stream.next() * WORD, stream.next() * WORD];
}
