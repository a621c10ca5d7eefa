import { describe, expect, test } from "vitest";
import { F, nn, randn, scope, zeros } from "../../src/index.js";
import golden from "../golden/layers.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { checkLayer } from "./golden.js";

describe("recurrent layers", () => {
  for (const item of golden.recurrent) {
    const [inputs, hidden] = item.sizes;
    test(`equal PyTorch's: ${item.name}`, () =>
      item.kind === "LSTM"
        ? checkLayer(
            item,
            () => new nn.LSTM(inputs, hidden, { batchFirst: true, ...item.constructor }),
            (layer, { x, h, c }) => {
              const { output, state } = layer.forward(x, h && [h, c]);
              return { output, hn: state[0], cn: state[1] };
            },
          )
        : checkLayer(
            item,
            () => new nn.GRU(inputs, hidden, { batchFirst: true, ...item.constructor }),
            (layer, { x, h }) => {
              const { output, state } = layer.forward(x, h);
              return { output, hn: state };
            },
          ));
  }

  test("a sequence in two parts, with the state handed on, gives what the whole gives", () =>
    scope(() => {
      const x = randn([5, 2, 3]);
      const [first, second] = F.split(x, [2, 3]);
      const lstm = new nn.LSTM(3, 4, { numLayers: 2 });
      const gru = new nn.GRU(3, 4);
      const parts = [lstm.forward(second, lstm.forward(first).state), gru.forward(second, gru.forward(first).state)];
      const wholes = [lstm.forward(x), gru.forward(x)];
      for (const [i, { output }] of wholes.entries()) {
        expectClose(parts[i].output.data(), F.narrow(output, 0, 2, 3).data());
      }
      lstm.dispose();
      gru.dispose();
    }));

  test("parameters have PyTorch's names and bounds", () => {
    const layer = new nn.GRU(2, 4, { numLayers: 2, bidirectional: true });
    expect([...layer.namedParameters()].map(([name, { shape }]) => `${name} ${shape}`)).toEqual([
      "weight_ih_l0 12,2",
      "weight_hh_l0 12,4",
      "bias_ih_l0 12",
      "bias_hh_l0 12",
      "weight_ih_l0_reverse 12,2",
      "weight_hh_l0_reverse 12,4",
      "bias_ih_l0_reverse 12",
      "bias_hh_l0_reverse 12",
      "weight_ih_l1 12,8",
      "weight_hh_l1 12,4",
      "bias_ih_l1 12",
      "bias_hh_l1 12",
      "weight_ih_l1_reverse 12,8",
      "weight_hh_l1_reverse 12,4",
      "bias_ih_l1_reverse 12",
      "bias_hh_l1_reverse 12",
    ]);
    expect(layer.parameters().every((p) => p.data().every((v) => Math.abs(v) <= 0.5))).toBe(true);
    expect(layer.weight_hh_l1_reverse.shape).toEqual([12, 4]);
    layer.dispose();
  });

  test("dropout acts between layers, in training alone", () =>
    scope(() => {
      const layer = new nn.LSTM(2, 3, { numLayers: 2, dropout: 1, bias: false });
      const x = randn([4, 1, 2]);
      expect(layer.forward(x).output.data()).toEqual(new Float32Array(12));
      expect(layer.eval().forward(x).output.data()).not.toEqual(new Float32Array(12));
      layer.dispose();
    }));

  test("sizes, options, inputs and states that do not fit are errors", () =>
    scope(() => {
      expect(() => new nn.LSTM(0, 2)).toThrow(/LSTM: inputSize must be a whole number from 1, got 0/);
      expect(() => new nn.GRU(2, 2, { dropout: -1 })).toThrow(/GRU: dropout must be from 0 to 1, got -1/);
      // @ts-expect-error: misspelt
      expect(() => new nn.GRU(2, 2, { num_layers: 2 })).toThrow(/GRU: options must be .* got num_layers/);
      const layer = new nn.GRU(2, 3, { batchFirst: true });
      expect(() => layer.forward(zeros([1, 4, 3]))).toThrow(/GRU: the input must be \[B, T, 2\], got \[1, 4, 3\]/);
      expect(() => layer.forward(zeros([4, 1, 2]), zeros([1, 1, 3]))).toThrow(/\[1, 4, 3\], got \[1, 1, 3\]/);
      layer.dispose();
    }));
});
