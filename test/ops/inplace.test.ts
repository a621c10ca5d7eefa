import { describe, expect, test } from "vitest";
import { F, manualSeed, memoryStats, noGrad, scope, type Tensor, tensor, zeros } from "../../src/index.js";

const matrix = () => tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] });

/** Every operation, changing its first argument, and what it makes of [[1, 2, 3], [4, 5, 6]]. */
const operations: Record<string, [(x: Tensor) => Tensor, number[][]]> = {
  "add_ tensor": [
    (x) =>
      x.add_(
        tensor([
          [10, 20, 30],
          [40, 50, 60],
        ]),
      ),
    [
      [11, 22, 33],
      [44, 55, 66],
    ],
  ],
  "add_ number": [
    (x) => x.add_(1),
    [
      [2, 3, 4],
      [5, 6, 7],
    ],
  ],
  "add_ alpha": [
    (x) =>
      x.add_(
        tensor([
          [1, 1, 1],
          [2, 2, 2],
        ]),
        { alpha: -2 },
      ),
    [
      [-1, 0, 1],
      [0, 1, 2],
    ],
  ],
  "add_ number alpha": [
    (x) => x.add_(3, { alpha: 2 }),
    [
      [7, 8, 9],
      [10, 11, 12],
    ],
  ],
  "add_ broadcast alpha": [
    (x) => x.add_(tensor([1, 2, 3]), { alpha: 10 }),
    [
      [11, 22, 33],
      [14, 25, 36],
    ],
  ],
  "mul_ broadcast": [
    (x) => x.mul_(tensor([[10], [-1]])),
    [
      [10, 20, 30],
      [-4, -5, -6],
    ],
  ],
  "mul_ itself": [
    (x) => x.mul_(x),
    [
      [1, 4, 9],
      [16, 25, 36],
    ],
  ],
  "mul_ a part of itself": [
    (x) => x.mul_(F.narrow(x, 1, 1, 1)),
    [
      [2, 4, 6],
      [20, 25, 30],
    ],
  ],
  "add_ its own row": [
    (x) => x.add_(F.narrow(x, 0, 0, 1)),
    [
      [2, 4, 6],
      [5, 7, 9],
    ],
  ],
  clamp_: [
    (x) => x.clamp_({ min: 2, max: 4.5 }),
    [
      [2, 2, 3],
      [4, 4.5, 4.5],
    ],
  ],
  "clamp_ min": [
    (x) => x.clamp_({ min: 4 }),
    [
      [4, 4, 4],
      [4, 5, 6],
    ],
  ],
  copy_: [
    (x) => x.copy_(tensor([7, 8, 9])),
    [
      [7, 8, 9],
      [7, 8, 9],
    ],
  ],
  "copy_ its own column": [
    (x) => x.copy_(F.narrow(x, 1, 2, 1)),
    [
      [3, 3, 3],
      [6, 6, 6],
    ],
  ],
  fill_: [
    (x) => x.fill_(-2),
    [
      [-2, -2, -2],
      [-2, -2, -2],
    ],
  ],
  zero_: [
    (x) => x.zero_(),
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
  ],
};

describe("changes in place", () => {
  for (const [name, [change, expected]] of Object.entries(operations)) {
    test(`${name}: values, result and version, on a dense tensor`, () => {
      scope(() => {
        const x = matrix();
        const before = memoryStats();
        const { version } = x.storage;
        scope(() => expect(change(x)).toBe(x));
        expect(x.toArray()).toEqual(expected);
        expect(x.storage.version).toBeGreaterThan(version);
        expect(memoryStats().liveBytes).toBe(before.liveBytes);
      });
    });

    test(`${name}: on a strided view, nothing beside it changes`, () => {
      scope(() => {
        const base = zeros([3, 4]);
        const x = F.transpose(F.narrow(F.narrow(base, 0, 0, 3), 1, 1, 2), 0, 1);
        x.copy_(matrix());
        const { version } = base.storage;
        change(x);
        expect(x.toArray()).toEqual(expected);
        expect(F.narrow(base, 1, 0, 1).toArray()).toEqual([[0], [0], [0]]);
        expect(F.narrow(base, 1, 3, 1).toArray()).toEqual([[0], [0], [0]]);
        expect(base.storage.version).toBeGreaterThan(version);
      });
    });
  }

  test("SIMD tails", () => {
    for (const n of [0, 1, 3, 4, 5, 7, 16, 17]) {
      scope(() => {
        const data = Float32Array.from({ length: n }, (_, i) => i + 0.5);
        const base = tensor(new Float32Array(n + 1).fill(9));
        const x = F.narrow(base, 0, 0, n).copy_(tensor(data));
        x.add_(tensor(data), { alpha: 2 }).mul_(2);
        expect([...base.data()]).toEqual([...data.map((v) => 6 * v), 9]);
      });
    }
  });

  test("normal_ and uniform_ fill dense tensors and views with the same numbers", () => {
    scope(() => {
      for (const draw of [(x: Tensor) => x.normal_(2, 0.5), (x: Tensor) => x.uniform_(-3, -1)]) {
        manualSeed(11);
        const dense = draw(zeros([4, 5])).toArray();
        manualSeed(11);
        expect(draw(F.transpose(zeros([5, 4]), 0, 1)).toArray()).toEqual(dense);
        expect(draw(zeros([4, 5])).toArray()).not.toEqual(dense);
      }
      const u = zeros([1000]).uniform_(-3, -1).data();
      expect(u.every((v) => v >= -3 && v < -1)).toBe(true);
      const mean = F.mean(zeros([10_000]).normal_(2, 0.5)).item();
      expect(Math.abs(mean - 2)).toBeLessThan(0.02);
      expect(() => zeros([1]).normal_(0, -1)).toThrow("normal_: std must be 0 or more, got -1");
      expect(() => zeros([1]).uniform_(1, 0)).toThrow("uniform_: low must not exceed high, got 1 and 0");
    });
  });

  test("other types can be filled and copied", () => {
    scope(() => {
      const x = tensor(new Int32Array(5)).fill_(3);
      expect(x.copy_(tensor(new Int32Array([7]))).toArray()).toEqual([7, 7, 7, 7, 7]);
      const b = tensor([true, false, true]);
      expect(F.narrow(b, 0, 1, 2).fill_(0).toArray()).toEqual([false, false]);
      expect(() => x.copy_(tensor([1]))).toThrow(/^copy_: the source must be "int32", got "float32"/);
      expect(() => x.add_(1)).toThrow(/^add_: operands must be "float32", got "int32"/);
    });
  });

  test("an error while a gradient is recorded", () => {
    scope(() => {
      const leaf = tensor([1, 2], { requiresGrad: true });
      expect(() => leaf.add_(1)).toThrow(/^add_: no operand may require a gradient while operations are recorded/);
      expect(() => tensor([1, 2]).add_(leaf)).toThrow(/noGrad/);
      expect(() => leaf.zero_()).toThrow(/^zero_|^fill_/);
      expect(noGrad(() => leaf.add_(1)).toArray()).toEqual([2, 3]);
    });
  });

  test("changing what a graph saved makes its backward throw", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const w = tensor([3, 4]);
      const y = F.mul(x, w);
      w.mul_(2);
      expect(() => y.backward(tensor([1, 1]))).toThrow(/changed in place/);
    });
  });

  test("an expanded view cannot be changed", () => {
    scope(() => {
      expect(() => F.expand(tensor([[1], [2]]), [2, 3]).add_(1)).toThrow(
        /^add_: every element must have a place of its own/,
      );
    });
  });

  test("the operand must not be larger", () => {
    scope(() => {
      expect(() => tensor([1]).add_(tensor([1, 2]))).toThrow("add_: the operand must broadcast to [1], got [2]");
      expect(() => tensor([1]).copy_(tensor([1, 2]))).toThrow("copy_: the operand must broadcast to [1], got [2]");
    });
  });
});
