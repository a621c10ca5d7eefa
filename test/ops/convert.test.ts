import { describe, expect, test } from "vitest";
import { F, memoryStats, scope, type Tensor, tensor } from "../../src/index.js";

const bool = (values: boolean[]) => tensor(values);
const int32 = (values: number[]) => tensor(values, { dtype: "int32" });
const uint8 = (values: number[]) => tensor(values, { dtype: "uint8" });
const typed = (x: Tensor) => [x.dtype, x.toArray()];

describe("to", () => {
  test("float32 loses its fraction, saturates as int32, wraps as uint8 and is true where it is not 0", () => {
    scope(() => {
      const x = tensor([1.9, -1.9, 3e9, -3e9, NaN, 0.25, -0]);
      expect(typed(x.to("int32"))).toEqual(["int32", [1, -1, 2147483647, -2147483648, 0, 0, 0]]);
      expect(typed(tensor([1.9, 255, 257, -1]).to("uint8"))).toEqual(["uint8", [1, 255, 1, 255]]);
      expect(typed(x.to("bool"))).toEqual(["bool", [true, true, true, true, true, true, false]]);
    });
  });

  test("every pair of types, at every tail", () => {
    scope(() => {
      for (let n = 0; n < 10; n++) {
        const values = Array.from({ length: n }, (_, i) => (i * 7) % 3);
        const from = { float32: tensor(values), int32: int32(values), uint8: uint8(values) };
        for (const x of Object.values(from)) {
          for (const dtype of ["float32", "int32", "uint8"] as const) {
            expect(typed(x.to(dtype))).toEqual([dtype, values]);
          }
          expect(typed(x.to("bool"))).toEqual(["bool", values.map(Boolean)]);
          expect(x.to("bool").to(x.dtype).toArray()).toEqual(values.map((v) => Number(v !== 0)));
        }
      }
    });
  });

  test("reads views, keeps shapes, and leaves nothing behind", () => {
    scope(() => {
      const x = F.transpose(
        tensor([
          [1, 2, 3],
          [4, 5, 6],
        ]),
        0,
        1,
      );
      const before = memoryStats().liveTensors;
      const y = x.to("uint8");
      expect(memoryStats().liveTensors).toBe(before + 1);
      expect(y.toArray()).toEqual([
        [1, 4],
        [2, 5],
        [3, 6],
      ]);
    });
  });

  test("the same type is the same tensor; another has no history; an unknown one is an error", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      expect(x.to("float32")).toBe(x);
      expect(x.to("int32").requiresGrad).toBe(false);
      expect(() => x.to("float64" as "float32")).toThrow(
        'to: the dtype must be "float32", "int32", "uint8", "bool", got "float64"',
      );
    });
  });
});

describe("operands of different types", () => {
  test("integers with integers give int32, which wraps around", () => {
    scope(() => {
      const a = int32([7, -3, 2147483647, 5, 0]);
      const b = int32([2, -4, 1, -5, 9]);
      expect(typed(F.add(a, b))).toEqual(["int32", [9, -7, -2147483648, 0, 9]]);
      expect(typed(F.sub(a, b))).toEqual(["int32", [5, 1, 2147483646, 10, -9]]);
      expect(typed(F.mul(a, b))).toEqual(["int32", [14, 12, 2147483647, -25, 0]]);
      expect(typed(F.maximum(a, b))).toEqual(["int32", [7, -3, 2147483647, 5, 9]]);
      expect(typed(F.minimum(a, b))).toEqual(["int32", [2, -4, 1, -5, 0]]);
      expect(typed(F.add(F.unsqueeze(a, 1).narrow(0, 0, 2), b))).toEqual([
        "int32",
        [
          [9, 3, 8, 2, 16],
          [-1, -7, -2, -8, 6],
        ],
      ]);
    });
  });

  test("a whole number keeps int32, a fraction makes float32; bool and uint8 count as int32", () => {
    scope(() => {
      const a = int32([1, 16777217]);
      expect(typed(F.add(a, 1))).toEqual(["int32", [2, 16777218]]);
      expect(typed(F.mul(a, 0.5))).toEqual(["float32", [0.5, 8388608]]);
      expect(typed(F.add(bool([true, false]), bool([true, true])))).toEqual(["int32", [2, 1]]);
      expect(typed(F.mul(uint8([200, 3]), 2))).toEqual(["int32", [400, 6]]);
      expect(() => F.add(a, 2 ** 31)).toThrow(
        'add: a whole number beside "int32" must be in the range of int32, got 2147483648',
      );
    });
  });

  test("quotients and powers are float32", () => {
    scope(() => {
      expect(typed(F.div(int32([7, 1]), 2))).toEqual(["float32", [3.5, 0.5]]);
      expect(typed(F.div(int32([7, 1]), int32([2, 4])))).toEqual(["float32", [3.5, 0.25]]);
      expect(typed(F.pow(int32([3, -2]), 2))).toEqual(["float32", [9, 4]]);
    });
  });

  test("a mask times floats is floats, and the gradient passes through it", () => {
    scope(() => {
      const x = tensor([1, 2, 3], { requiresGrad: true });
      const y = F.mul(x, bool([true, false, true]));
      expect(typed(y)).toEqual(["float32", [1, 0, 3]]);
      y.backward(tensor([5, 6, 7]));
      expect(x.grad?.toArray()).toEqual([5, 0, 7]);
      x.grad = null;
      F.div(x, int32([2, 4, 8])).backward(tensor([8, 8, 8]));
      expect((x.grad as Tensor | null)?.toArray()).toEqual([4, 2, 1]);
      x.grad = null;
      F.maximum(x, int32([2, 2, 2])).backward(tensor([1, 1, 1]));
      expect((x.grad as Tensor | null)?.toArray()).toEqual([0, 0.5, 1]);
    });
  });

  test("sums of what is not float32 are int32: the sum of a mask counts", () => {
    scope(() => {
      const mask = F.gt(
        tensor([
          [1, -1, 2],
          [3, 4, -5],
        ]),
        0,
      );
      expect(typed(F.sum(mask))).toEqual(["int32", 4]);
      expect(typed(F.sum(mask, { dim: 0 }))).toEqual(["int32", [2, 1, 1]]);
      expect(typed(F.sum(F.transpose(mask, 0, 1), { dim: 0, keepdim: true }))).toEqual(["int32", [[2, 2]]]);
      expect(typed(F.sum(int32([2147483647, 1])))).toEqual(["int32", -2147483648]);
      expect(typed(F.sum(uint8([255, 255])))).toEqual(["int32", 510]);
      expect(typed(F.sum(tensor(true)))).toEqual(["int32", 1]);
      expect(typed(F.sum(int32([])))).toEqual(["int32", 0]);
      const cube = tensor(
        Int32Array.from({ length: 24 }, (_, i) => i),
        { shape: [2, 3, 4] },
      );
      expect(typed(F.sum(cube, { dim: [0, 2] }))).toEqual(["int32", [60, 92, 124]]);
      expect(() => F.mean(mask)).toThrow('mean: the operand must be "float32", got "bool"');
    });
  });

  test("intermediate conversions are released", () => {
    scope(() => {
      const [x, mask] = [tensor([1, 2]), bool([true, false])];
      const before = memoryStats().liveTensors;
      F.mul(x, mask);
      F.div(mask, mask);
      F.eq(mask, x);
      F.sum(mask);
      expect(memoryStats().liveTensors).toBe(before + 4);
    });
  });
});
