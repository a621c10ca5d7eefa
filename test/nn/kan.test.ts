import { describe, expect, test } from "vitest";
import { F, getRngState, manualSeed, nn, optim, rand, scope, setRngState, tensor } from "../../src/index.js";
import golden from "../golden/layers.json" with { type: "json" };
import { checkLayer } from "./golden.js";

describe("KANLinear", () => {
  for (const item of golden.kan) {
    const [inputs, outputs] = item.sizes;
    test(`equals efficient-kan: ${item.name}`, () =>
      checkLayer(
        item,
        () => new nn.KANLinear(inputs, outputs, item.constructor),
        (layer, { x }) => ({ output: layer.forward(x) }),
      ));
  }

  test("learns a function of one variable", () => {
    const state = getRngState();
    manualSeed(1);
    const layer = new nn.KANLinear(1, 1, { gridSize: 8 });
    const optimizer = new optim.Adam(layer.parameters(), { lr: 0.05 });
    let loss = 1;
    for (let step = 0; step < 200; step++) {
      loss = scope(() => {
        const x = rand([64, 1]).mul(2).sub(1);
        const target = F.abs(x);
        const error = F.mseLoss(layer.forward(x), target);
        error.backward();
        optimizer.step();
        optimizer.zeroGrad();
        return error.item();
      });
    }
    expect(loss).toBeLessThan(1e-3);
    optimizer.dispose();
    layer.dispose();
    setRngState(state);
  });

  test("its grid lies in the state dict and over the range asked for", () => {
    const layer = new nn.KANLinear(2, 3, { gridSize: 2, splineOrder: 1, gridRange: [0, 4] });
    expect(layer.grid.toArray()).toEqual([
      [-2, 0, 2, 4, 6],
      [-2, 0, 2, 4, 6],
    ]);
    expect(Object.keys(layer.stateDict()).sort()).toEqual(["base_weight", "grid", "spline_scaler", "spline_weight"]);
    expect(layer.spline_weight.shape).toEqual([3, 2, 3]);
    expect(layer.toString()).toBe("KANLinear(in=2, out=3, gridSize=2, splineOrder=1)");
    scope(() => expect(layer.forward(tensor([1, 2])).shape).toEqual([3]));
    layer.dispose();
  });

  test("impossible grids and unknown options are errors", () => {
    expect(() => new nn.KANLinear(1, 1, { gridSize: 0 })).toThrow(/gridSize .* got 0/);
    expect(() => new nn.KANLinear(1, 1, { splineOrder: 1.5 })).toThrow(/splineOrder .* got 1\.5/);
    expect(() => new nn.KANLinear(1, 1, { gridRange: [1, 1] })).toThrow(/gridRange must ascend, got 1 to 1/);
    // @ts-expect-error: misspelt
    expect(() => new nn.KANLinear(1, 1, { grid_size: 5 })).toThrow(/got grid_size/);
  });
});
