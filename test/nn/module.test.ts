import { describe, expect, test } from "vitest";
import { F, memoryStats, nn, ones, StateDictError, scope, type Tensor, tensor, zeros } from "../../src/index.js";

class Scale extends nn.Module {
  readonly weight: nn.Parameter;
  readonly running_mean: nn.Buffer = new nn.Buffer(zeros([2]));
  readonly table: nn.Buffer = new nn.Buffer(zeros([2]), { persistent: false });

  constructor(value: number) {
    super();
    this.weight = new nn.Parameter(tensor([value, value]));
  }

  override forward(x: Tensor): Tensor {
    return F.relu(x);
  }
}

class Net extends nn.Module {
  readonly first = new Scale(1);
  readonly blocks = new nn.ModuleList([new Scale(2), new Scale(3)]);
  readonly tied: nn.Parameter = this.first.weight;

  override forward(x: Tensor): Tensor {
    return this.first.forward(x);
  }
}

describe("Module", () => {
  test("parameters are named by their path, each once; the state dict lists tied ones and persistent buffers", () => {
    scope(() => {
      const net = new Net();
      expect([...net.namedParameters()].map(([path]) => path)).toEqual(["tied", "blocks.0.weight", "blocks.1.weight"]);
      expect(Object.keys(net.stateDict())).toEqual([
        "tied",
        "first.weight",
        "first.running_mean",
        "blocks.0.weight",
        "blocks.0.running_mean",
        "blocks.1.weight",
        "blocks.1.running_mean",
      ]);
      expect(net.numParameters()).toBe(6);
      net.dispose();
    });
  });

  test("parameters outlive the scope they were made in, until dispose", () => {
    const before = memoryStats();
    const net = scope(() => new Net());
    expect([...net.blocks.at(1).weight.data()]).toEqual([3, 3]);
    net.dispose();
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
  });

  test("loadStateDict copies into the storage that is there", () => {
    scope(() => {
      const net = new Net();
      const { weight } = net.blocks.at(0);
      const state = { ...net.stateDict(), "blocks.0.weight": tensor([7, 8]) };
      net.loadStateDict(state);
      expect([...weight.data()]).toEqual([7, 8]);
      net.dispose();
    });
  });

  test("loadStateDict takes no other type for a parameter", () => {
    scope(() => {
      const net = new Net();
      const state = { ...net.stateDict(), "blocks.0.weight": tensor(new Int32Array([1, 2])) };
      expect(() => net.loadStateDict(state)).toThrow(/blocks\.0\.weight must have dtype float32, has int32/);
      expect(() => new nn.Parameter(tensor(new Int32Array([1])))).toThrow(/float32, got int32/);
      net.dispose();
    });
  });

  test("loadStateDict reports every wrong key at once and copies nothing", () => {
    scope(() => {
      const net = new Net();
      const { "first.weight": _, ...rest } = net.stateDict();
      const state = { ...rest, extra: ones([1]), tied: ones([2]), "blocks.0.weight": ones([3]) };
      expect(() => net.loadStateDict(state)).toThrow(StateDictError);
      expect(() => net.loadStateDict(state)).toThrow(
        /missing keys: first\.weight[\s\S]*unexpected keys: extra[\s\S]*blocks\.0\.weight.*\[2\].*\[3\]/,
      );
      expect([...net.tied.data()]).toEqual([1, 1]);
      net.dispose();
    });
  });

  test("misspelt options are errors at run time too", () =>
    scope(() => {
      const net = new nn.Linear(1, 1);
      // @ts-expect-error: misspelt
      expect(() => new nn.Linear(1, 1, { Bias: false })).toThrow("Linear: options must be bias, weight, got Bias");
      // @ts-expect-error: misspelt
      expect(() => new nn.Embedding(1, 1, { padding: 0 })).toThrow(/Embedding: .* got padding/);
      // @ts-expect-error: misspelt
      expect(() => net.loadStateDict(net.stateDict(), { Strict: false })).toThrow(/loadStateDict: .* got Strict/);
      // @ts-expect-error: misspelt
      expect(() => net.zeroGrad({ setToNull: true })).toThrow(/zeroGrad: .* got setToNull/);
      // @ts-expect-error: misspelt
      expect(() => net.numParameters({ trainable: true })).toThrow(/numParameters: .* got trainable/);
      net.dispose();
    }));

  test("train and eval reach every module; freezing reaches every parameter", () => {
    scope(() => {
      const net = new Net().eval();
      expect(net.modules().map((m) => m.training)).toEqual(Array(5).fill(false));
      net.requiresGrad_(false);
      expect(net.numParameters({ trainableOnly: true })).toBe(0);
      net.dispose();
    });
  });

  test("submodules are found and replaced by path", () => {
    scope(() => {
      const net = new Net();
      const replacement = new Scale(9);
      const old = net.getSubmodule("blocks.1");
      net.setSubmodule("blocks.1", replacement);
      expect(net.blocks.at(1)).toBe(replacement);
      expect(() => net.getSubmodule("blocks.5")).toThrow(/blocks\.5/);
      expect(() => net.setSubmodule("nowhere", replacement)).toThrow(/nowhere/);
      old.dispose();
      net.dispose();
    });
  });

  test("forward hooks see and may replace outputs, until removed", () => {
    scope(() => {
      const net = new Net();
      const seen: unknown[] = [];
      const remove = net.first.registerForwardHook((module, [x], y) => {
        seen.push(module, x, y);
        return tensor([42]);
      });
      const x = tensor([1]);
      expect(net.forward(x).item()).toBe(42);
      expect(seen.slice(0, 2)).toEqual([net.first, x]);
      remove();
      expect(net.forward(x).item()).toBe(1);
      expect(Object.keys(net.stateDict())).toHaveLength(7);
      net.dispose();
    });
  });

  test("Sequential chains layers and keeps only what is needed", () => {
    scope(() => {
      const net = new nn.Sequential(new Scale(1), new Scale(1), new Scale(1));
      const before = memoryStats().liveTensors;
      const y = net.forward(tensor([-1, 2]));
      expect([...y.data()]).toEqual([0, 2]);
      expect(memoryStats().liveTensors).toBe(before + 2);
      expect(net.toString()).toContain("(2): Scale()");
      net.dispose();
    });
  });
});
