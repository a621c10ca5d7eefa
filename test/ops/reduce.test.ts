import { describe, expect, test } from "vitest";
import { F, scope, tensor, zeros } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { build, type Nd, random, size, unravel } from "../support/reference.js";

type Options = { dim?: number | number[]; keepdim?: boolean };

/** `f` of the elements that fall together when `dim` is reduced. */
function reduced(x: Nd, { dim, keepdim = false }: Options, f: (values: number[]) => number): Nd {
  const all = [...x.shape.keys()];
  const dims = (dim === undefined ? all : [dim].flat()).map((d) => (d < 0 ? d + x.shape.length : d));
  const kept = x.shape.map((extent, d) => (dims.includes(d) ? 1 : extent));
  const groups = Array.from({ length: size(kept) }, (): number[] => []);
  x.data.forEach((v, i) => {
    const flat = unravel(x.shape, i).reduce((sum, at, d) => sum * kept[d] + (dims.includes(d) ? 0 : at), 0);
    groups[flat].push(v);
  });
  const result = build(kept, () => 0);
  groups.forEach((values, i) => {
    result.data[i] = f(values);
  });
  return { shape: keepdim ? kept : x.shape.filter((_, d) => !dims.includes(d)), data: result.data };
}

const total = (values: number[]) => values.reduce((sum, v) => sum + v, 0);
const squaredDeviations = (values: number[]) => {
  const mean = total(values) / values.length;
  return total(values.map((v) => (v - mean) ** 2));
};
const operations = {
  sum: { op: F.sum, f: total },
  mean: { op: F.mean, f: (values: number[]) => total(values) / values.length },
  amax: { op: F.amax, f: (values: number[]) => Math.max(...values) },
  amin: { op: F.amin, f: (values: number[]) => Math.min(...values) },
  prod: { op: F.prod, f: (values: number[]) => values.reduce((product, v) => product * v, 1) },
  variance: { op: F.variance, f: (values: number[]) => squaredDeviations(values) / (values.length - 1) },
  std: { op: F.std, f: (values: number[]) => Math.sqrt(squaredDeviations(values) / (values.length - 1)) },
  norm: { op: F.norm, f: (values: number[]) => Math.hypot(...values) },
  logsumexp: { op: F.logsumexp, f: (values: number[]) => Math.log(total(values.map(Math.exp))) },
};

const cases: [Options, number[][][]][] = [
  [{}, [[[]], [[1]], [[3]], [[4]], [[5]], [[7]], [[16]], [[17]], [[3, 5]], [[2, 3, 4]], [[600]]]],
  [{ dim: -1 }, [[[3]], [[17]], [[3, 5]], [[5, 16]], [[2, 3, 17]]]],
  [{ dim: 0 }, [[[3]], [[3, 5]], [[17, 4]], [[9, 17]], [[2, 3, 4]]]],
  [{ dim: 1, keepdim: true }, [[[3, 5]], [[2, 9, 7]], [[2, 3, 4, 5]]]],
  [{ dim: [0, 2] }, [[[2, 3, 4]], [[3, 1, 5]], [[2, 4, 3, 5]]]],
  [{ dim: [-1, 0], keepdim: true }, [[[2, 3, 4]]]],
  [{ dim: [1, 2] }, [[[2, 3, 4]], [[2, 3, 4, 5]]]],
];

describe("reductions", () => {
  test("max and min are other names of amax and amin", () => expect([F.max, F.min]).toEqual([F.amax, F.amin]));

  for (const [name, { op, f }] of Object.entries(operations)) {
    for (const [options, shapes] of cases) {
      test(`${name} ${JSON.stringify(options)}`, () =>
        checkOp({ op: (x) => op(x, options), reference: (x) => reduced(x, options, f), shapes }));
    }
  }

  test("amax and amin give their gradient to the element they chose", () => {
    scope(() => {
      const x = tensor(
        [
          [1, 5, 2],
          [7, -3, 0],
        ],
        { requiresGrad: true },
      );
      F.amax(x, { dim: 1 }).backward(tensor([10, 20]));
      expect(x.grad?.toArray()).toEqual([
        [0, 10, 0],
        [20, 0, 0],
      ]);
      F.amin(x, { dim: 0, keepdim: true }).backward(tensor([[1, 2, 3]]));
      expect(x.grad?.toArray()).toEqual([
        [1, 10, 0],
        [20, 2, 3],
      ]);
    });
  });

  test("ties share the gradient evenly, over all reduced dimensions together", () => {
    scope(() => {
      const x = tensor(
        [
          [3, 3],
          [1, 3],
        ],
        { requiresGrad: true },
      );
      F.amax(x).backward(tensor(6));
      expect(x.grad?.toArray()).toEqual([
        [2, 2],
        [0, 2],
      ]);
    });
  });

  test("argmax and argmin: the first of equals, int32, whole tensor or one dim", () => {
    for (const n of [1, 3, 4, 5, 7, 16, 17, 70]) {
      scope(() => {
        const next = random(n);
        const data = Array.from({ length: 3 * n }, () => Math.round(next() * 2));
        const x = tensor(data, { shape: [3, n] });
        const rows = [0, 1, 2].map((r) => data.slice(r * n, r * n + n));
        const columns = Array.from({ length: n }, (_, c) => rows.map((row) => row[c]));
        const first = (values: number[], f: (...v: number[]) => number) => values.indexOf(f(...values));
        expect(F.argmax(x).item()).toBe(first(data, Math.max));
        expect(F.argmax(x, { dim: 1 }).toArray()).toEqual(rows.map((row) => first(row, Math.max)));
        expect(F.argmin(x, { dim: 1, keepdim: true }).toArray()).toEqual(rows.map((row) => [first(row, Math.min)]));
        expect(F.argmin(x, { dim: 0 }).toArray()).toEqual(columns.map((column) => first(column, Math.min)));
        expect(F.argmax(F.transpose(x, 0, 1), { dim: 0 }).toArray()).toEqual(rows.map((row) => first(row, Math.max)));
        expect(F.argmax(x).dtype).toBe("int32");
      });
    }
    scope(() => expect(F.argmax(tensor(5)).item()).toBe(0));
  });

  test("NaN wins, and its first index is found", () => {
    for (const n of [2, 5, 9, 21]) {
      for (const at of [0, 1, n - 1]) {
        scope(() => {
          const data = Array.from({ length: n }, (_, i) => (i === at ? Number.NaN : i));
          const row = tensor([data, data]);
          const column = F.clone(F.transpose(row, 0, 1));
          for (const [x, dim] of [
            [row, 1],
            [column, 0],
          ] as const) {
            expect(F.amax(x, { dim }).toArray()).toEqual([Number.NaN, Number.NaN]);
            expect(F.amin(x, { dim }).toArray()).toEqual([Number.NaN, Number.NaN]);
            expect(F.argmax(x, { dim }).toArray()).toEqual([at, at]);
            expect(F.argmin(x, { dim }).toArray()).toEqual([at, at]);
          }
        });
      }
    }
    scope(() => {
      const rows = tensor([
        [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
        [Number.POSITIVE_INFINITY, 1],
      ]);
      expect(F.amax(rows, { dim: 1 }).toArray()).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
      expect(F.argmax(rows, { dim: 1 }).toArray()).toEqual([0, 0]);
      expect(F.sum(tensor([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])).item()).toBeNaN();
    });
  });

  test("sums are accurate: a million values to the last bit or two", () => {
    scope(() => {
      const next = random(7, 0, 1);
      const data = Float32Array.from({ length: 1_000_000 }, next);
      const exact = data.reduce((sum, v) => sum + v, 0);
      const relative = { absolute: 0, relative: 1e-7 };
      expectClose([F.sum(tensor(data)).item()], [exact], relative);
      const columns = F.sum(tensor(data, { shape: [125_000, 8] }), { dim: 0 });
      const expected = Array.from({ length: 8 }, (_, c) =>
        data.reduce((sum, v, i) => (i % 8 === c ? sum + v : sum), 0),
      );
      expectClose(columns.data(), expected, relative);
    });
  });

  test("a long row has the same sum alone and among others", () => {
    scope(() => {
      const values = tensor(Float32Array.from({ length: 2 * 40_001 }, random(8)), { shape: [2, 40_001] });
      const rows = F.sum(values, { dim: 1 }).data();
      const alone = [0, 1].map((row) => F.sum(F.select(values, 0, row)).item());
      expect(alone).toEqual([...rows]);
    });
  });

  test("a column's sum does not depend on its neighbours", () => {
    scope(() => {
      const next = random(3);
      const x = tensor(Float32Array.from({ length: 50 * 1030 }, next), { shape: [50, 1030] });
      const whole = F.sum(x, { dim: 0 }).data();
      for (const c of [0, 1, 3, 1023, 1024, 1029])
        expect(F.sum(F.narrow(x, 1, c, 1), { dim: 0 }).item()).toBe(whole[c]);
    });
  });

  test("empty dimensions: sum 0, mean NaN, extrema an error", () => {
    scope(() => {
      expect(F.sum(zeros([0, 3]), { dim: 0 }).toArray()).toEqual([0, 0, 0]);
      expect(F.mean(zeros([3, 0]), { dim: 1 }).toArray()).toEqual([Number.NaN, Number.NaN, Number.NaN]);
      expect(F.sum(zeros([0, 3]), { dim: 1 }).shape).toEqual([0]);
      expect(F.amax(zeros([0, 3]), { dim: 1 }).shape).toEqual([0]);
      expect(() => F.amax(zeros([0, 3]), { dim: 0 })).toThrow("amax: reduced dimensions must not be empty, got [0, 3]");
      expect(() => F.argmin(zeros([0]))).toThrow(/argmin: reduced dimensions must not be empty/);
    });
  });

  test("a misspelt option is an error", () => {
    scope(() => {
      const misspelt = { dims: 0 } as object;
      const operations = [F.sum, F.mean, F.amax, F.amin, F.argmax, F.prod];
      for (const op of operations)
        expect(() => op(zeros([2]), misspelt)).toThrow(/: options must be dim, keepdim, got dims/);
      expect(() => F.variance(zeros([2]), misspelt)).toThrow(
        "variance: options must be dim, keepdim, correction, got dims",
      );
      expect(() => F.norm(zeros([2]), misspelt)).toThrow("norm: options must be dim, keepdim, p, got dims");
    });
  });

  test("prod: empty is 1, overflow within a row does not lose the product", () => {
    scope(() => {
      expect(F.prod(zeros([2, 0]), { dim: 1 }).toArray()).toEqual([1, 1]);
      expectClose([F.prod(tensor([1e30, 1e30, 1e-30, 1e-30])).item()], [1]);
    });
  });
});
