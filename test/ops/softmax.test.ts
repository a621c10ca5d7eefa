import { describe, expect, test } from "vitest";
import { F, scope, tensor } from "../../src/index.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { at, build, type Nd } from "../support/reference.js";

const shapes = [[[]], [[1]], [[3]], [[4]], [[5]], [[7]], [[16]], [[17]], [[3, 33]], [[0, 3]], [[3, 0]], [[2, 3, 4]]];

/** log Σ eˣ over dimension `dim` of the row that `index` lies in, without overflow. */
function logSum(x: Nd, index: number[], dim: number): number {
  const row = Array.from({ length: x.shape[dim] ?? 1 }, (_, j) => at(x, index.with(dim, j)));
  const max = Math.max(...row);
  return max + Math.log(row.reduce((sum, v) => sum + Math.exp(v - max), 0));
}

function logSoftmax(x: Nd, dim = x.shape.length - 1): Nd {
  if (x.shape.length === 0) return build([], () => 0);
  return build(x.shape, (index) => at(x, index) - logSum(x, index, dim));
}

function softmax(x: Nd, dim?: number): Nd {
  const y = logSoftmax(x, dim);
  return { shape: y.shape, data: y.data.map(Math.exp) };
}

const rows = (f: (x: ReturnType<typeof tensor>) => ReturnType<typeof tensor>, values: number[]) =>
  scope(() => [...f(tensor(values)).data()]);

describe("softmax", () => {
  test("softmax", () => checkOp({ op: (x) => F.softmax(x), reference: (x) => softmax(x), shapes }));
  test("logSoftmax", () => checkOp({ op: (x) => F.logSoftmax(x), reference: (x) => logSoftmax(x), shapes }));
  test("softmax over the first and a middle dimension", () => {
    checkOp({ op: (x) => F.softmax(x, { dim: 0 }), reference: (x) => softmax(x, 0), shapes: [[[5, 3]], [[3, 4, 2]]] });
    checkOp({ op: (x) => F.logSoftmax(x, { dim: -2 }), reference: (x) => logSoftmax(x, 1), shapes: [[[3, 4, 2]]] });
  });

  test("a wide range of logits", () =>
    checkOp({ op: (x) => F.softmax(x), reference: (x) => softmax(x), shapes: [[[3, 40]]], domain: [-60, 60] }));

  test("extremes are PyTorch's", () => {
    const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
    expect(rows(F.softmax, [1e4, -1e4, 1e4])).toEqual([0.5, 0, 0.5]);
    expect(rows(F.softmax, [-inf, 0, -inf])).toEqual([0, 1, 0]);
    expect(rows(F.softmax, [-inf, -inf])).toEqual([nan, nan]);
    expect(rows(F.softmax, [inf, 0, 1, 2, 3])).toEqual([nan, nan, nan, nan, nan]);
    expect(rows(F.softmax, [nan, 0])).toEqual([nan, nan]);
    expect(rows(F.logSoftmax, [1e4, -1e4])).toEqual([0, -2e4]);
    expect(rows(F.logSoftmax, [-inf, 0])).toEqual([-inf, 0]);
  });

  test("rows add up to one", () =>
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 4000 }, (_, i) => 8 * Math.sin(i)),
        { shape: [4, 1000] },
      );
      expectClose(F.sum(F.softmax(x), { dim: 1 }).data(), [1, 1, 1, 1]);
    }));

  test("a dim out of range is an error", () =>
    scope(() =>
      expect(() => F.softmax(tensor([[1]]), { dim: 2 })).toThrow(/softmax: dim must be from -2 to 1, got 2/),
    ));
});
