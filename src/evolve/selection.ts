/** Who has children. Individuals are numbers; a ranking lists them from the least loss to the greatest. */
import type { RandomStream } from "../random.js";

/**
 * How a parent is drawn from a ranking of n: "fitness" takes rank r (from 0) with a probability in proportion to n − r,
 * "uniform" takes all alike, "tournament" draws some alike and takes the best of them.
 */
export type ParentSelection = "fitness" | "uniform" | "tournament";

export interface Selection {
  readonly parents: ParentSelection;
  readonly tournamentSize: number;
}

/** In order of loss; of equal ones the lower number first, NaN after all others. */
export function ranking(individuals: readonly number[], losses: ArrayLike<number>): number[] {
  return [...individuals].sort((a, b) => compare(losses[a], losses[b]) || a - b);
}

function compare(x: number, y: number): number {
  if (x < y) return -1;
  if (x > y) return 1;
  return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
}

/** Two different individuals. The second is drawn from the others in the same way. */
export function drawPair(ranked: readonly number[], selection: Selection, random: RandomStream): [number, number] {
  const first = drawRank(ranked.length, selection, random);
  const among = drawRank(ranked.length - 1, selection, random);
  return [ranked[first], ranked[among < first ? among : among + 1]];
}

function drawRank(n: number, { parents, tournamentSize }: Selection, random: RandomStream): number {
  const uniform = () => Math.floor(random.next() * n);
  if (parents === "uniform") return uniform();
  if (parents === "tournament") return Math.min(...Array.from({ length: tournamentSize }, uniform));
  let left = Math.floor((random.next() * n * (n + 1)) / 2);
  let rank = 0;
  while (left >= n - rank) left -= n - rank++;
  return rank;
}

/**
 * A ring of islands: the best `migrants` of each take the places of the worst in the next, where they rank by their
 * loss. They stay where they come from, too.
 */
export function migrate(islands: readonly number[][], migrants: number, losses: ArrayLike<number>): number[][] {
  return islands.map((ranked, i) => {
    const newcomers = islands[(i + islands.length - 1) % islands.length].slice(0, migrants);
    return ranking([...ranked.slice(0, ranked.length - migrants), ...newcomers], losses);
  });
}

/** For each loss its rank, from −½ (the least) to ½; equal ones share the mean of theirs, so that they tell nothing. */
export function centeredRanks(losses: readonly number[]): number[] {
  const ranked = ranking([...losses.keys()], losses);
  const ranks = new Array<number>(losses.length);
  for (let start = 0, end = 0; start < ranked.length; start = end) {
    while (end < ranked.length && compare(losses[ranked[start]], losses[ranked[end]]) === 0) end++;
    for (const i of ranked.slice(start, end)) ranks[i] = (start + end - 1) / 2 / (losses.length - 1) - 0.5;
  }
  return ranks;
}
