import { describe, expect, test } from "vitest";
import { F, memoryStats, nn, scope, type Tensor, tensor } from "../../src/index.js";

const int32 = { dtype: "int32" } as const;

describe("losses as modules", () => {
  test("each computes what its function does with its options", () =>
    scope(() => {
      const a = tensor(
        [
          [0.2, 0.7],
          [0.4, 0.9],
          [0.1, 0.6],
        ].flat(),
        { shape: [3, 2] },
      );
      const b = tensor([0.9, 0.3, 0.5, 0.5, 0.8, 0.1], { shape: [3, 2] });
      const c = tensor([0.1, 0.1, 0.9, 0.4, 0.2, 0.7], { shape: [3, 2] });
      const signs = tensor([1, -1, 1]);
      const pairs = tensor([1, -1, 1, -1, 1, 1], { shape: [3, 2] });
      const classes = tensor([0, 1, 1], int32);
      const weight = tensor([2, 0.5]);
      const none = { reduction: "none" } as const;
      const expected: [Tensor, Tensor][] = [
        [
          new nn.CrossEntropyLoss({ weight, labelSmoothing: 0.1 }).forward(a, classes),
          F.crossEntropy(a, classes, { weight, labelSmoothing: 0.1 }),
        ],
        [new nn.NLLLoss({ weight, ...none }).forward(a, classes), F.nllLoss(a, classes, { weight, ...none })],
        [new nn.MSELoss(none).forward(a, b), F.mseLoss(a, b, none)],
        [new nn.L1Loss().forward(a, b), F.l1Loss(a, b)],
        [new nn.SmoothL1Loss({ beta: 0.1 }).forward(a, b), F.smoothL1Loss(a, b, { beta: 0.1 })],
        [new nn.HuberLoss({ delta: 0.1 }).forward(a, b), F.huberLoss(a, b, { delta: 0.1 })],
        [new nn.BCELoss().forward(a, b), F.binaryCrossEntropy(a, b)],
        [
          new nn.BCEWithLogitsLoss({ posWeight: weight }).forward(a, b),
          F.binaryCrossEntropyWithLogits(a, b, { posWeight: weight }),
        ],
        [new nn.KLDivLoss({ reduction: "batchmean" }).forward(a, b), F.klDiv(a, b, { reduction: "batchmean" })],
        [new nn.CosineEmbeddingLoss(none).forward(a, b, signs), F.cosineEmbeddingLoss(a, b, signs, none)],
        [new nn.TripletMarginLoss({ p: 1 }).forward(a, b, c), F.tripletMarginLoss(a, b, c, { p: 1 })],
        [new nn.HingeEmbeddingLoss({ margin: 2 }).forward(a, pairs), F.hingeEmbeddingLoss(a, pairs, { margin: 2 })],
      ];
      for (const [got, wanted] of expected) expect(got.toArray(), wanted.op).toEqual(wanted.toArray());
    }));

  test("weights are buffers: they outlive the scope, are in the state dict, and end with the module", () => {
    const before = memoryStats();
    const [loss, logits] = scope(() => [
      new nn.CrossEntropyLoss({ weight: tensor([1, 3]) }),
      new nn.BCEWithLogitsLoss({ posWeight: tensor([2]) }),
    ]);
    scope(() => {
      expect(loss.forward(tensor([[0, 0]]), tensor([1], int32)).item()).toBeCloseTo(Math.log(2), 6);
      expect([Object.keys(loss.stateDict()), Object.keys(logits.stateDict())]).toEqual([["weight"], ["pos_weight"]]);
    });
    loss.dispose();
    logits.dispose();
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
  });
});
