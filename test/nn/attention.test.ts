import { describe, expect, test } from "vitest";
import { nn, ones, randn, scope, tensor, zeros } from "../../src/index.js";
import golden from "../golden/layers.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { checkLayer } from "./golden.js";

describe("MultiheadAttention", () => {
  for (const item of golden.attention) {
    test(`equals PyTorch's: ${item.name}`, () =>
      checkLayer(
        item,
        () => new nn.MultiheadAttention(8, item.heads, item.constructor),
        (layer, { q, k = q, v = k, attn_mask, key_padding_mask }) => {
          const masks = { attnMask: attn_mask, keyPaddingMask: key_padding_mask };
          const { output, weights } = layer.forward(q, k, v, { ...item.call, ...masks });
          return { output, ...(weights && { weights }) };
        },
      ));
  }

  test("queries and keys are normalized as Chameleon's", () =>
    checkLayer(
      golden.qkNorm,
      () => new nn.MultiheadAttention(8, 2, { qkNorm: true }),
      (layer, { x }) => ({ output: layer.forward(x, x, x).output }),
    ));

  test("isCausal is the causal mask, with and without weights", () =>
    scope(() => {
      const layer = new nn.MultiheadAttention(4, 2);
      const x = randn([2, 3, 4]);
      const hidden = tensor([
        [false, true, true],
        [false, false, true],
        [false, false, false],
      ]);
      const expected = layer.forward(x, x, x, { attnMask: hidden }).output.data();
      expectClose(layer.forward(x, x, x, { isCausal: true }).output.data(), expected);
      const { output, weights } = layer.forward(x, x, x, { isCausal: true, needWeights: true });
      expectClose(output.data(), expected);
      expect(weights?.select(0, 0).select(0, 0).data()).toEqual(Float32Array.of(1, 0, 0));
      layer.dispose();
    }));

  test("dropout acts in training alone", () =>
    scope(() => {
      const layer = new nn.MultiheadAttention(4, 1, { dropout: 1 });
      const x = randn([1, 3, 4]);
      expect(layer.forward(x, x, x).output.data()).toEqual(new Float32Array(12));
      expect(layer.eval().forward(x, x, x).output.data()).not.toEqual(new Float32Array(12));
      layer.dispose();
    }));

  test("sizes, masks and options that do not fit are errors", () =>
    scope(() => {
      expect(() => new nn.MultiheadAttention(5, 2)).toThrow(/multiple of numHeads, got 5 and 2/);
      expect(() => new nn.MultiheadAttention(4, 2, { dropout: 2 })).toThrow(/dropout must be from 0 to 1, got 2/);
      // @ts-expect-error: misspelt
      expect(() => new nn.MultiheadAttention(4, 2, { batch_first: true })).toThrow(/got batch_first/);
      const layer = new nn.MultiheadAttention(4, 2);
      const x = zeros([2, 3, 4]);
      expect(() => layer.forward(x, zeros([1, 3, 4]), zeros([1, 3, 4]))).toThrow(/\[2, 3, 4\], \[1, 3, 4\]/);
      expect(() => layer.forward(x, x, x, { keyPaddingMask: ones([2, 2]) })).toThrow(/\[2, 3\], got \[2, 2\]/);
      expect(() => layer.forward(x, x, x, { attnMask: zeros([3, 3], { dtype: "int32" }) })).toThrow(/got "int32"/);
      layer.dispose();
    }));
});
