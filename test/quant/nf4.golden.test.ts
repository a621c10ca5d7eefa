import { expect, test } from "vitest";
import { quant, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/nf4.json" with { type: "json" };
import { tensorsOf } from "../support/golden.js";

const bytes = (t: Tensor | null) => [...(t as Tensor).data<Uint8Array<ArrayBuffer>>()];

test("a weight gets the codes, scales and values of bitsandbytes, bit by bit", async () => {
  const { x, codes, scales, nested, values } = await tensorsOf(golden.weight);
  scope(() => {
    const q = quant.quantize(x, quant.nf4);
    expect(bytes(q.codes)).toEqual(bytes(codes));
    expect(bytes(q.scales)).toEqual(bytes(scales));
    expect(q.extra?.data()).toEqual(nested.data());
    expect(quant.dequantize(q).data()).toEqual(values.data());
  });
  for (const t of [x, codes, scales, nested, values]) t.dispose();
});

test("so do more blocks than share a nested scale", async () => {
  const { codes, scales, nested } = await tensorsOf(golden.wide);
  let state = 1;
  const x = Float32Array.from({ length: 64 * 300 }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) / 2 ** 24) * (1 + (Math.floor(i / 64) % 7)) - 0.25;
  });
  scope(() => {
    const q = quant.quantize(tensor(x), quant.nf4);
    expect(bytes(q.codes)).toEqual(bytes(codes));
    expect(bytes(q.scales)).toEqual(bytes(scales));
    expect(q.extra?.data()).toEqual(nested.data());
  });
  for (const t of [codes, scales, nested]) t.dispose();
});

test("scales' codes stand for the values of bitsandbytes' dynamic map", async () => {
  const { map } = await tensorsOf(golden.map);
  scope(() => {
    // Block b has code 15, value 1, and scale b of a mean 0 and range 1.
    const codes = tensor(new Uint8Array(256).fill(0xf0));
    const scales = tensor(Uint8Array.from({ length: 256 }, (_, i) => i));
    const q = { scheme: quant.nf4, shape: [512], blockSize: 2, codes, scales, extra: tensor([0, 1]) };
    const values = quant.dequantize(q).data();
    expect(Float32Array.from(map.data(), (_, b) => values[2 * b])).toEqual(map.data());
  });
  map.dispose();
});
