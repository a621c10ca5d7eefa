import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { map, type Nd, nd, zip } from "../support/reference.js";

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

  test("pow, with a tensor and with numbers that have a short way", () => {
    const pow = (a: number, b: number) => a ** b;
    const positive: [number, number] = [0.5, 2];
    checkOp({ op: F.pow, reference: (a, b) => zip(a, b, pow), shapes: [...same, ...broadcast], domain: positive });
    for (const exponent of [2, 0.5, -1, 3, 1.7, 0, 1]) {
      checkOp({
        op: (x) => F.pow(x, exponent),
        reference: (x) => map(x, (v) => v ** exponent),
        shapes,
        domain: positive,
      });
    }
  });

  test("lerp, with a number and with a tensor, and exact at both ends", () => {
    const reference = (a: Nd, b: Nd, w: Nd) =>
      zip(
        zip(
          a,
          zip(w, nd([], [1]), (v, one) => one - v),
          (x, y) => x * y,
        ),
        zip(b, w, (x, y) => x * y),
        (x, y) => x + y,
      );
    checkOp({
      op: F.lerp,
      reference,
      shapes: [
        [[], [], []],
        [[5], [5], [5]],
        [[3, 5], [5], [3, 1]],
        [[0], [0], [0]],
      ],
    });
    for (const w of [0, 0.3, 1, -2]) {
      const op = (a: Tensor, b: Tensor) => F.lerp(a, b, w);
      checkOp({ op, reference: (a, b) => reference(a, b, nd([], [w])), shapes: same.slice(0, 6) });
    }
    scope(() => {
      const [a, b] = [tensor([1e8, 1]), tensor([1, 1e8])];
      for (const one of [1, tensor([1, 1])]) expect(F.lerp(a, b, one).toArray()).toEqual([1, 1e8]);
      for (const zero of [0, tensor([0, 0])]) expect(F.lerp(a, b, zero).toArray()).toEqual([1e8, 1]);
    });
  });

  test("addcmul", () => {
    const reference = (scale: number) => (x: Nd, a: Nd, b: Nd) =>
      zip(
        x,
        zip(a, b, (v, w) => v * w),
        (v, w) => v + scale * w,
      );
    const threes = [
      [[], [], []],
      [[5], [5], [5]],
      [[3, 5], [5], [3, 1]],
      [[5], [3, 5], []],
    ];
    checkOp({ op: (x, a, b) => F.addcmul(x, a, b), reference: reference(1), shapes: threes });
    checkOp({ op: (x, a, b) => F.addcmul(x, a, b, { value: -0.5 }), reference: reference(-0.5), shapes: threes });
    scope(() => {
      const x = tensor([1]);
      expect(() => F.addcmul(x, x, x, { alpha: 1 } as object)).toThrow("addcmul: options must be value, got alpha");
    });
  });

  test("where takes from one or the other, also numbers; the gradient goes where the value came from", () => {
    // + 0·c: a condition has no gradient, and checkOp wants one of every input.
    const op = (c: Tensor, x: Tensor, y: Tensor) => F.add(F.where(F.gt(c, 0), x, y), F.mul(c, 0));
    const reference = (c: Nd, x: Nd, y: Nd) =>
      zip(
        zip(c, x, (v, w) => (v > 0 ? w : NaN)),
        y,
        (v, w) => (Number.isNaN(v) ? w : v),
      );
    checkOp({
      op,
      reference,
      shapes: [
        [[5], [5], [5]],
        [[3, 5], [5], [3, 1]],
        [[5], [3, 5], []],
        [[], [17], []],
        [[0, 3], [3], []],
      ],
    });
    checkOp({ op: (x) => F.where(F.gt(x, 0.5), x, -1), reference: (x) => map(x, (v) => (v > 0.5 ? v : -1)), shapes });
    checkOp({ op: (x) => F.where(F.gt(x, 0.5), 2, x), reference: (x) => map(x, (v) => (v > 0.5 ? 2 : v)), shapes });
    scope(() => {
      const mask = tensor([true, false]);
      expect(F.where(mask, 1, 0).toArray()).toEqual([1, 0]);
      const whole = F.where(mask, tensor([16777217, 1], { dtype: "int32" }), 7);
      expect([whole.dtype, whole.toArray()]).toEqual(["int32", [16777217, 7]]);
      expect(F.where(mask, tensor([1, 1], { dtype: "int32" }), 0.5).toArray()).toEqual([1, 0.5]);
      const x = tensor([NaN, 2], { requiresGrad: true });
      F.where(F.isnan(x), 0, x).backward(tensor([Infinity, 3]));
      expect(x.grad?.toArray()).toEqual([0, 3]);
      expect(() => F.where(tensor([1, 0]), 1, 0)).toThrow('where: the condition must be "bool", got "float32"');
    });
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
    });
  });
});
