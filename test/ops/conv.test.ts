import { describe, expect, test } from "vitest";
import { F, memoryStats, ones, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import golden from "../golden/conv.json" with { type: "json" };
import { checkOp, expectClose } from "../support/checkOp.js";
import { tensorsOf } from "../support/golden.js";
import { build, type Nd, nd, random } from "../support/reference.js";

interface Options {
  stride?: [number, number];
  padding?: [number, number];
  dilation?: [number, number];
  groups?: number;
}

/** x [N, C, H, W] at an index, 0 outside. */
function read(x: Nd, n: number, c: number, h: number, w: number): number {
  const [, C, H, W] = x.shape;
  return h < 0 || h >= H || w < 0 || w >= W ? 0 : x.data[((n * C + c) * H + h) * W + w];
}

function conv2d(x: Nd, weight: Nd, bias: Nd | undefined, options: Options = {}, end = options.padding): Nd {
  const { stride: [sh, sw] = [1, 1], padding: [ph, pw] = [0, 0], dilation: [dh, dw] = [1, 1], groups = 1 } = options;
  const [N, , H, W] = x.shape;
  const [O, C, kh, kw] = weight.shape;
  const [endH, endW] = end ?? [0, 0];
  const out = [
    Math.floor((H + ph + endH - dh * (kh - 1) - 1) / sh) + 1,
    Math.floor((W + pw + endW - dw * (kw - 1) - 1) / sw) + 1,
  ];
  return build([N, O, ...out], ([n, o, r, s]) => {
    let sum = bias ? bias.data[o] : 0;
    const first = Math.floor(o / (O / groups)) * C;
    for (let c = 0; c < C; c++) {
      for (let i = 0; i < kh; i++) {
        for (let j = 0; j < kw; j++) {
          sum +=
            weight.data[((o * C + c) * kh + i) * kw + j] *
            read(x, n, first + c, r * sh + i * dh - ph, s * sw + j * dw - pw);
        }
      }
    }
    return sum;
  });
}

function convTranspose2d(
  x: Nd,
  weight: Nd,
  bias: Nd | undefined,
  options: Options & { outputPadding?: [number, number] } = {},
): Nd {
  const { stride: [sh, sw] = [1, 1], padding: [ph, pw] = [0, 0], dilation: [dh, dw] = [1, 1], groups = 1 } = options;
  const [eh, ew] = options.outputPadding ?? [0, 0];
  const [N, C, H, W] = x.shape;
  const [, perGroup, kh, kw] = weight.shape;
  const out = [(H - 1) * sh - 2 * ph + dh * (kh - 1) + eh + 1, (W - 1) * sw - 2 * pw + dw * (kw - 1) + ew + 1];
  const each = C / groups;
  return build([N, perGroup * groups, ...out], ([n, o, r, s]) => {
    let sum = bias ? bias.data[o] : 0;
    const group = Math.floor(o / perGroup);
    for (let c = group * each; c < (group + 1) * each; c++) {
      for (let i = 0; i < kh; i++) {
        for (let j = 0; j < kw; j++) {
          const [h, w] = [(r + ph - i * dh) / sh, (s + pw - j * dw) / sw];
          if (!Number.isInteger(h) || !Number.isInteger(w)) continue;
          sum += weight.data[((c * perGroup + (o % perGroup)) * kh + i) * kw + j] * read(x, n, c, h, w);
        }
      }
    }
    return sum;
  });
}

const settings: { options: Options; shapes: number[][] }[] = [
  { options: {}, shapes: [[2, 3, 5, 6], [4, 3, 3, 2], [4]] },
  { options: {}, shapes: [[1, 1, 1, 1], [1, 1, 1, 1], [1]] },
  { options: { padding: [1, 1] }, shapes: [[2, 2, 4, 7], [3, 2, 3, 3], [3]] },
  { options: { padding: [3, 4] }, shapes: [[1, 2, 2, 1], [2, 2, 3, 5], [2]] },
  { options: { stride: [2, 3], padding: [1, 2] }, shapes: [[2, 2, 7, 8], [3, 2, 3, 4], [3]] },
  { options: { dilation: [2, 3], padding: [2, 0] }, shapes: [[1, 2, 6, 9], [2, 2, 3, 2], [2]] },
  { options: { groups: 2, padding: [0, 1] }, shapes: [[2, 4, 4, 5], [6, 2, 2, 3], [6]] },
  { options: { groups: 3 }, shapes: [[1, 3, 4, 4], [3, 1, 3, 3], [3]] },
  {
    options: { stride: [2, 2], dilation: [1, 2], groups: 2, padding: [2, 1] },
    shapes: [[2, 4, 5, 7], [2, 2, 2, 3], [2]],
  },
  { options: {}, shapes: [[2, 5, 3, 4], [7, 5, 1, 1], [7]] },
  { options: { stride: [2, 2] }, shapes: [[2, 3, 4, 5], [2, 3, 1, 1], [2]] },
  { options: {}, shapes: [[0, 2, 3, 3], [2, 2, 2, 2], [2]] },
];

// Sums of up to 80 products of either sign: their rounding is relative to the terms, not to the sum.
const tolerance = { absolute: 1e-5 };

describe("conv2d", () => {
  test("equals its definition, with gradients", () => {
    for (const { options, shapes } of settings) {
      checkOp({
        op: (x, weight, bias) => F.conv2d(x, weight, bias, options),
        reference: (x, weight, bias) => conv2d(x, weight, bias, options),
        shapes: [shapes],
        tolerance,
      });
    }
  });

  test("rows of any width, without a bias", () =>
    checkOp({
      op: (x, weight) => F.conv2d(x, weight, undefined, { padding: 1 }),
      reference: (x, weight) => conv2d(x, weight, undefined, { padding: [1, 1] }),
      shapes: [1, 3, 4, 5, 7, 16, 17].map((width) => [
        [1, 2, 3, width],
        [2, 2, 3, 3],
      ]),
    }));

  test('padding "same" puts an odd zero at the end, "valid" is none', () => {
    checkOp({
      op: (x, weight) => F.conv2d(x, weight, undefined, { padding: "same", dilation: [1, 3] }),
      reference: (x, weight) => conv2d(x, weight, undefined, { padding: [1, 1], dilation: [1, 3] }, [2, 2]),
      shapes: [
        [
          [1, 2, 5, 6],
          [2, 2, 4, 2],
        ],
      ],
    });
    scope(() => {
      const x = tensor([[[[1, 2, 3]]]]);
      expect(F.conv2d(x, tensor([[[[1, 1]]]]), undefined, { padding: "valid" }).toArray()).toEqual([[[[3, 5]]]]);
    });
  });

  test("an image without a batch", () =>
    checkOp({
      op: (x, weight, bias) => F.conv2d(x, weight, bias),
      reference: (x, weight, bias) => {
        const y = conv2d(nd([1, ...x.shape], x.data), weight, bias);
        return nd(y.shape.slice(1), y.data);
      },
      shapes: [[[2, 4, 5], [3, 2, 2, 2], [3]]],
    }));

  test("scratch memory is bounded: large images and batches go in parts", () =>
    scope(() => {
      for (const shape of [
        [1, 2, 150, 200],
        [60, 2, 20, 24],
      ]) {
        const next = random(5);
        const draw = (s: number[]) =>
          tensor(Float32Array.from({ length: s.reduce((a, b) => a * b) }, next), { shape: s, requiresGrad: true });
        const x = draw(shape);
        const weight = draw([3, 2, 3, 3]);
        const before = memoryStats();
        const y = F.conv2d(x, weight, undefined, { padding: 1 });
        expect(memoryStats().peakBytes).toBeLessThanOrEqual(
          Math.max(before.peakBytes, before.liveBytes + 4 * y.size + (4 << 20)),
        );
        const reference = conv2d(nd(x.shape, x.data()), nd(weight.shape, weight.data()), undefined, {
          padding: [1, 1],
        });
        expectClose(y.data(), reference.data, { absolute: 1e-5 });
        y.backward(F.mul(y, 1e-3).detach());
        // d(Σy²/2)/dw · w = Σ y², and the same for x: y is linear in both
        const total = 1e-3 * reference.data.reduce((sum, v) => sum + v * v, 0);
        for (const leaf of [x, weight]) {
          const values = leaf.data();
          const along = leaf.grad?.data().reduce((sum, g, i) => sum + g * values[i], 0) ?? 0;
          expect(Math.abs(along - total)).toBeLessThan(1e-5 * total);
        }
      }
    }));

  test("NaN and infinity reach the outputs that read them, and no others", () =>
    scope(() => {
      const x = tensor([[[[1, 2, Number.NaN, 4, 5, Number.POSITIVE_INFINITY]]]]);
      const y = F.conv2d(x, tensor([[[[1, 1]]]])).data();
      expect([...y]).toEqual([3, Number.NaN, Number.NaN, 9, Number.POSITIVE_INFINITY]);
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = (...shape: number[]) => F.expand(tensor(1), shape);
      expect(() => F.conv2d(x(1, 3, 4, 4), x(2, 2, 3, 3))).toThrow(
        "conv2d: the input must have groups · 2 = 2 channels for weight [2, 2, 3, 3], got [1, 3, 4, 4]",
      );
      expect(() => F.conv2d(x(4, 4), x(2, 2, 3, 3))).toThrow("must be [N, C, H, W] or [C, H, W]");
      expect(() => F.conv2d(x(1, 2, 2, 4), x(2, 2, 3, 3))).toThrow("the kernel must fit the padded input");
      expect(() => F.conv2d(x(1, 2, 4, 4), x(2, 2, 3, 3), x(3))).toThrow("bias must have shape [2], got [3]");
      expect(() => F.conv2d(x(1, 2, 4, 4), x(3, 1, 3, 3), undefined, { groups: 2 })).toThrow("groups must divide");
      expect(() => F.conv2d(x(1, 2, 4, 4), x(2, 2, 3, 3), undefined, { stride: 0 })).toThrow("stride must be");
      expect(() => F.conv2d(x(1, 2, 4, 4), x(2, 2, 3, 3), undefined, { padding: "same", stride: 2 })).toThrow(
        'stride must be 1 for padding "same"',
      );
      const misspelt = { strides: 2 } as object;
      expect(() => F.conv2d(x(1, 2, 4, 4), x(2, 2, 3, 3), undefined, misspelt)).toThrow(
        "conv2d: options must be stride, padding, dilation, groups, got strides",
      );
    }));
});

describe("conv1d", () => {
  test("equals conv2d over one row, with gradients", () => {
    for (const options of [{}, { stride: 2, padding: 2 }, { dilation: 3, padding: 1, groups: 2 }]) {
      const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options as Record<string, number>;
      checkOp({
        op: (x, weight, bias) => F.conv1d(x, weight, bias, options),
        reference: (x, weight, bias) => {
          const row = (t: Nd) => nd([t.shape[0], t.shape[1], 1, t.shape[2]], t.data);
          const y = conv2d(row(x), row(weight), bias, {
            stride: [1, stride],
            padding: [0, padding],
            dilation: [1, dilation],
            groups,
          });
          return nd([y.shape[0], y.shape[1], y.shape[3]], y.data);
        },
        shapes: [[[2, 4, 9], [4, 4 / groups, 3], [4]]],
      });
    }
  });

  test("a sequence without a batch; errors are its own", () =>
    scope(() => {
      const y = F.conv1d(tensor([[1, 2, 3, 4]]), tensor([[[1, -1]]]), tensor([10]), { padding: "same" });
      expect(y.toArray()).toEqual([[9, 9, 9, 14]]);
      expect(() => F.conv1d(tensor([1]), tensor([[[1]]]))).toThrow("conv1d: the input must be [N, C, L] or [C, L]");
    }));
});

describe("convTranspose2d", () => {
  test("equals its definition, with gradients", () => {
    const cases: { options: Parameters<typeof convTranspose2d>[3]; shapes: number[][] }[] = [
      { options: {}, shapes: [[2, 3, 3, 4], [3, 2, 3, 2], [2]] },
      { options: { stride: [2, 3], padding: [1, 0] }, shapes: [[1, 2, 3, 4], [2, 3, 3, 4], [3]] },
      {
        options: { stride: [2, 2], padding: [1, 1], outputPadding: [1, 0], groups: 2 },
        shapes: [[2, 4, 3, 2], [4, 1, 3, 3], [2]],
      },
      { options: { dilation: [2, 1] }, shapes: [[1, 2, 2, 5], [2, 2, 2, 2], [2]] },
      { options: {}, shapes: [[2, 3, 2, 3], [3, 4, 1, 1], [4]] },
    ];
    for (const { options, shapes } of cases) {
      checkOp({
        op: (x, weight, bias) => F.convTranspose2d(x, weight, bias, options),
        reference: (x, weight, bias) => convTranspose2d(x, weight, bias, options),
        shapes: [shapes],
        tolerance,
      });
    }
  });

  test("an image without a batch; errors", () =>
    scope(() => {
      const y = F.convTranspose2d(tensor([[[1, 2]]]), tensor([[[[1, 10]]]]));
      expect(y.toArray()).toEqual([[[1, 12, 20]]]);
      expect(() => F.convTranspose2d(tensor([[[1]]]), tensor([[[[1]]]]), undefined, { outputPadding: 1 })).toThrow(
        "outputPadding must be less than stride or dilation, got 1",
      );
    }));
});

test.each(golden.functions)("PyTorch's values and gradients: $name", async ({ op, tensors, args, options }) => {
  const t = await tensorsOf(tensors);
  scope(() => {
    const inputs = ["x0", "x1", "x2"].flatMap((name) => t[name] ?? []);
    for (const x of inputs) x.requiresGrad_();
    const y = operations[op](inputs, args, options);
    y.backward(t.dy);
    expectClose(y.data(), t.y.data(), tolerance);
    inputs.forEach((x, i) => {
      expectClose(x.grad?.data() ?? [], t[`d${i}`].data(), tolerance, `d${i}`);
    });
  });
  for (const x of Object.values(t)) x.dispose();
});

/** How conv.py's cases call the operations. */
const operations: Record<string, (inputs: Tensor[], args: unknown[], options: object) => Tensor> = {
  conv1d: ([x, weight, bias], _, options) => F.conv1d(x, weight, bias, options),
  conv2d: ([x, weight, bias], _, options) => F.conv2d(x, weight, bias, options),
  convTranspose2d: ([x, weight, bias], _, options) => F.convTranspose2d(x, weight, bias, options),
  maxPool2d: ([x], [kernel], options) => F.maxPool2d(x, kernel as number, options),
  avgPool2d: ([x], [kernel], options) => F.avgPool2d(x, kernel as number, options),
  adaptiveAvgPool2d: ([x], [size]) => F.adaptiveAvgPool2d(x, size as number),
  interpolate: ([x], _, options) => F.interpolate(x, options),
  groupNorm: ([x], [groups]) => F.groupNorm(x, groups as number),
  normalize: ([x], _, options) => F.normalize(x, options),
  batchNorm: ([x, weight, bias], _, options) => {
    const running = { runningMean: zeros(weight.shape), runningVar: ones(weight.shape) };
    return F.batchNorm(x, { ...running, weight, bias, ...options });
  },
};
