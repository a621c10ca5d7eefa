import { describe, expect, test } from "vitest";
import { scope, tensor, zeros } from "../../src/index.js";
import { bSplines } from "../../src/ops/spline.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { build, type Nd } from "../support/reference.js";

/** The recursion of Cox and de Boor, as textbooks have it. */
function basis(j: number, order: number, t: readonly number[], x: number): number {
  if (order === 0) return x >= t[j] && x < t[j + 1] ? 1 : 0;
  const rising = ((x - t[j]) / (t[j + order] - t[j])) * basis(j, order - 1, t, x);
  const falling = ((t[j + order + 1] - x) / (t[j + order + 1] - t[j + 1])) * basis(j + 1, order - 1, t, x);
  return rising + falling;
}

/** Knots of column c at uneven distances, exact in float32. */
function knotsOf(c: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => -2.25 + 0.5 * i + 0.125 * ((i + c) % 3));
}

function reference(x: Nd, count: number, order: number): Nd {
  const cols = x.shape[x.shape.length - 1];
  const shape = [...x.shape, count - 1 - order];
  const bases = shape[shape.length - 1];
  let i = 0;
  return build(shape, ([...index]) => {
    const j = index[index.length - 1];
    const value = x.data[Math.floor(i++ / bases)];
    return basis(j, order, knotsOf(index[index.length - 2] % cols, count), value);
  });
}

describe("bSplines", () => {
  for (const [order, count] of [
    [0, 6],
    [1, 7],
    [2, 9],
    [3, 12],
  ]) {
    test(`of order ${order}`, () =>
      checkOp({
        op: (x) => {
          const cols = x.shape[x.ndim - 1];
          const knots = Array.from({ length: cols }, (_, c) => knotsOf(c, count)).flat();
          return bSplines(x, tensor(knots, { shape: [cols, count] }), order);
        },
        reference: (x) => reference(x, count, order),
        shapes: [[[7]], [[5, 3]], [[2, 3, 2]], [[0, 3]]],
        domain: [-2.75, 3.5],
        gradient: order > 0,
      }));
  }

  test("add up to 1 inside the grid, and are 0 outside", () =>
    scope(() => {
      const grid = tensor([Array.from({ length: 12 }, (_, i) => (i - 3) * 0.4 - 1)]);
      const y = bSplines(tensor([[-1], [-0.3], [0], [0.99], [2.3], [-9]]), grid, 3);
      expectClose(y.sum({ dim: [1, 2] }).data(), [1, 1, 1, 1, 0, 0]);
    }));

  test("NaN and infinities give NaN, as the recursion does in PyTorch", () =>
    scope(() => {
      const x = tensor([[Number.NaN], [Number.POSITIVE_INFINITY], [0.1]], { requiresGrad: true });
      const y = bSplines(x, tensor([[-1, 0, 1, 2]]), 1);
      expect([...y.data()].map(Number.isNaN)).toEqual([true, true, true, true, false, false]);
      y.sum().backward();
      expect([...(x.grad?.data() ?? [])].map(Number.isNaN)).toEqual([true, true, false]);
    }));

  test("shapes and orders that do not fit are errors", () =>
    scope(() => {
      expect(() => bSplines(zeros([2, 3]), zeros([2, 8]), 3)).toThrow(/bSplines: .* got \[2, 3\] and \[2, 8\]/);
      expect(() => bSplines(zeros([2]), zeros([2, 4]), 3)).toThrow(/bSplines: order .* from 0 to 2, got 3/);
    }));
});
