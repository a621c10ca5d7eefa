import { describe, expect, test } from "vitest";
import { memoryStats, quant, scope, tensor } from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";
import { random } from "../support/reference.js";

const schemes = [quant.log4, quant.int8, quant.nf4, quant.int4];
const sizes = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 130, 1000];

const normalFloat = [
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
];
const powers = Array.from({ length: 16 }, (_, code) =>
  code % 8 === 0 ? 0 : (code < 8 ? 1 : -1) * 2 ** ((code % 8) - 7),
);

/** Values of a block of weights, and how far they may be from what comes back. */
function nearest(block: readonly number[], name: quant.SchemeName): { values: number[]; slack: number } {
  const most = Math.max(...block.map(Math.abs));
  const pick = (book: readonly number[]) =>
    block.map((x) => book.map((v) => v * most).reduce((best, v) => (Math.abs(v - x) < Math.abs(best - x) ? v : best)));
  if (name === "log4") return { values: pick(powers), slack: 0 };
  // Scales are from 0 to 2, and kept in steps of their range / 64 at most.
  if (name === "nf4") return { values: pick(normalFloat), slack: 2 / 128 };
  if (name === "int8") return { values: pick(Array.from({ length: 255 }, (_, i) => (i - 127) / 127)), slack: 0 };
  const least = Math.min(0, ...block);
  const step = (Math.max(0, ...block) - least) / 15 || 1;
  const zero = Math.round(-least / step);
  return { values: pick(Array.from({ length: 16 }, (_, code) => ((code - zero) * step) / most)), slack: 0 };
}

describe.each(schemes)("$name", (scheme) => {
  test("every weight comes back as the nearest value of its block, whatever the size", () => {
    for (const n of sizes) {
      const next = random(n);
      const x = Float32Array.from({ length: n }, next);
      const blockSize = n % 2 ? 5 : 64;
      const before = memoryStats();
      scope(() => {
        const q = quant.quantize(tensor(x), scheme, { blockSize });
        const y = quant.dequantize(q).data();
        for (let begin = 0; begin < n; begin += blockSize) {
          const { values, slack } = nearest([...x.subarray(begin, begin + blockSize)], scheme.name);
          const absolute = 1e-6 + slack;
          expectClose(y.subarray(begin, begin + blockSize), values, { absolute }, `${n} values, block at ${begin}`);
        }
      });
      expect(memoryStats().liveBytes).toBe(before.liveBytes);
    }
  });

  test("what came back is quantized to itself", () => {
    scope(() => {
      const next = random(7);
      const q = quant.quantize(tensor(Float32Array.from({ length: 1000 }, next)), scheme);
      const again = quant.quantize(quant.dequantize(q), scheme, { blockSize: q.blockSize });
      expect(quant.unpackCodes(again)).toEqual(quant.unpackCodes(q));
    });
  });

  test("blocks of zeros stay zeros", () => {
    scope(() => {
      const x = new Float32Array(130);
      x[129] = 3;
      const y = quant.dequantize(quant.quantize(tensor(x), scheme, { blockSize: 64 })).data();
      expect(y.subarray(0, 128).every((v) => v === 0)).toBe(true);
      expect(Math.abs(y[129] - 3)).toBeLessThan(0.03);
    });
  });

  test("a shape of any rank, views and nothing at all", () => {
    scope(() => {
      const x = tensor(Float32Array.from({ length: 24 }, random(1)), { shape: [2, 3, 4] });
      const view = x.permute([2, 0, 1]);
      const q = quant.quantize(view, scheme);
      expect(q.shape).toEqual([4, 2, 3]);
      expect(quant.dequantize(q).data()).toEqual(quant.dequantize(quant.quantize(view.clone(), scheme)).data());
      expect(quant.dequantize(quant.quantize(tensor([], { shape: [0, 5] }), scheme)).shape).toEqual([0, 5]);
      expect(quant.dequantize(quant.quantize(tensor(2), scheme)).item()).toBeCloseTo(2);
    });
  });

  test("values that are not finite are errors", () => {
    scope(() => {
      for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const x = new Float32Array(200).fill(1);
        x[131] = wrong;
        expect(() => quant.quantize(tensor(x), scheme)).toThrow(`quantize: values must be finite, got ${wrong} at 131`);
      }
    });
  });
});

test("log4: ±scale · 2^(e − 7); a relative error of 1/3 at most down to 0.75 of the least, then scale/128", () => {
  scope(() => {
    const scale = 0.5;
    const x = Float32Array.from({ length: 4001 }, (_, i) => ((i - 2000) / 2000) * 1.5 * scale);
    const q = quant.quantize(tensor(x), quant.log4, { scale, blockSize: x.length });
    expect(q.scales.data()).toEqual(Float32Array.of(scale));
    const y = quant.dequantize(q).data();
    x.forEach((value, i) => {
      const limit = Math.abs(value) >= (0.75 * scale) / 64 ? Math.abs(value) / 3 : scale / 128;
      expect(Math.abs(y[i] - value)).toBeLessThanOrEqual(limit * (1 + 1e-6));
    });
    const codes = tensor(Uint8Array.from({ length: 8 }, (_, i) => (2 * i * 16) | (2 * i + 1)));
    const every = quant.dequantize({ ...q, shape: [16], codes }).data();
    expect(every).toEqual(Float32Array.from(powers, (v) => v * scale));
  });
});

test("codes of 4 bits lie two to a byte, the first in the upper half", () => {
  scope(() => {
    const q = quant.quantize(tensor([1, 0.5, -0.25]), quant.log4);
    expect([...quant.unpackCodes(q)]).toEqual([7, 6, 13]);
    expect([...q.codes.data()]).toEqual([0x76, 0xd0]);
  });
});

test("sizes: 4 bits a weight, a scale for 64 of them", () => {
  scope(() => {
    const x = tensor(new Float32Array(64 * 256).fill(1), { shape: [64, 256] });
    const bytes = (scheme: quant.Scheme) => quant.bytesOf(quant.quantize(x, scheme));
    expect(bytes(quant.log4)).toBe(64 * 128 + 4 * 256);
    expect(bytes(quant.int4)).toBe(64 * 128 + 5 * 256);
    expect(bytes(quant.nf4)).toBe(64 * 128 + 256 + 8);
    expect(bytes(quant.int8)).toBe(64 * 256 + 4 * 64);
  });
});

test("misuse is named", () => {
  scope(() => {
    const x = tensor([1, 2]);
    expect(() => quant.quantize(x, "nf5" as "nf4")).toThrow(
      'quantize: the scheme must be one of "log4", "int8", "nf4", "int4", got "nf5"',
    );
    expect(() => quant.quantize(x, "nf4", { blockSize: 2.5 })).toThrow(
      "quantize: blockSize must be a whole number from 1, got 2.5",
    );
    expect(() => quant.quantize(x, "nf4", { scale: 1 })).toThrow(
      "quantize: a scale must be given for log4 only, got 1 for nf4",
    );
    expect(() => quant.quantize(x, "log4", { scale: 0 })).toThrow("quantize: scale must be above 0 and finite, got 0");
    expect(() => quant.quantize(tensor([1, 2], { dtype: "int32" }), "log4")).toThrow(
      'quantize: the tensor must be "float32", got "int32"',
    );
  });
});
