import { describe, expect, test } from "vitest";
import { distribution, nextToken, penalize } from "../../src/models/sampling.js";
import { RandomStream } from "../../src/random.js";
import golden from "../golden/causal.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { random } from "../support/reference.js";

const { logits, seen, cases } = golden.sampling;

describe("sampling", () => {
  for (const { options, probabilities } of cases as { options: object; probabilities: Record<string, number> }[]) {
    test(`leaves the tokens that transformers leaves, with their probabilities: ${JSON.stringify(options)}`, () => {
      const scores = Float32Array.from(logits);
      penalize(scores, seen, (options as { repetitionPenalty: number }).repetitionPenalty);
      const kept = distribution(scores, options);
      const total = kept.reduce((sum, p) => sum + p, 0);
      const expected = logits.map((_, id) => probabilities[id] ?? 0);
      expectClose(
        kept.map((p) => p / total),
        expected,
        { absolute: 1e-6 },
      );
    });
  }

  test("the k-th largest bounds what top-k leaves, at any k", () => {
    const next = random(1);
    for (const size of [1, 2, 5, 64, 1000]) {
      const values = Float32Array.from({ length: size }, () => Math.round(next() * 20));
      const sorted = [...values].sort((a, b) => b - a);
      for (const k of new Set([1, 2, 3, size >> 1, size - 1, size].filter((k) => k >= 1 && k <= size))) {
        const kept = distribution(values.slice(), { topK: k });
        const expected = [...values].map((value) => value >= sorted[k - 1]);
        expect([...kept].map((p) => p > 0)).toEqual(expected);
      }
    }
  });

  test("tokens are drawn as often as they are likely", () => {
    const stream = new RandomStream(5);
    const draws = 20_000;
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < draws; i++) {
      const scores = Float32Array.from([0.1, 0.2, 0.3, 0.4], (p) => 2 * Math.log(p));
      counts[nextToken(scores, [], { temperature: 2 }, stream)]++;
    }
    // four standard deviations of a binomial count
    counts.forEach((count, i) => {
      const p = (i + 1) / 10;
      expect(Math.abs(count - draws * p)).toBeLessThan(4 * Math.sqrt(draws * p * (1 - p)));
    });
  });

  test("logits that are no numbers are an error", () => {
    const scores = new Float32Array(3).fill(Number.NaN);
    expect(() => nextToken(scores, [], {}, new RandomStream(0))).toThrow("generate: logits must be finite, got NaN");
  });
});
