import { describe, expect, test } from "vitest";
import { F, scope, tensor } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { build, type Nd } from "../support/reference.js";

type Point = (output: number, input: number, extent: number) => number;

/** Each output's value at the point of the image that `point` gives for its row and column. */
function sample(x: Nd, [h, w]: number[], point: Point): Nd {
  const [H, W] = x.shape.slice(-2);
  const [rows, cols] = [
    Array.from({ length: h }, (_, i) => point(i, H, h)),
    Array.from({ length: w }, (_, i) => point(i, W, w)),
  ];
  return build([...x.shape.slice(0, -2), h, w], (index) => {
    const [r, c] = [rows[index[index.length - 2]], cols[index[index.length - 1]]];
    const plane = index.slice(0, -2).reduce((flat, i, d) => flat * x.shape[d] + i, 0);
    let value = 0;
    for (let i = 0; i < H; i++)
      for (let j = 0; j < W; j++)
        value += Math.max(0, 1 - Math.abs(r - i)) * Math.max(0, 1 - Math.abs(c - j)) * x.data[(plane * H + i) * W + j];
    return value;
  });
}

const nearest: Point = (i, input, output) => Math.floor((i * input) / output);
const edges: Point = (i, input, output) => Math.min(Math.max(((i + 0.5) * input) / output - 0.5, 0), input - 1);
const corners: Point = (i, input, output) => (output === 1 ? 0 : (i * (input - 1)) / (output - 1));

const cases: { shape: number[]; size: [number, number] }[] = [
  { shape: [2, 3, 3, 4], size: [6, 8] },
  { shape: [1, 2, 5, 7], size: [2, 3] },
  { shape: [2, 2, 1], size: [3, 1] },
  { shape: [1, 1, 4, 4], size: [1, 17] },
];

describe("interpolate", () => {
  test("takes the nearest pixel", () => {
    for (const { shape, size } of cases) {
      checkOp({
        op: (x) => F.interpolate(x, { size }),
        reference: (x) => sample(x, size, nearest),
        shapes: [[shape]],
      });
    }
  });

  test("bilinear, by the pixels' edges or by the corners' centres", () => {
    for (const { shape, size } of cases) {
      for (const alignCorners of [false, true]) {
        checkOp({
          op: (x) => F.interpolate(x, { size, mode: "bilinear", alignCorners }),
          reference: (x) => sample(x, size, alignCorners ? corners : edges),
          shapes: [[shape]],
          tolerance: { absolute: 5e-6 }, // coordinates are float32, as PyTorch's
        });
      }
    }
  });

  test("a scale factor is the step, also where the size is rounded", () =>
    scope(() => {
      const x = tensor([[[[0, 1, 2, 3, 4]]]]);
      expect(F.interpolate(x, { scaleFactor: 2 }).toArray()).toEqual([[Array(2).fill([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])]]);
      expect(F.interpolate(x, { scaleFactor: [1, 0.5], mode: "bilinear" }).toArray()).toEqual([[[[0.5, 2.5]]]]);
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = tensor([[[[1, 2]]]]);
      expect(() => F.interpolate(x, {})).toThrow("size or scaleFactor must be given, got neither");
      expect(() => F.interpolate(x, { size: 2, scaleFactor: 2 })).toThrow("got both");
      expect(() => F.interpolate(x, { scaleFactor: 0.4 })).toThrow("leave a pixel, got [0.4, 0.4] for [1, 2]");
      expect(() => F.interpolate(x, { size: 2, alignCorners: true })).toThrow('must go with mode "bilinear"');
      expect(() => F.interpolate(x, { size: 2, mode: "cubic" as "nearest" })).toThrow('got "cubic"');
      expect(() => F.interpolate(tensor([1]), { size: 2 })).toThrow("interpolate: the input must be [N, C, H, W]");
    }));
});
