import { describe, expect, test } from "vitest";
import { nn, randn, scope, type Tensor } from "../../src/index.js";
import golden from "../golden/layers.json" with { type: "json" };
import { checkLayer } from "./golden.js";

interface GoldenOptions {
  norm_first?: boolean;
  bias?: boolean;
  activation?: string;
}

function options({ norm_first: normFirst, bias, activation }: GoldenOptions): nn.TransformerLayerOptions {
  return { dimFeedforward: 6, normFirst, bias, activation: activation as "gelu" | undefined };
}

describe("TransformerEncoderLayer", () => {
  for (const item of golden.encoder) {
    test(`equals PyTorch's: ${item.name}`, () =>
      checkLayer(
        item,
        () => new nn.TransformerEncoderLayer(6, 2, options(item.constructor)),
        (layer, { src, src_mask: srcMask, src_key_padding_mask: srcKeyPaddingMask }) => ({
          output: layer.forward(src, { srcMask, srcKeyPaddingMask }),
        }),
      ));
  }

  test("an activation may be any function; unknown names and options are errors", () =>
    scope(() => {
      let calls = 0;
      const activation = (x: Tensor) => {
        calls++;
        return x.tanh();
      };
      const layer = new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 3, activation });
      expect(layer.forward(randn([1, 2, 4]), { isCausal: true }).shape).toEqual([1, 2, 4]);
      expect(calls).toBe(1);
      layer.dispose();
      // @ts-expect-error: no such activation
      expect(() => new nn.TransformerEncoderLayer(4, 2, { activation: "swish" })).toThrow(/activation .* got "swish"/);
      // @ts-expect-error: misspelt
      expect(() => new nn.TransformerEncoderLayer(4, 2, { dimFeedForward: 3 })).toThrow(/got dimFeedForward/);
    }));
});

describe("TransformerDecoderLayer", () => {
  for (const item of golden.decoder) {
    test(`equals PyTorch's: ${item.name}`, () =>
      checkLayer(
        item,
        () => new nn.TransformerDecoderLayer(4, 2, options(item.constructor)),
        (layer, { tgt, memory, tgt_mask: tgtMask, memory_mask: memoryMask, memory_key_padding_mask }) => ({
          output: layer.forward(tgt, memory, { tgtMask, memoryMask, memoryKeyPaddingMask: memory_key_padding_mask }),
        }),
      ));
  }
});
