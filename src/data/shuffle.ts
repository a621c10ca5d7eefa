import type { RandomStream } from "../random.js";

/** The numbers from 0 to n − 1 in random order: Fisher–Yates, n draws at the most. */
export function shuffled(n: number, random: RandomStream): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
