import { describe, expect, test } from "vitest";
import { F, memoryStats, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { addProduct, loraLinear } from "../../src/ops/linear.js";
import { checkOp } from "../support/checkOp.js";
import { map, matmul, type Nd, random, size, transpose, zip } from "../support/reference.js";

/** Sums of up to 33 products of numbers up to 2, of up to three factors. */
const tolerance = { absolute: 5e-5 };

const add = (a: Nd, b: Nd): Nd => zip(a, b, (x, y) => x + y);

function linear(x: Nd, weight: Nd, bias?: Nd): Nd {
  const rows = x.shape.length === 1 ? { ...x, shape: [1, ...x.shape] } : x;
  const y = matmul(rows, transpose(weight));
  const shaped = { ...y, shape: [...x.shape.slice(0, -1), weight.shape[0]] };
  return bias ? add(shaped, bias) : shaped;
}

function lora(x: Nd, z: Nd, weight: Nd, bias: Nd | undefined, a: Nd, b: Nd, scale: number): Nd {
  return add(
    linear(x, weight, bias),
    map(linear(linear(z, a), b), (v) => scale * v),
  );
}

function randomTensor(shape: readonly number[], seed: number, requiresGrad: boolean): Tensor {
  return tensor(Float32Array.from({ length: size(shape) }, random(seed)), { shape, requiresGrad });
}

describe("linear", () => {
  const shapes = [
    [[4], [3, 4]],
    [
      [1, 4],
      [1, 4],
    ],
    [
      [5, 7],
      [17, 7],
    ],
    [
      [17, 16],
      [5, 16],
    ],
    [
      [3, 33],
      [33, 33],
    ],
    [
      [2, 3, 5],
      [4, 5],
    ],
    [
      [2, 2, 3, 4],
      [9, 4],
    ],
  ];

  test("without bias", () =>
    checkOp({ op: (x, w) => F.linear(x, w), reference: (x, w) => linear(x, w), shapes, tolerance }));

  test("with bias", () =>
    checkOp({ op: F.linear, reference: linear, shapes: shapes.map(([x, w]) => [x, w, [w[0]]]), tolerance }));

  test("a frozen weight gets no gradient, and its input is not kept for one", () => {
    scope(() => {
      const weight = zeros([5, 4]);
      const x = randomTensor([1000, 4], 1, true);
      const before = memoryStats().liveBytes;
      const inner = F.relu(x);
      const y = F.linear(inner, weight);
      inner.dispose();
      // relu keeps its own result, of 16000 bytes, for its gradient; nothing else does, so 36000 with y.
      expect(memoryStats().liveBytes - before).toBeLessThan(40000);
      y.backward(zeros([1000, 5]));
      expect(weight.grad).toBeNull();
      expect(x.grad?.shape).toEqual([1000, 4]);
    });
  });

  test("an input without gradient leaves the weight's alone", () => {
    scope(() => {
      const weight = randomTensor([3, 4], 1, true);
      const x = randomTensor([2, 4], 2, false);
      F.linear(x, weight).backward(tensor([1, 0, 0, 0, 0, 0], { shape: [2, 3] }));
      expect(weight.grad?.data()).toEqual(new Float32Array([...x.data().slice(0, 4), ...new Float32Array(8)]));
    });
  });

  test("shapes and types that do not fit are errors", () => {
    scope(() => {
      const call = (x: number[], w: number[], b?: number[]) => () => F.linear(zeros(x), zeros(w), b && zeros(b));
      expect(call([2, 3], [5, 4])).toThrow(
        "linear: x [..., in] and weight [out, in] must agree, got [2, 3] and [5, 4]",
      );
      expect(call([2, 4], [5, 4], [4])).toThrow("linear: bias must have shape [5], got [4]");
      expect(() => F.linear(zeros([2, 4], { dtype: "int32" }), zeros([5, 4]))).toThrow(
        'linear: operands must be "float32", got "int32"',
      );
    });
  });
});

describe("loraLinear", () => {
  // x, weight, A, B
  const shapes = [
    [[4], [3, 4], [2, 4], [3, 2]],
    [
      [5, 7],
      [17, 7],
      [3, 7],
      [17, 3],
    ],
    [
      [2, 3, 16],
      [20, 16],
      [8, 16],
      [20, 8],
    ],
  ];

  test("x is the adapter's input too", () => {
    checkOp({
      op: (x, w, a, b) => loraLinear(x, x, w, undefined, a, b, 0.5),
      reference: (x, w, a, b) => lora(x, x, w, undefined, a, b, 0.5),
      shapes,
      tolerance,
    });
  });

  test("many rows, for which the weight is changed", () => {
    checkOp({
      op: (x, w, bias, a, b) => loraLinear(x, x, w, bias, a, b, 0.5),
      reference: (x, w, bias, a, b) => lora(x, x, w, bias, a, b, 0.5),
      shapes: [
        [[6, 3], [5, 3], [5], [2, 3], [5, 2]],
        [[3, 16, 17], [20, 17], [20], [8, 17], [20, 8]],
      ],
      tolerance,
    });
  });

  test("the adapter has an input of its own, and the layer a bias", () => {
    checkOp({
      op: (x, z, w, bias, a, b) => loraLinear(x, z, w, bias, a, b, 2),
      reference: (x, z, w, bias, a, b) => lora(x, z, w, bias, a, b, 2),
      shapes: shapes.map(([x, w, a, b]) => [x, x, w, [w[0]], a, b]),
      tolerance,
    });
  });

  test("trains A and B of a frozen layer, with the gradients of the composed operations", () => {
    scope(() => {
      const x = randomTensor([6, 5], 1, true);
      const weight = randomTensor([4, 5], 2, false);
      const [a, b] = [randomTensor([2, 5], 3, true), randomTensor([4, 2], 4, true)];
      const dy = randomTensor([6, 4], 5, false);
      const run = (y: Tensor) => {
        y.backward(dy);
        const grads = [x, a, b].map((t) => [...(t.grad?.data() ?? [])]);
        for (const t of [x, a, b]) t.grad = null;
        return grads.flat();
      };
      const fused = run(loraLinear(x, x, weight, undefined, a, b, 1));
      const composed = [run(F.linear(x, weight)), run(F.linear(F.linear(x, a), b))];
      expect(weight.grad).toBeNull();
      const [plain, adapter] = composed;
      fused.forEach((g, i) => {
        expect(g).toBeCloseTo((i < 30 ? plain[i] : 0) + adapter[i], 4);
      });
    });
  });

  test("shapes that do not fit are errors", () => {
    scope(() => {
      const x = zeros([2, 4]);
      const weight = zeros([5, 4]);
      const call = (z: number[], a: number[], b: number[]) => () =>
        loraLinear(x, zeros(z), weight, undefined, zeros(a), zeros(b), 1);
      expect(call([3, 4], [2, 4], [5, 2])).toThrow("loraLinear: z must have shape [2, 4], got [3, 4]");
      expect(call([2, 4], [2, 4], [5, 3])).toThrow("loraLinear: B must have shape [5, 2], got [5, 3]");
      expect(call([2, 4], [2, 3], [5, 2])).toThrow(
        "loraLinear: x [..., in] and weight [out, in] must agree, got [2, 4] and [2, 3]",
      );
    });
  });
});

describe("addProduct", () => {
  const shapes = [
    [[4], [2], [4, 2]],
    [
      [5, 17],
      [5, 3],
      [17, 3],
    ],
    [
      [2, 3, 20],
      [2, 3, 8],
      [20, 8],
    ],
  ];

  test("adds a low-rank product to a result of its own", () => {
    checkOp({
      op: (y, h, b) => addProduct(F.add(y, 0), h, b, 0.5),
      reference: (y, h, b) =>
        add(
          y,
          map(linear(h, b), (v) => 0.5 * v),
        ),
      shapes,
      tolerance,
    });
  });

  test("is noticed by a graph that needs what was there, and refuses what does not fit", () => {
    scope(() => {
      const y = F.relu(randomTensor([3, 4], 1, true));
      const sum = addProduct(y, zeros([3, 2]), randomTensor([4, 2], 2, true), 1);
      expect(() => sum.sum().backward()).toThrow(/changed/);
      expect(() => addProduct(zeros([3, 4]), zeros([3, 2]), zeros([4, 3]), 1)).toThrow(
        "addProduct: y [..., out] (dense), h [..., r] and B [out, r] must agree, got [3, 4], [3, 2] and [4, 3]",
      );
      expect(() => addProduct(F.transpose(zeros([4, 3]), 0, 1), zeros([3, 2]), zeros([4, 2]), 1)).toThrow("dense");
    });
  });
});
