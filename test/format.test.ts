import { describe, expect, test } from "vitest";
import { arange, F, scope, type Tensor, tensor, zeros } from "../src/index.js";

const floats = (x: Tensor) => F.to(x, "float32");

/** The text of the values, without shape and dtype. */
const values = (x: Tensor) => String(x).replace(/,\s+shape: .*\)$/, ")");

describe("tensors in a console", () => {
  test("columns of one width and one notation, as PyTorch prints them", () => {
    scope(() => {
      expect(values(tensor([1, 2, 3]))).toBe("tensor([1., 2., 3.])");
      expect(values(tensor([0, -0, 10]))).toBe("tensor([ 0., -0., 10.])");
      expect(values(tensor([1.5, 1e6]))).toBe("tensor([1.5000e+00, 1.0000e+06])");
      expect(values(tensor([1e-5, 1]))).toBe("tensor([1.0000e-05, 1.0000e+00])");
      expect(values(tensor([1e9, 2]))).toBe("tensor([1.0000e+09, 2.0000e+00])");
      expect(values(tensor([123456.5, 200.25]))).toBe("tensor([123456.5000,    200.2500])");
      expect(values(tensor([1.5, Number.NaN, -Infinity]))).toBe("tensor([1.5000,    nan,   -inf])");
      expect(values(tensor([Number.NaN]))).toBe("tensor([nan])");
      expect(values(tensor([true, false]))).toBe("tensor([ true, false])");
      expect(values(tensor(Int32Array.of(-7)))).toBe("tensor([-7])");
      expect(values(tensor(3.14162))).toBe("tensor(3.1416)");
      expect(
        values(
          tensor([
            [1.5, -2],
            [300, 4],
          ]),
        ),
      ).toBe(["tensor([[  1.5000,  -2.0000],", "        [300.0000,   4.0000]])"].join("\n"));
    });
  });

  test("whole numbers keep their digits, whatever their range", () => {
    scope(() => expect(values(tensor([1, 1e6]))).toBe("tensor([      1., 1000000.])"));
  });

  test("matrices of a stack are apart by an empty line", () => {
    scope(() =>
      expect(values(zeros([2, 2, 1]))).toBe(
        ["tensor([[[0.],", "         [0.]],", "", "        [[0.],", "         [0.]]])"].join("\n"),
      ),
    );
  });

  test("long rows break at 80 columns", () => {
    scope(() => {
      const lines = values(F.div(floats(arange(0, 30)), 7)).split("\n");
      expect(lines.length).toBe(4);
      expect(lines[0]).toBe("tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,");
      expect(lines[3]).toBe("        3.8571, 4.0000, 4.1429])");
    });
  });

  test("more than 1000 elements: the first and last three of long dimensions", () => {
    scope(() =>
      expect(String(floats(arange(0, 2000)).reshape([2, 1000]))).toBe(
        [
          "tensor([[   0.,    1.,    2., ...,  997.,  998.,  999.],",
          "        [1000., 1001., 1002., ..., 1997., 1998., 1999.]],",
          "       shape: [2, 1000], dtype: float32)",
        ].join("\n"),
      ),
    );
  });

  test("views show what they see", () => {
    scope(() => {
      const x = tensor([
        [1, 2],
        [3, 4],
      ]);
      expect(values(F.transpose(x, 0, 1))).toBe(["tensor([[1., 3.],", "        [2., 4.]])"].join("\n"));
      expect(values(F.expand(tensor([5]), [3]))).toBe("tensor([5., 5., 5.])");
    });
  });

  test("shape, dtype and history", () => {
    scope(() => {
      expect(String(zeros([2, 0]))).toBe("tensor([], shape: [2, 0], dtype: float32)");
      const x = tensor([1], { requiresGrad: true });
      expect(String(x)).toBe("tensor([1.], shape: [1], dtype: float32, requiresGrad: true)");
      expect(String(F.mul(x, 2))).toBe("tensor([2.], shape: [1], dtype: float32, op: mul)");
      const gone = tensor([1]);
      gone.dispose();
      expect(String(gone)).toBe("tensor(released, shape: [1], dtype: float32)");
    });
  });
});
