import fc from "fast-check";
import { expect, test } from "vitest";
import { F, memoryStats, scope, type Tensor, tensor } from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";
import { nd, random, zip } from "../support/reference.js";

/** Two shapes that broadcast together, of up to four dims, some of them empty. */
const pairs = fc
  .array(fc.tuple(fc.constantFrom(0, 1, 2, 3, 5, 8), fc.constantFrom("both", "left", "right")), { maxLength: 4 })
  .chain((dims) => {
    const left = dims.map(([extent, where]) => (where === "right" ? 1 : extent));
    const right = dims.map(([extent, where]) => (where === "left" ? 1 : extent));
    const drop = fc.nat({ max: dims.length });
    return fc.record({ left: fc.constant(left), right: drop.map((k) => right.slice(dropOnes(right, k))) });
  });

/** Leading dims may be left out where they are 1. */
function dropOnes(shape: readonly number[], atMost: number): number {
  const first = shape.findIndex((extent) => extent !== 1);
  return Math.min(atMost, first < 0 ? shape.length : first);
}

type Layout = "dense" | "transposed" | "stepped" | "reversed";
const layouts = fc.constantFrom<Layout>("dense", "transposed", "stepped", "reversed");

/** A tensor of `shape` that reads its storage in one of several ways. */
function laidOut(shape: readonly number[], layout: Layout, next: () => number): Tensor {
  const filled = (extents: readonly number[]) =>
    tensor(Float32Array.from({ length: extents.reduce((product, e) => product * e, 1) }, next), { shape: extents });
  const order = [...shape.keys()];
  if (layout === "transposed" && shape.length > 1) {
    return F.transpose(filled([...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]]), -1, -2);
  }
  if (layout === "reversed") return F.permute(filled([...shape].reverse()), order.reverse());
  if (layout === "stepped" && shape.length > 0) return F.select(filled([...shape, 2]), shape.length, 1);
  return filled(shape);
}

const operations: [op: (a: Tensor, b: Tensor) => Tensor, f: (a: number, b: number) => number][] = [
  [F.add, (a, b) => a + b],
  [F.sub, (a, b) => a - b],
  [F.mul, (a, b) => a * b],
  [F.div, (a, b) => a / b],
  [F.maximum, Math.max],
  [F.lt, (a, b) => Number(a < b)],
  [(a, b) => F.where(F.gt(a, b), a, b), Math.max],
];

test("any two shapes that broadcast, read in any way, empty ones too", () => {
  fc.assert(
    fc.property(pairs, layouts, layouts, fc.integer(), ({ left, right }, layoutA, layoutB, seed) => {
      const before = memoryStats().liveBytes;
      scope(() => {
        const next = random(seed);
        const a = laidOut(left, layoutA, next);
        const b = laidOut(right, layoutB, next);
        for (const [op, f] of operations) {
          const y = op(a, b);
          const expected = zip(nd(a.shape, a.data()), nd(b.shape, b.data()), f);
          expect(y.shape).toEqual([...expected.shape]);
          expectClose(y.data(), expected.data);
        }
      });
      expect(memoryStats().liveBytes).toBe(before);
    }),
    { numRuns: 150, seed: 7 },
  );
});

test("gradients have their operands' shapes: sums over what was repeated", () => {
  fc.assert(
    fc.property(pairs, layouts, layouts, fc.integer(), ({ left, right }, layoutA, layoutB, seed) => {
      scope(() => {
        const next = random(seed);
        const a = F.clone(laidOut(left, layoutA, next))
          .detach()
          .requiresGrad_();
        const b = laidOut(right, layoutB, next).detach().requiresGrad_();
        F.sum(F.mul(a, b)).backward();
        const repeats = (x: Tensor, y: Tensor) => zip(nd(x.shape, x.data()), nd(y.shape, y.data()), (_, v) => v);
        expect(a.grad?.shape).toEqual(a.shape);
        expect(b.grad?.shape).toEqual(b.shape);
        const total = (values: ArrayLike<number>) => Array.from(values).reduce((sum, v) => sum + v, 0);
        expectClose([total(a.grad?.data() ?? [])], [total(repeats(a, b).data)], { absolute: 1e-3 }); // sums of hundreds
        expectClose([total(b.grad?.data() ?? [])], [total(repeats(b, a).data)], { absolute: 1e-3 });
      });
    }),
    { numRuns: 100, seed: 8 },
  );
});

test("shapes that do not broadcast are an error that shows both", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 9 }), (m, n) => {
      fc.pre(m !== n);
      scope(() => {
        const [a, b] = [tensor(new Float32Array(m)), tensor(new Float32Array(n))];
        expect(() => F.add(a, b)).toThrow(`add: shapes must broadcast together, got [${m}] and [${n}]`);
      });
    }),
    { numRuns: 20, seed: 9 },
  );
});
