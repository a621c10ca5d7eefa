import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { addmm_ } from "../../src/ops/matmul.js";
import { checkOp, expectClose } from "../support/checkOp.js";
import { matmul, type Nd, nd, random, size } from "../support/reference.js";

const extents = [1, 3, 4, 5, 7, 16, 17, 33];
/** Sums of k products of numbers up to 2 round to about k·2⁻²⁴·4. */
const tolerance = { absolute: 2e-5 };

function randomTensor(shape: readonly number[], seed: number): Tensor {
  return tensor(Float32Array.from({ length: size(shape) }, random(seed)), { shape });
}

const nested = (x: Tensor): Nd => nd(x.shape, x.data());
const flip = (x: Tensor): Tensor => F.transpose(x, -1, -2);

/** a·b as it is, and with either operand stored transposed. */
function expectProduct(a: readonly number[], b: readonly number[]): void {
  const turned = (shape: readonly number[]) => [
    ...shape.slice(0, -2),
    shape[shape.length - 1],
    shape[shape.length - 2],
  ];
  scope(() => {
    for (const [x, y] of [
      [randomTensor(a, 1), randomTensor(b, 2)],
      [randomTensor(a, 3), flip(randomTensor(turned(b), 4))],
      [flip(randomTensor(turned(a), 5)), randomTensor(b, 6)],
      [flip(randomTensor(turned(a), 7)), flip(randomTensor(turned(b), 8))],
    ]) {
      const expected = matmul(nested(x), nested(y));
      const got = F.matmul(x, y);
      expect(got.shape).toEqual(expected.shape);
      expectClose(got.data(), expected.data, { absolute: 1e-6 * a[a.length - 1] }, `${a} @ ${b}`);
    }
  });
}

describe("matmul", () => {
  test("matrices", () => {
    const shapes = extents.flatMap((e) => [
      [
        [e, 5],
        [5, 6],
      ],
      [
        [3, e],
        [e, 18],
      ],
      [
        [5, 4],
        [4, e],
      ],
    ]);
    checkOp({ op: F.matmul, reference: matmul, shapes, tolerance });
  });

  test("stacks of matrices, with broadcasting", () =>
    checkOp({
      op: F.matmul,
      reference: matmul,
      shapes: [
        [
          [2, 3, 4],
          [2, 4, 5],
        ],
        [
          [2, 3, 4],
          [4, 5],
        ],
        [
          [3, 4],
          [2, 4, 5],
        ],
        [
          [2, 1, 3, 4],
          [3, 4, 2],
        ],
        [
          [1, 3, 1, 4],
          [2, 1, 4, 9],
        ],
        [
          [2, 3, 2, 5],
          [2, 3, 5, 1],
        ],
        [
          [1, 1, 4],
          [3, 4, 5],
        ],
      ],
      tolerance,
    }));

  test("a vector is a row on the left and a column on the right", () => {
    const row = (x: Nd): Nd => ({ ...x, shape: x.shape.length === 1 ? [1, ...x.shape] : x.shape });
    const column = (x: Nd): Nd => ({ ...x, shape: x.shape.length === 1 ? [...x.shape, 1] : x.shape });
    const reference = (a: Nd, b: Nd): Nd => {
      const { shape, data } = matmul(row(a), column(b));
      const kept = shape.filter(
        (_, d) =>
          !(a.shape.length === 1 && d === shape.length - 2) && !(b.shape.length === 1 && d === shape.length - 1),
      );
      return { shape: kept, data };
    };
    const shapes = [
      [[7], [7]],
      [[7], [7, 5]],
      [[3, 7], [7]],
      [[7], [2, 7, 5]],
      [[2, 3, 7], [7]],
    ];
    checkOp({ op: F.matmul, reference, shapes, tolerance });
  });

  test("every combination of tails, plain and transposed", () => {
    for (const m of extents) for (const k of extents) for (const n of extents) expectProduct([m, k], [k, n]);
  });

  test("extents beyond the blocks of rows, depth and columns", () => {
    expectProduct([403, 20], [20, 30]);
    expectProduct([5, 601], [601, 40]);
    expectProduct([20, 30], [30, 1100]);
    expectProduct([1, 300], [300, 1100]);
    expectProduct([1, 5], [5, 4101]);
    expectProduct([4, 70], [70, 4101]);
    expectProduct([5, 601], [601, 450]);
    expectProduct([210, 270], [270, 50]);
    expectProduct([2, 110, 260], [260, 33]);
    expectProduct([3, 200, 20], [3, 20, 34]);
  });

  test("a row of the result has the same bits whatever rows are beside it", () => {
    scope(() => {
      const a = randomTensor([203, 300], 1);
      const byColumns = flip(tensor(flip(a).data(), { shape: [300, 203] }));
      const rights = [70, 172, 900].flatMap((n) => [randomTensor([300, n], 2), flip(randomTensor([n, 300], 3))]);
      for (const right of rights) {
        const all = F.matmul(a, right);
        for (const [start, length] of [
          [0, 1],
          [7, 2],
          [20, 3],
          [40, 4],
          [100, 5],
          [60, 17],
          [202, 1],
          [3, 195],
        ]) {
          const some = F.matmul(F.narrow(a, 0, start, length), right);
          const turned = F.matmul(F.narrow(byColumns, 0, start, length), right);
          expect(some.data()).toEqual(F.narrow(all, 0, start, length).data());
          expect(turned.data()).toEqual(some.data());
        }
      }
    });
  });

  test("heads split from one tensor, as in attention", () => {
    const heads = (x: Tensor) => F.permute(F.reshape(x, [2, 5, 3, 4]), [0, 2, 1, 3]);
    const split = (x: Nd): Nd => {
      const at = (i: number) => {
        const [b, h, t, d] = [Math.floor(i / 60), Math.floor(i / 20) % 3, Math.floor(i / 4) % 5, i % 4];
        return x.data[((b * 5 + t) * 3 + h) * 4 + d];
      };
      return { shape: [2, 3, 5, 4], data: Float64Array.from({ length: 120 }, (_, i) => at(i)) };
    };
    const swapped = (x: Nd): Nd => ({
      shape: [2, 3, 4, 5],
      data: Float64Array.from(
        { length: 120 },
        (_, i) => x.data[Math.floor(i / 20) * 20 + (i % 5) * 4 + (Math.floor(i / 5) % 4)],
      ),
    });
    checkOp({
      op: (q, k) => F.matmul(heads(q), flip(heads(k))),
      reference: (q, k) => matmul(split(q), swapped(split(k))),
      shapes: [
        [
          [2, 5, 12],
          [2, 5, 12],
        ],
      ],
      tolerance,
    });
  });

  test("empty extents", () => {
    scope(() => {
      expect(F.matmul(zeros([2, 0]), zeros([0, 3])).toArray()).toEqual([
        [0, 0, 0],
        [0, 0, 0],
      ]);
      expect(F.matmul(zeros([0, 2]), zeros([2, 3])).shape).toEqual([0, 3]);
      expect(F.matmul(zeros([2, 3]), zeros([3, 0])).shape).toEqual([2, 0]);
      expect(F.matmul(zeros([0, 2, 3]), zeros([3, 4])).shape).toEqual([0, 2, 4]);
      const b = zeros([3, 4], { requiresGrad: true });
      const y = F.matmul(zeros([0, 2, 3]), b);
      y.backward(zeros([0, 2, 4]));
      expect(b.grad?.data()).toEqual(new Float32Array(12));
    });
  });

  test("NaN and infinities reach exactly the elements that read them", () => {
    for (const n of [1, 5, 8, 12, 18, 33]) {
      for (const m of [1, 2, 5]) {
        scope(() => {
          const [k, at] = [7, 3];
          const a = new Float32Array(m * k).fill(1);
          const b = new Float32Array(k * n).fill(0);
          a[(m - 1) * k + at] = Infinity;
          b[at * n + n - 1] = 2;
          const expected = Float32Array.from({ length: m * n }, (_, i) => {
            const last = i % n === n - 1;
            if (i < (m - 1) * n) return last ? 2 : 0;
            return last ? Infinity : NaN;
          });
          const [x, y] = [tensor(a, { shape: [m, k] }), tensor(b, { shape: [k, n] })];
          expect(F.matmul(x, y).data()).toEqual(expected);
          const stored = tensor(flip(y).data(), { shape: [n, k] });
          expect(F.matmul(x, flip(stored)).data()).toEqual(expected);
        });
      }
    }
  });

  test("shapes and types that do not fit are errors", () => {
    scope(() => {
      const product = (a: number[], b: number[]) => () => F.matmul(zeros(a), zeros(b));
      expect(product([2, 3], [4, 5])).toThrow("matmul: inner dimensions must match, got [2, 3] @ [4, 5]");
      expect(product([3], [4])).toThrow("matmul: inner dimensions must match, got [3] @ [4]");
      expect(product([], [4])).toThrow("matmul: operands must have a dimension, got [] @ [4]");
      expect(product([2, 3, 4], [3, 4, 5])).toThrow("matmul: shapes must broadcast together, got [2] and [3]");
      expect(() => F.matmul(zeros([2, 2], { dtype: "int32" }), zeros([2, 2]))).toThrow(
        'matmul: operands must be "float32", got "int32"',
      );
    });
  });
});

describe("addmm_", () => {
  test("adds a scaled product in place", () => {
    scope(() => {
      const y = randomTensor([3, 5], 1);
      const a = randomTensor([3, 4], 2);
      const b = randomTensor([4, 5], 3);
      const sum = matmul(nested(a), nested(b)).data;
      const expected = y.data().map((v, i) => v + 0.5 * sum[i]);
      addmm_(y, a, b, { alpha: 0.5 });
      expectClose(y.data(), expected);
    });
  });

  test("into a transposed matrix too, and not into one that is dense in neither direction", () => {
    scope(() => {
      const y = zeros([5, 3]);
      const a = randomTensor([3, 4], 2);
      const b = randomTensor([4, 5], 3);
      addmm_(F.transpose(y, 0, 1), a, b);
      expectClose(F.transpose(y, 0, 1).data(), matmul(nested(a), nested(b)).data);
      const spread = F.select(zeros([3, 5, 2]), 2, 0);
      expect(() => addmm_(spread, a, b)).toThrow("dense rows or columns");
    });
  });

  test("is an error where gradients are recorded, and for shapes that do not fit", () => {
    scope(() => {
      const y = zeros([3, 5], { requiresGrad: true });
      expect(() => addmm_(y, zeros([3, 4]), zeros([4, 5]))).toThrow("addmm_: no gradient must be recorded");
      expect(() => addmm_(zeros([3, 6]), zeros([3, 4]), zeros([4, 5]))).toThrow(
        "addmm_: the result must be a matrix with dense rows or columns, of the product's shape, got [3, 6] for [3, 4] @ [4, 5]",
      );
    });
  });
});
