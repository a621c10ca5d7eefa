/** Batches of a dataset, epoch after epoch. */
import { checkOptions } from "../errors.js";
import { RandomStream } from "../random.js";
import { openScope } from "../scope.js";
import { type Collated, collate } from "./collate.js";
import type { Dataset } from "./dataset.js";
import { shuffled } from "./shuffle.js";

export interface DataLoaderOptions<Sample, Batch> {
  batchSize?: number;
  /** A new order for every epoch, which follows from the seed and the epoch's number alone. */
  shuffle?: boolean;
  seed?: number;
  /** Leave out a last batch that is smaller than the others. */
  dropLast?: boolean;
  /** Makes a batch of samples; by default `data.collate`. */
  collate?: (samples: Sample[]) => Batch;
}

/** Where a loader is: JSON-safe, for checkpoints. */
export interface LoaderState {
  seed: number;
  epoch: number;
  /** The number of the next batch in the epoch. */
  batch: number;
}

/**
 * `for (const batch of loader)`, and `for await` where samples are promises: each loop is one epoch. The tensors of a
 * batch live until the next one is asked for or the loop ends, however it ends.
 */
export class DataLoader<Sample, Batch = Collated<Sample>> implements Iterable<Batch>, AsyncIterable<Batch> {
  readonly batchSize: number;
  private readonly shuffle: boolean;
  private readonly dropLast: boolean;
  private readonly collate: ((samples: Sample[]) => Batch) | undefined;
  private state: LoaderState;

  constructor(
    readonly dataset: Dataset<Sample>,
    options: DataLoaderOptions<Sample, Batch> = {},
  ) {
    checkOptions("DataLoader", options, ["batchSize", "shuffle", "seed", "dropLast", "collate"]);
    const { batchSize = 1, shuffle = false, seed = 0, dropLast = false } = options;
    if (!(Number.isInteger(batchSize) && batchSize > 0)) {
      throw new Error(`DataLoader: batchSize must be a whole number from 1, got ${batchSize}`);
    }
    this.batchSize = batchSize;
    this.shuffle = shuffle;
    this.dropLast = dropLast;
    this.collate = options.collate;
    this.state = { seed: new RandomStream(seed).seed, epoch: 0, batch: 0 };
  }

  /** The number of batches in an epoch. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  *[Symbol.iterator](): Generator<Batch, void, undefined> {
    for (const indices of this.epoch()) {
      using batch = openScope();
      yield batch.run(() => this.batchOf(indices, this.samples(indices).map(arrived)));
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    for (const indices of this.epoch()) {
      using batch = openScope();
      const samples = await Promise.all(batch.run(() => this.samples(indices)));
      yield batch.run(() => this.batchOf(indices, samples));
    }
  }

  /** The position; inside a loop, the batch after the present one. */
  stateDict(): LoaderState {
    const { seed, epoch, batch } = this.state;
    return batch < this.length ? { seed, epoch, batch } : { seed, epoch: epoch + 1, batch: 0 };
  }

  /** The next loop gives what was left of the epoch. */
  loadStateDict({ seed, epoch, batch }: LoaderState): void {
    const isWhole = [epoch, batch].every((n) => Number.isSafeInteger(n) && n >= 0);
    if (!isWhole || batch > this.length) {
      throw new Error(
        `DataLoader.loadStateDict: the epoch must be a whole number and the batch at most ${this.length}, got ${epoch} and ${batch}`,
      );
    }
    this.state = { seed: new RandomStream(seed).seed, epoch, batch };
  }

  /** The rest of the present epoch; however it ends, the next one follows. */
  private *epoch(): Generator<number[]> {
    const { seed, epoch, batch: first } = this.state;
    const order = this.order(seed, epoch);
    try {
      for (let batch = first; batch < this.length; batch++) {
        this.state = { seed, epoch, batch: batch + 1 };
        yield order.slice(batch * this.batchSize, (batch + 1) * this.batchSize);
      }
    } finally {
      this.state = { seed, epoch: epoch + 1, batch: 0 };
    }
  }

  private order(seed: number, epoch: number): number[] {
    const n = this.dataset.length;
    return this.shuffle ? shuffled(n, new RandomStream(seed, epoch * n)) : Array.from({ length: n }, (_, i) => i);
  }

  /** Nothing where the dataset makes whole batches. */
  private samples(indices: readonly number[]): (Sample | Promise<Sample>)[] {
    return this.makesBatches ? [] : indices.map((i) => this.dataset.get(i));
  }

  private batchOf(indices: readonly number[], samples: Sample[]): Batch {
    if (this.collate) return this.collate(samples);
    return (this.makesBatches ? this.dataset.batch!(indices) : collate(samples)) as Batch;
  }

  private get makesBatches(): boolean {
    return !this.collate && this.dataset.batch !== undefined;
  }
}

function arrived<Sample>(sample: Sample | Promise<Sample>): Sample {
  if (sample instanceof Promise) {
    throw new Error("DataLoader: samples must be there at once in a plain loop, got a promise; use for await");
  }
  return sample;
}
