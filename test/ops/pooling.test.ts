import { describe, expect, test } from "vitest";
import { F, scope, tensor } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { build, type Nd } from "../support/reference.js";

interface Pool {
  kernel: [number, number];
  stride: [number, number];
  padding: [number, number];
  extents?: [number, number];
}

/** `reduce` of the values that each window sees inside the image, and of how many it sees with the padding. */
function pool(
  x: Nd,
  { kernel, stride, padding, extents }: Pool,
  reduce: (values: number[], padded: number) => number,
): Nd {
  const [H, W] = x.shape.slice(-2);
  const [h, w] =
    extents ?? [H, W].map((extent, d) => Math.floor((extent + 2 * padding[d] - kernel[d]) / stride[d]) + 1);
  return build([...x.shape.slice(0, -2), h, w], (index) => {
    const [r, c] = index.slice(-2);
    const plane = index.slice(0, -2).reduce((flat, i, d) => flat * x.shape[d] + i, 0);
    const values: number[] = [];
    let padded = 0;
    for (let i = r * stride[0] - padding[0]; i < r * stride[0] - padding[0] + kernel[0]; i++) {
      for (let j = c * stride[1] - padding[1]; j < c * stride[1] - padding[1] + kernel[1]; j++) {
        if (i < H + padding[0] && j < W + padding[1]) padded++;
        if (i >= 0 && i < H && j >= 0 && j < W) values.push(x.data[(plane * H + i) * W + j]);
      }
    }
    return reduce(values, padded);
  });
}

const most = (values: number[]) => Math.max(...values);
const total = (values: number[]) => values.reduce((sum, v) => sum + v, 0);
const average = (values: number[], padded: number) => total(values) / padded;
const averageInside = (values: number[]) => total(values) / values.length;

const pools: (Pool & { shape: number[] })[] = [
  { kernel: [2, 2], stride: [2, 2], padding: [0, 0], shape: [2, 3, 4, 6] },
  { kernel: [2, 2], stride: [2, 2], padding: [0, 0], shape: [1, 1, 5, 7] },
  { kernel: [3, 2], stride: [1, 2], padding: [1, 1], shape: [2, 1, 4, 5] },
  { kernel: [3, 3], stride: [2, 3], padding: [1, 0], shape: [3, 7, 17] },
  { kernel: [1, 1], stride: [1, 1], padding: [0, 0], shape: [1, 2, 1, 1] },
  { kernel: [2, 2], stride: [1, 1], padding: [0, 0], shape: [0, 2, 3, 3] },
];

describe("maxPool2d", () => {
  test("equals its definition, with gradients", () => {
    for (const { shape, ...options } of pools) {
      checkOp({
        op: (x) => F.maxPool2d(x, options.kernel, { stride: options.stride, padding: options.padding }),
        reference: (x) => pool(x, options, most),
        shapes: [[shape]],
      });
    }
  });

  test("ceilMode adds windows that begin inside", () => {
    checkOp({
      op: (x) => F.maxPool2d(x, 2, { ceilMode: true }),
      reference: (x) => pool(x, { kernel: [2, 2], stride: [2, 2], padding: [0, 0], extents: [3, 2] }, most),
      shapes: [[[1, 2, 5, 4]]],
    });
    scope(() => {
      // the third window would begin in the padding behind the image
      expect(
        F.maxPool2d(tensor([[[1, 2, 3]]]), [1, 2], { stride: [1, 2], padding: [0, 1], ceilMode: true }).shape,
      ).toEqual([1, 1, 2]);
    });
  });

  test("equal maxima give their gradient to the first; NaN is the maximum", () =>
    scope(() => {
      const x = tensor([[[1, 1, Number.NaN, 5]]], { requiresGrad: true });
      const y = F.maxPool2d(x, [1, 2]);
      expect([...y.data()]).toEqual([1, Number.NaN]);
      y.backward(tensor([[[2, 3]]]));
      expect([...(x.grad?.data() ?? [])]).toEqual([2, 0, 3, 0]);
      const low = F.maxPool2d(tensor([[[Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]]]), [1, 2]);
      expect(low.item()).toBe(Number.NEGATIVE_INFINITY);
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = tensor([[[1, 2, 3]]]);
      expect(() => F.maxPool2d(x, 2, { padding: 2 })).toThrow(
        "padding must be at most half the kernel [2, 2], got [2, 2]",
      );
      expect(() => F.maxPool2d(x, 2)).toThrow("the kernel must fit the padded input, got [2, 2] for [1, 3]");
      expect(() => F.maxPool2d(tensor([1]), 2)).toThrow(
        "maxPool2d: the input must be [N, C, H, W] or [C, H, W], got [1]",
      );
      expect(() => F.maxPool2d(x, [1, 2, 3])).toThrow("the kernel must be one or 2 whole numbers from 1");
      expect(() => F.maxPool2d(x, 1, { stides: 1 } as object)).toThrow("got stides");
    }));
});

describe("avgPool2d", () => {
  test("equals its definition, with gradients", () => {
    for (const { shape, ...options } of pools) {
      for (const countIncludePad of [true, false]) {
        checkOp({
          op: (x) =>
            F.avgPool2d(x, options.kernel, { stride: options.stride, padding: options.padding, countIncludePad }),
          reference: (x) => pool(x, options, countIncludePad ? average : averageInside),
          shapes: [[shape]],
        });
      }
    }
  });

  test("windows cut off by ceilMode count what they see", () =>
    checkOp({
      op: (x) => F.avgPool2d(x, 2, { ceilMode: true }),
      reference: (x) => pool(x, { kernel: [2, 2], stride: [2, 2], padding: [0, 0], extents: [3, 2] }, average),
      shapes: [[[2, 1, 5, 3]]],
    }));
});

test("adaptiveAvgPool2d gives the size that is asked for, with gradients", () => {
  for (const [shape, size] of [
    [
      [2, 3, 5, 7],
      [2, 3],
    ],
    [
      [3, 4, 4],
      [1, 1],
    ],
    [
      [1, 2, 2, 3],
      [4, 7],
    ],
  ]) {
    checkOp({
      op: (x) => F.adaptiveAvgPool2d(x, size),
      reference: (x) => {
        const [H, W] = x.shape.slice(-2);
        return build([...x.shape.slice(0, -2), ...size], (index) => {
          const [r, c] = index.slice(-2);
          const plane = index.slice(0, -2).reduce((flat, i, d) => flat * x.shape[d] + i, 0);
          const values: number[] = [];
          for (let i = Math.floor((r * H) / size[0]); i < Math.ceil(((r + 1) * H) / size[0]); i++)
            for (let j = Math.floor((c * W) / size[1]); j < Math.ceil(((c + 1) * W) / size[1]); j++)
              values.push(x.data[(plane * H + i) * W + j]);
          return averageInside(values);
        });
      },
      shapes: [[shape]],
    });
  }
});
