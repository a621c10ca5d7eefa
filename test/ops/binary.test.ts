import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { map, type Nd, zip } from "../support/reference.js";

const same = [[], [1], [3], [4], [5], [7], [16], [17], [3, 5], [0, 3], [2, 3, 4]].map((shape) => [shape, shape]);
const broadcast = [
  [[5], []],
  [[], [2, 3]],
  [[3, 5], [5]],
  [
    [3, 5],
    [3, 1],
  ],
  [
    [3, 1],
    [1, 17],
  ],
  [
    [2, 1, 4],
    [3, 1],
  ],
  [
    [4, 1, 3, 1],
    [2, 1, 7],
  ],
  [[0, 3], [1]],
  [[33, 2], [2]],
];

const operations: Record<
  string,
  { op: (a: Tensor, b: Tensor) => Tensor; f: (a: number, b: number) => number; domain?: [number, number] }
> = {
  add: { op: F.add, f: (a, b) => a + b },
  sub: { op: F.sub, f: (a, b) => a - b },
  mul: { op: F.mul, f: (a, b) => a * b },
  div: { op: F.div, f: (a, b) => a / b, domain: [0.5, 2] },
  maximum: { op: F.maximum, f: Math.max },
  minimum: { op: F.minimum, f: Math.min },
};

describe("elementwise arithmetic", () => {
  for (const [name, { op, f, domain }] of Object.entries(operations)) {
    test(name, () => checkOp({ op, reference: (a: Nd, b: Nd) => zip(a, b, f), shapes: same, domain }));
    test(`${name} broadcasts`, () =>
      checkOp({ op, reference: (a: Nd, b: Nd) => zip(a, b, f), shapes: broadcast, domain }));
  }

  const shapes = [[[]], [[1]], [[5]], [[17]], [[3, 4]], [[0]]];
  test("a number as second operand", () => {
    checkOp({ op: (x) => F.add(x, 0.5), reference: (x) => map(x, (v) => v + 0.5), shapes });
    checkOp({ op: (x) => F.sub(x, 0.5), reference: (x) => map(x, (v) => v - 0.5), shapes });
    checkOp({ op: (x) => F.mul(x, -3), reference: (x) => map(x, (v) => v * -3), shapes });
    checkOp({ op: (x) => F.div(x, -3), reference: (x) => map(x, (v) => v / -3), shapes });
    checkOp({ op: (x) => F.maximum(x, 0.25), reference: (x) => map(x, (v) => Math.max(v, 0.25)), shapes });
    checkOp({ op: (x) => F.minimum(x, 0.25), reference: (x) => map(x, (v) => Math.min(v, 0.25)), shapes });
  });

  test("NaN and infinities propagate at every position", () => {
    const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -1.5];
    const a = special.flatMap((x) => special.map(() => x));
    const b = special.flatMap(() => special);
    scope(() => {
      for (const { op, f } of Object.values(operations)) {
        const got = op(tensor(a), tensor(b)).data();
        expect([...got]).toEqual(a.map((x, i) => Math.fround(f(x, b[i]))));
      }
    });
  });

  test("equal operands of maximum and minimum share the gradient", () => {
    scope(() => {
      for (const op of [F.maximum, F.minimum]) {
        const a = tensor([1, 2, 3], { requiresGrad: true });
        const b = tensor([1, 5, 0], { requiresGrad: true });
        op(a, b).backward(tensor([8, 8, 8]));
        const first = op === F.maximum ? [4, 0, 8] : [4, 8, 0];
        expect(a.grad?.toArray()).toEqual(first);
        expect(b.grad?.toArray()).toEqual(first.map((v) => 8 - v));
      }
    });
  });

  test("a NaN operand of maximum passes the gradient to both, as in PyTorch", () => {
    scope(() => {
      const a = tensor([Number.NaN], { requiresGrad: true });
      const b = tensor([1], { requiresGrad: true });
      F.maximum(a, b).backward();
      expect([a.grad?.item(), b.grad?.item()]).toEqual([1, 1]);
    });
  });

  test("only what a wanted gradient reads is kept", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const frozen = tensor([3, 4]);
      const y = F.mul(x, frozen);
      x.set([7, 8]);
      y.backward(tensor([1, 1]));
      expect(x.grad?.toArray()).toEqual([3, 4]);
    });
  });

  test("errors name operation and values", () => {
    scope(() => {
      expect(() => F.add(tensor([1, 2, 3]), tensor([1, 2]))).toThrow(
        "add: shapes must broadcast together, got [3] and [2]",
      );
      expect(() => F.mul(tensor(new Int32Array(2)), 2)).toThrow(/^mul: operands must be "float32", got "int32"/);
    });
  });
});
