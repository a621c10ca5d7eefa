import { describe, expect, test } from "vitest";
import { nn, scope, tensor } from "../../src/index.js";

describe("ModuleDict", () => {
  test("names its modules, in the state dict too", () =>
    scope(() => {
      const dict = new nn.ModuleDict<nn.Module>({ first: new nn.Linear(2, 1), act: new nn.ReLU() });
      dict.set("last", new nn.Linear(1, 1, { bias: false }));
      expect([...dict.keys()]).toEqual(["first", "act", "last"]);
      expect([...dict].map(([name]) => name)).toEqual(["first", "act", "last"]);
      expect(Object.keys(dict.stateDict())).toEqual(["first.weight", "first.bias", "last.weight"]);
      expect(dict.getSubmodule("act")).toBe(dict.get("act"));
      expect([dict.size, dict.has("act"), dict.has("relu")]).toEqual([3, true, false]);
      expect(dict.toString()).toContain("(first): Linear(in=2, out=1, bias=true)");
      const old = dict.get("last");
      dict.setSubmodule("last", new nn.Identity());
      expect([...dict.values()].at(-1)).toBeInstanceOf(nn.Identity);
      expect(dict.delete("last")).toBe(true);
      old.dispose();
      dict.dispose();
    }));

  test("unknown and impossible names are errors, and so is a call", () => {
    const dict = new nn.ModuleDict([["a", new nn.ReLU()]]);
    expect(() => dict.get("b")).toThrow("ModuleDict: the name must be one of a, got b");
    expect(() => dict.set("a.b", new nn.ReLU())).toThrow(/ModuleDict: .* got "a\.b"/);
    expect(() => dict.forward()).toThrow(/ModuleDict: forward/);
  });
});

describe("Conv1D", () => {
  test("multiplies by [in, out] and adds the bias, with gradients of both", () =>
    scope(() => {
      const layer = new nn.Conv1D(2, 3);
      layer.weight.set([1, 2, 3, 4, 5, 6]);
      layer.bias.set([10, 20, 30]);
      const x = tensor([[[1, -1]], [[2, 0.5]]], { requiresGrad: true });
      const y = layer.forward(x);
      expect(y.toArray()).toEqual([[[7, 17, 27]], [[14, 26.5, 39]]]);
      y.sum().backward();
      expect(layer.weight.grad?.toArray()).toEqual([
        [3, 3, 3],
        [-0.5, -0.5, -0.5],
      ]);
      expect(layer.bias.grad?.toArray()).toEqual([2, 2, 2]);
      expect(x.grad?.toArray()).toEqual([[[6, 15]], [[6, 15]]]);
      expect(layer.toString()).toBe("Conv1D(in=2, out=3)");
      layer.dispose();
    }));
});
