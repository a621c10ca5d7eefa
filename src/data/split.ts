import { checkOptions } from "../errors.js";
import { RandomStream } from "../random.js";
import { type Dataset, Subset } from "./dataset.js";
import { shuffled } from "./shuffle.js";

/**
 * Disjoint random subsets, the same for the same seed.
 *
 * @param lengths numbers of samples that add up to all, or fractions that add up to 1; what rounding down leaves over
 *   goes to the first ones, as in torch.utils.data.random_split
 */
export function randomSplit<Sample>(
  dataset: Dataset<Sample>,
  lengths: readonly number[],
  options: { seed?: number } = {},
): Subset<Sample>[] {
  checkOptions("randomSplit", options, ["seed"]);
  const sizes = sizesOf(lengths, dataset.length);
  const order = shuffled(dataset.length, new RandomStream(options.seed ?? 0));
  let start = 0;
  return sizes.map((size) => new Subset(dataset, order.slice(start, (start += size))));
}

function sizesOf(lengths: readonly number[], n: number): number[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const isPositive = lengths.every((length) => length >= 0);
  if (isPositive && total === n && lengths.every(Number.isInteger)) return [...lengths];
  if (!isPositive || Math.abs(total - 1) > 1e-6) {
    throw new Error(`randomSplit: lengths must add up to ${n}, or fractions to 1, got ${lengths.join(" + ")}`);
  }
  const sizes = lengths.map((fraction) => Math.floor(n * fraction));
  const left = n - sizes.reduce((sum, size) => sum + size, 0);
  return sizes.map((size, i) => (i < left ? size + 1 : size));
}
