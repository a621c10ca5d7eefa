/** Random shapes (empty dimensions included), views and options against float64 references. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { F, memoryStats, scope, type Tensor, tensor } from "../src/index.js";
import { expectClose } from "./support/checkOp.js";
import { at, build, type Nd, nd, random, size, unravel, zip } from "./support/reference.js";

const RUNS = { numRuns: 100, seed: 20 };
const extent = fc.integer({ min: 0, max: 5 });
const shapes = fc.array(extent, { maxLength: 4 });

/** A view of `shape`: a permuted tensor with `margins` before what it reads, every `steps`-th element of it. */
interface View {
  shape: number[];
  order: number[];
  margins: number[];
  steps: number[];
  seed: number;
}

const viewOfShape = (shape: number[]): fc.Arbitrary<View> =>
  fc.record({
    shape: fc.constant(shape),
    order: fc.shuffledSubarray([...shape.keys()], { minLength: shape.length }),
    margins: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: shape.length, maxLength: shape.length }),
    steps: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: shape.length, maxLength: shape.length }),
    seed: fc.integer(),
  });
const views = shapes.chain(viewOfShape);

/** The leaf and the view of it. */
function make({ shape, order, margins, steps, seed }: View): { leaf: Tensor; x: Tensor } {
  const inner = order.map((d) => margins[d] + shape[d] * steps[d]);
  const next = random(seed);
  const leaf = tensor(Float32Array.from({ length: size(inner) }, next), { shape: inner, requiresGrad: true });
  const ordered = F.permute(
    leaf,
    order.map((_, d) => order.indexOf(d)),
  );
  return {
    leaf,
    x: F.slice(
      ordered,
      shape.map((e, d) => [margins[d], margins[d] + e * steps[d], steps[d]]),
    ),
  };
}

const read = (x: Tensor): Nd => nd(x.shape, x.data());

/** Runs `property` on random input; afterwards no tensor may be left. */
function holds<T>(arbitrary: fc.Arbitrary<T>, property: (input: T) => void): void {
  const before = memoryStats();
  fc.assert(
    fc.property(arbitrary, (input) => scope(() => property(input))),
    RUNS,
  );
  const { liveBytes, liveTensors } = memoryStats();
  expect([liveBytes, liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
}

/** Two shapes that broadcast: each drops or flattens to 1 some dimensions of a third. */
const pairs = shapes.chain((shape) => {
  const side = fc
    .tuple(fc.integer({ min: 0, max: shape.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
    .chain(([drop, ones]) => viewOfShape(shape.map((e, d) => (ones[d] ? 1 : e)).slice(drop)));
  return fc.tuple(side, side);
});

describe("broadcasting", () => {
  const operations: Record<string, [op: (a: Tensor, b: Tensor) => Tensor, f: (a: number, b: number) => number]> = {
    add: [F.add, (a, b) => a + b],
    sub: [F.sub, (a, b) => a - b],
    mul: [F.mul, (a, b) => a * b],
    maximum: [F.maximum, Math.max],
    lt: [F.lt, (a, b) => Number(a < b)],
    where: [(a, b) => F.where(F.gt(a, b), a, b), Math.max],
  };
  for (const [name, [op, f]] of Object.entries(operations)) {
    test(`${name} of any two shapes and views`, () =>
      holds(pairs, ([left, right]) => {
        const [a, b] = [make(left).x, make(right).x];
        const y = op(a, b);
        const expected = zip(read(a), read(b), f);
        expect(y.shape).toEqual([...expected.shape]);
        expectClose(y.data(), expected.data);
      }));
  }

  test("the gradient of a product is the other factor, summed to the operand's shape", () =>
    holds(pairs, ([left, right]) => {
      const [a, b] = [F.clone(make(left).x).detach(), F.clone(make(right).x).detach()];
      a.requiresGrad_();
      F.sum(F.mul(a, b)).backward();
      const expected = new Float64Array(a.size);
      const positions = zip(
        nd(
          a.shape,
          expected.map((_, i) => i),
        ),
        read(b),
        (i) => i,
      );
      const factors = zip(read(a), read(b), (_, v) => v);
      positions.data.forEach((i, k) => {
        expected[i] += factors.data[k];
      });
      expectClose(a.grad?.data() ?? [], expected, { absolute: 1e-5 });
    }));

  test("shapes that do not broadcast are an error that names both", () =>
    holds(fc.tuple(shapes, fc.integer({ min: 2, max: 5 })), ([shape, e]) => {
      const [a, b] = [
        tensor(new Float32Array(size([...shape, e])), { shape: [...shape, e] }),
        tensor(new Float32Array(e + 1)),
      ];
      expect(() => F.add(a, b)).toThrow(
        `add: shapes must broadcast together, got [${a.shape.join(", ")}] and [${e + 1}]`,
      );
    }));
});

describe("views", () => {
  test("slices of permutations read what their indices say, and gradients go back there", () =>
    holds(views, (view) => {
      const { leaf, x } = make(view);
      const { shape, order, margins, steps } = view;
      const source = read(leaf);
      const place = (index: number[]) => order.map((d) => margins[d] + index[d] * steps[d]);
      const expected = build(shape, (index) => at(source, place(index)));
      expect(x.data()).toEqual(Float32Array.from(expected.data));
      const dy = tensor(Float32Array.from({ length: x.size }, random(1)), { shape });
      x.backward(dy);
      const flat = new Float32Array(leaf.size);
      dy.data().forEach((g, i) => {
        flat[place(unravel(shape, i)).reduce((sum, j, d) => sum * leaf.shape[d] + j, 0)] = g;
      });
      expect(leaf.grad?.data()).toEqual(flat);
    }));

  test("reshape keeps the row-major order, whatever the strides", () =>
    holds(views, (view) => {
      const { x } = make(view);
      const flat = F.reshape(x, [x.size]);
      expect(flat.data()).toEqual(x.data());
      const back = F.reshape(flat, x.shape);
      expect([back.shape, back.data()]).toEqual([x.shape, x.data()]);
    }));

  test("cat undoes split, along any dimension", () =>
    holds(fc.tuple(views, fc.nat(), fc.integer({ min: 1, max: 3 })), ([view, n, length]) => {
      const { x } = make(view);
      if (x.ndim === 0) return;
      const dim = n % x.ndim;
      expect(F.cat(F.split(x, length, dim), dim).data()).toEqual(x.data());
    }));

  test("flip twice, roll there and back, transpose twice: the identity", () =>
    holds(fc.tuple(views, fc.nat(), fc.integer({ min: -7, max: 7 })), ([view, n, shift]) => {
      const { x } = make(view);
      const dim = x.ndim === 0 ? 0 : n % x.ndim;
      expect(F.flip(F.flip(x, dim), dim).data()).toEqual(x.data());
      const options = { dims: dim };
      if (x.ndim > 0) expect(F.roll(F.roll(x, shift, options), -shift, options).data()).toEqual(x.data());
      if (x.ndim > 0) expect(F.transpose(F.transpose(x, dim, 0), dim, 0).data()).toEqual(x.data());
    }));
});

describe("reductions", () => {
  const total = (values: number[]) => values.reduce((sum, v) => sum + v, 0);
  const operations = {
    sum: total,
    mean: (values: number[]) => total(values) / values.length,
    prod: (values: number[]) => values.reduce((product, v) => product * v, 1),
    amax: (values: number[]) => Math.max(...values),
    amin: (values: number[]) => Math.min(...values),
    norm: (values: number[]) => Math.hypot(...values),
    logsumexp: (values: number[]) => Math.log(total(values.map(Math.exp))),
  };
  const cases = views.chain((view) =>
    fc.record({
      view: fc.constant(view),
      dim: fc.option(fc.subarray([...view.shape.keys()], { minLength: Math.min(1, view.shape.length) }), {
        nil: undefined,
      }),
      keepdim: fc.boolean(),
    }),
  );
  for (const [name, f] of Object.entries(operations)) {
    test(`${name} over any dimensions of any view`, () =>
      holds(cases, ({ view, dim, keepdim }) => {
        const { x } = make(view);
        const dims = dim ?? [...x.shape.keys()];
        const isEmpty = dims.some((d) => x.shape[d] === 0);
        const op = () => F[name as keyof typeof operations](x, { ...(dim && { dim }), keepdim });
        if (isEmpty && name.startsWith("am")) return void expect(op).toThrow(/reduced dimensions must not be empty/);
        const y = op();
        const kept = x.shape.map((e, d) => (dims.includes(d) ? 1 : e));
        expect(y.shape).toEqual(keepdim ? kept : x.shape.filter((_, d) => !dims.includes(d)));
        const groups = Array.from({ length: size(kept) }, (): number[] => []);
        read(x).data.forEach((v, i) => {
          const index = unravel(x.shape, i).map((j, d) => (dims.includes(d) ? 0 : j));
          groups[index.reduce((sum, j, d) => sum * kept[d] + j, 0)].push(v);
        });
        expectClose(y.data(), groups.map(f));
      }));
  }
});
