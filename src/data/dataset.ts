/** Samples by index. */
import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { select } from "../ops/view.js";
import { bytesPerElement } from "../storage.js";
import { empty, type Tensor } from "../tensor.js";
import { offsetBy, uint8View } from "../wasm/memory.js";
import type { Collated } from "./collate.js";

/** What a loader draws from. */
export abstract class Dataset<Sample = unknown> {
  /** The number of samples. */
  abstract readonly length: number;

  /** Sample `i`, from 0. Where it is a promise, loaders are iterated with `for await`. */
  abstract get(i: number): Sample | Promise<Sample>;

  /** A batch at once, where that is faster than collating samples. */
  batch?(indices: readonly number[]): Collated<Sample>;
}

/** Sample i is row i of each tensor, which remain the caller's. */
export class TensorDataset extends Dataset<Tensor[]> {
  readonly tensors: readonly Tensor[];
  readonly length: number;

  constructor(...tensors: Tensor[]) {
    super();
    const shapes = tensors.map(({ shape }) => showShape(shape)).join(", ");
    if (tensors.length === 0 || tensors.some(({ shape }) => shape.length === 0 || shape[0] !== tensors[0].shape[0])) {
      throw new ShapeError(`TensorDataset: tensors must have the same number of rows, got ${shapes || "none"}`);
    }
    this.tensors = tensors;
    this.length = tensors[0].shape[0];
  }

  override get(i: number): Tensor[] {
    return this.tensors.map((t) => select(t, 0, i));
  }

  override batch(indices: readonly number[]): Tensor[] {
    return this.tensors.map((t) => rows(t, indices));
  }
}

/** Some samples of another dataset. */
export class Subset<Sample> extends Dataset<Sample> {
  constructor(
    readonly dataset: Dataset<Sample>,
    readonly indices: readonly number[],
  ) {
    super();
    if (dataset.batch) this.batch = (chosen) => dataset.batch!(chosen.map((i) => indices[i]));
  }

  get length(): number {
    return this.indices.length;
  }

  override get(i: number): Sample | Promise<Sample> {
    return this.dataset.get(this.indices[i]);
  }
}

/** y[i] = x[indices[i]], for every dtype and without history. */
function rows(x: Tensor, indices: readonly number[]): Tensor {
  const source = dense(x);
  const y = empty([indices.length, ...x.shape.slice(1)], x.dtype);
  const bytes = (source.size / x.shape[0]) * bytesPerElement(x.dtype);
  for (const [row, i] of indices.entries()) {
    uint8View(offsetBy(y.ptr, row * bytes), bytes).set(uint8View(offsetBy(source.ptr, i * bytes), bytes));
  }
  if (source !== x) source.dispose();
  return y;
}
