/**
 * Quantized linear layers beside the float32 one with the same (dequantized) weight: products of many rows, forward and
 * input gradient; one row, where memory is the limit; and how fast codes become values. Every result is compared with
 * float32's before it is timed.
 */
import { relaxedSimd } from "wasm-feature-detect";
import { quant, randn, scope } from "../src/index.js";
import { shutdown } from "../src/runtime.js";
import type { Tensor } from "../src/tensor.js";
import { kernels, type SimdOption } from "../src/wasm/kernels.js";
import { nullPtr, workspace } from "../src/wasm/memory.js";
import { interleave, median, start, table } from "./harness.js";

const schemes = [quant.int8, quant.log4, quant.nf4, quant.int4];
type Direction = "x Wᵀ" | "dy W";

/** y = x Wᵀ or dy W, with W [out, in] in float32 and in codes. */
function runs(rows: number, out: number, inner: number, direction: Direction) {
  const [k, n, row, col] = direction === "x Wᵀ" ? [inner, out, 1, inner] : [out, inner, inner, 1];
  const x = randn([rows, k]);
  const weight = randn([out, inner]);
  const multiply = (y: Tensor, w: Tensor) => {
    const work = workspace(kernels.matmulWorkspace(rows, k, n));
    kernels.matmul(y.ptr, x.ptr, w.ptr, nullPtr, work, 1, rows, k, n, 0, n, 0, k, 1, 0, row, col, 1, 0);
  };
  const y = randn([rows, n]);
  const quantized = schemes.map((scheme) => {
    const q = quant.quantize(weight, scheme);
    const { codes, scales, extra, blockSize } = q;
    const run = () => {
      const work = workspace(kernels.matmulCodesWorkspace(rows, k, n));
      const [c, s, e] = [codes.ptr, scales.ptr, extra?.ptr ?? nullPtr];
      kernels.matmulCodes(
        y.ptr,
        x.ptr,
        c,
        s,
        e,
        nullPtr,
        work,
        rows,
        k,
        n,
        n,
        k,
        1,
        row,
        col,
        blockSize,
        scheme.id,
        1,
        0,
      );
    };
    run();
    scope(() => {
      const expected = randn([rows, n]);
      multiply(expected, quant.dequantize(q));
      const [got, wanted] = [y.data(), expected.data()];
      const at = got.findIndex((value, i) => !Object.is(value, wanted[i]));
      if (at >= 0) throw new Error(`${scheme.name}: ${direction} must be ${wanted[at]} at ${at}, got ${got[at]}`);
    });
    return run;
  });
  return { float32: () => multiply(y, weight), quantized };
}

const shapes: [rows: number, out: number, inner: number, direction: Direction][] = [
  [128, 768, 768, "x Wᵀ"],
  [128, 768, 768, "dy W"],
  [128, 2048, 2048, "x Wᵀ"],
  [128, 2048, 2048, "dy W"],
  [512, 768, 768, "x Wᵀ"],
  [512, 768, 768, "dy W"],
  [512, 2048, 2048, "x Wᵀ"],
  [512, 2048, 2048, "dy W"],
  [1, 512, 512, "x Wᵀ"],
  [1, 2048, 2048, "x Wᵀ"],
  [1, 4096, 4096, "x Wᵀ"],
  [4, 2048, 2048, "x Wᵀ"],
];

function products(): void {
  const rows = shapes.map(([rows, out, inner, direction]) =>
    scope(() => {
      const { float32, quantized } = runs(rows, out, inner, direction);
      const timed = interleave(quantized, float32, 9);
      const ratios = timed.map(({ seconds, yardstick }) =>
        median(seconds.map((s, round) => s / yardstick[round])).toFixed(2),
      );
      const milliseconds = 1e3 * median(timed.flatMap(({ yardstick }) => yardstick));
      return [`${rows} rows, ${inner} → ${out}, ${direction}`, milliseconds.toFixed(2), ...ratios];
    }),
  );
  const head = ["time / float32's", "float32 ms", ...schemes.map(({ name }) => name)];
  console.log(`\n${table([head, ...rows])}`);
}

/** Values written, in GB/s, beside a copy of as many. */
function decoding(): void {
  scope(() => {
    const weight = randn([1024, 1024]);
    const y = randn([1024, 1024]);
    const all = schemes.map((scheme) => {
      const { codes, scales, extra, blockSize } = quant.quantize(weight, scheme);
      return () =>
        kernels.dequantize(y.ptr, codes.ptr, scales.ptr, extra?.ptr ?? nullPtr, 0, y.size, blockSize, scheme.id);
    });
    const timed = interleave(all, () => kernels.copyStrided(y.ptr, weight.ptr, 1, y.size, y.size, 1, y.size, 1));
    const rate = (seconds: number) => ((4 * y.size) / seconds / 1e9).toFixed(1);
    const cells = timed.map(({ seconds }) => rate(median(seconds)));
    const copy = rate(median(timed.flatMap(({ yardstick }) => yardstick)));
    console.log(
      `\n${table([
        ["GB/s of float32 written", "copy", ...schemes.map(({ name }) => name)],
        ["1 M values", copy, ...cells],
      ])}`,
    );
  });
}

async function report(simd: SimdOption): Promise<void> {
  await start(simd);
  products();
  decoding();
  await shutdown();
}

await report("baseline");
if (await relaxedSimd()) await report("relaxed");
