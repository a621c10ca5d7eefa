import { describe, expect, test } from "vitest";
import { F, scope, tensor } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { at, build, type Nd, nd } from "../support/reference.js";

const cols = [1, 3, 4, 5, 7, 16, 17, 64, 70];
const withAffine = cols.map((n) => [[3, n], [n], [n]]);

/** Mean, variance and mean square of each row of the last dimension. */
function moments(x: Nd): { mean: number; variance: number; square: number }[] {
  const n = x.shape[x.shape.length - 1];
  return Array.from({ length: x.data.length / n }, (_, i) => {
    const row = x.data.subarray(i * n, (i + 1) * n);
    const mean = row.reduce((sum, v) => sum + v, 0) / n;
    const variance = row.reduce((sum, v) => sum + (v - mean) * (v - mean), 0) / n;
    return { mean, variance, square: row.reduce((sum, v) => sum + v * v, 0) / n };
  });
}

function layerNorm(x: Nd, weight?: Nd, bias?: Nd, eps = 1e-5): Nd {
  const n = x.shape[x.shape.length - 1];
  const rows = moments(x);
  return nd(
    x.shape,
    x.data.map((v, i) => {
      const { mean, variance } = rows[Math.floor(i / n)];
      return ((v - mean) / Math.sqrt(variance + eps)) * (weight?.data[i % n] ?? 1) + (bias?.data[i % n] ?? 0);
    }),
  );
}

function rmsNorm(x: Nd, weight?: Nd, eps = 1.1920929e-7): Nd {
  const n = x.shape[x.shape.length - 1];
  const rows = moments(x);
  return nd(
    x.shape,
    x.data.map((v, i) => (v / Math.sqrt(rows[Math.floor(i / n)].square + eps)) * (weight?.data[i % n] ?? 1)),
  );
}

// Gradients divide by the row's deviation, which is small for some of these rows: rounding grows with 1/σ.
const tolerance = { absolute: 2e-5, relative: 2e-5 };

describe("normalization", () => {
  test("layerNorm with weight and bias", () =>
    checkOp({
      op: (x, weight, bias) => F.layerNorm(x, [x.shape[1]], { weight, bias, eps: 1e-2 }),
      reference: (x, weight, bias) => layerNorm(x, weight, bias, 1e-2),
      shapes: withAffine,
      tolerance,
    }));

  test("layerNorm without", () =>
    checkOp({
      op: (x) => F.layerNorm(x, [x.shape[x.ndim - 1]], { eps: 1e-2 }),
      reference: (x) => layerNorm(x, undefined, undefined, 1e-2),
      shapes: [[[2, 3, 5]], [[0, 4]], [[130, 6]]],
      tolerance,
    }));

  test("layerNorm with a bias alone", () =>
    checkOp({
      op: (x, bias) => F.layerNorm(x, [5], { bias, eps: 1e-2 }),
      reference: (x, bias) => layerNorm(x, undefined, bias, 1e-2),
      shapes: [[[3, 5], [5]]],
      tolerance,
    }));

  test("layerNorm over several dimensions", () =>
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
        { shape: [2, 3, 4] },
      );
      expect([...F.layerNorm(x, [3, 4]).data()]).toEqual([...F.layerNorm(x.reshape([2, 12]), [12]).data()]);
    }));

  test("rmsNorm with weight", () =>
    checkOp({
      op: (x, weight) => F.rmsNorm(x, [x.shape[1]], { weight, eps: 1e-3 }),
      reference: (x, weight) => rmsNorm(x, weight, 1e-3),
      shapes: cols.map((n) => [[3, n], [n]]),
      tolerance,
    }));

  test("rmsNorm without, over many rows", () =>
    checkOp({
      op: (x) => F.rmsNorm(x, [x.shape[1]], { eps: 1e-3 }),
      reference: (x) => rmsNorm(x, undefined, 1e-3),
      shapes: [[[150, 5]], [[0, 3]]],
      tolerance,
    }));

  test("weight gradients over more rows than a block", () =>
    checkOp({
      op: (x, weight, bias) => F.layerNorm(x, [x.shape[1]], { weight, bias, eps: 1e-2 }),
      reference: (x, weight, bias) => layerNorm(x, weight, bias, 1e-2),
      shapes: [[[150, 6], [6], [6]]],
      tolerance: { absolute: 1e-4, relative: 1e-5 },
    }));

  test("groupNorm, by image and group of channels", () => {
    const groupNorm = (groups: number) => (x: Nd, weight?: Nd, bias?: Nd) => {
      const pixels = x.data.length / x.shape[0] / x.shape[1];
      const rows = { shape: [x.shape[0] * groups, x.data.length / x.shape[0] / groups], data: x.data };
      const normal = layerNorm(rows, undefined, undefined, 1e-2);
      const channel = (i: number) => Math.floor(i / pixels) % x.shape[1];
      const y = normal.data.map((v, i) => v * (weight?.data[channel(i)] ?? 1) + (bias?.data[channel(i)] ?? 0));
      return { shape: x.shape, data: y };
    };
    for (const groups of [1, 2, 4]) {
      checkOp({
        op: (x, weight, bias) => F.groupNorm(x, groups, { weight, bias, eps: 1e-2 }),
        reference: groupNorm(groups),
        shapes: [
          [[2, 4, 3, 5], [4], [4]],
          [[3, 4, 7], [4], [4]],
        ],
        tolerance,
      });
    }
    checkOp({
      op: (x) => F.groupNorm(x, 2, { eps: 1e-2 }),
      reference: groupNorm(2),
      shapes: [[[3, 8]], [[2, 2, 17]], [[0, 2, 3]]],
      tolerance,
    });
  });

  test("normalize by each norm", () => {
    const norms: [number, (values: number[]) => number][] = [
      [1, (v) => v.reduce((sum, a) => sum + Math.abs(a), 0)],
      [2, (v) => Math.sqrt(v.reduce((sum, a) => sum + a * a, 0))],
      [3, (v) => Math.cbrt(v.reduce((sum, a) => sum + Math.abs(a * a * a), 0))],
      [Number.POSITIVE_INFINITY, (v) => Math.max(...v.map(Math.abs))],
    ];
    for (const [p, norm] of norms) {
      for (const dim of [0, 1]) {
        checkOp({
          op: (x) => F.normalize(x, { p, dim }),
          reference: (x) =>
            build(x.shape, (index) => {
              const line = Array.from({ length: x.shape[dim] }, (_, i) => at(x, index.with(dim, i)));
              return at(x, index) / norm(line);
            }),
          shapes: [[[3, 5]], [[2, 17]], [[4, 1]]],
          domain: [0.5, 2], // no ties of the maximum, no corners of |x|
        });
      }
    }
  });

  test("normalize leaves zeros alone, and gives them a gradient", () =>
    scope(() => {
      for (const p of [1, 2, 3, Number.POSITIVE_INFINITY]) {
        const x = tensor([[0, 0]], { requiresGrad: true });
        const y = F.normalize(x, { p, eps: 0.5 });
        y.backward(tensor([[1, 2]]));
        expect([...y.data(), ...(x.grad?.data() ?? [])]).toEqual([0, 0, 2, 4]);
      }
    }));

  test("a mean of 1000 keeps a unit variance", () =>
    scope(() => {
      const values = Float32Array.from({ length: 768 }, (_, i) => 1000 + Math.sin(i * 1.7) * Math.SQRT2);
      const expected = layerNorm({ shape: [1, 768], data: Float64Array.from(values) });
      expectClose(F.layerNorm(tensor(values, { shape: [1, 768] }), [768]).data(), expected.data);
    }));

  test("NaN and infinity spread over their row alone", () =>
    scope(() => {
      const y = F.layerNorm(
        tensor([
          [1, Number.NaN, 2],
          [1, 2, 4],
          [1, Number.POSITIVE_INFINITY, 2],
        ]),
        [3],
      ).toArray() as number[][];
      expect(y[0].every(Number.isNaN)).toBe(true);
      expect(y[1].every(Number.isFinite)).toBe(true);
      expect(y[2].every(Number.isNaN)).toBe(true);
    }));

  test("shapes that do not fit are errors", () =>
    scope(() => {
      const x = tensor([[1, 2, 3]]);
      expect(() => F.layerNorm(x, [4])).toThrow(/layerNorm: normalizedShape .* got \[4\] for \[1, 3\]/);
      expect(() => F.rmsNorm(x, [3], { weight: tensor([1]) })).toThrow(
        /rmsNorm: weight and bias must have .*\[3\], got \[1\]/,
      );
      expect(() => F.groupNorm(x, 2)).toThrow("groupNorm: groups must divide the 3 channels, got 2");
      expect(() => F.groupNorm(x, 3, { bias: tensor([1]) })).toThrow("weight and bias must have shape [3], got [1]");
      expect(() => F.groupNorm(tensor([1]), 1)).toThrow("the input must be [N, C, …], got [1]");
      expect(() => F.normalize(x, { p: 0 })).toThrow("normalize: p must be from 1 to Infinity, got 0");
      expect(() => F.layerNorm(x, [3], { epsilon: 3 } as object)).toThrow("layerNorm: options must be");
      expect(() => F.rmsNorm(x, [3], { bias: x } as object)).toThrow("rmsNorm: options must be weight, eps, got bias");
      expect(() => F.normalize(x, { dims: 3 } as object)).toThrow("got dims");
    }));
});
