import { describe, expect, test } from "vitest";
import {
  F,
  getRngState,
  manualSeed,
  memoryStats,
  nn,
  noGrad,
  scope,
  setRngState,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { random } from "../support/reference.js";

const next = random(5);
const values = (n: number) => Float32Array.from({ length: n }, next);

/** Gradients of the input and the parameters, through the network as it is and checkpointed, from the same random state. */
function compare(net: nn.Module & { forward(x: Tensor): Tensor }, inputWantsGradient: boolean): void {
  const before = getRngState();
  const data = values(12);
  const run = (forward: (x: Tensor) => Tensor) => {
    manualSeed(11);
    const x = tensor(data, { shape: [3, 4], requiresGrad: inputWantsGradient });
    const loss = F.sum(F.square(forward(x)));
    F.dropout(x); // the generator goes on between forward and backward
    const value = loss.item();
    loss.backward();
    const gradients = [x, ...net.parameters()].map((t) => t.grad?.toArray());
    net.zeroGrad();
    return { value, gradients, rng: getRngState() };
  };
  const plain = run((x) => net.forward(x));
  expect(run((x) => nn.utils.checkpoint((h: Tensor) => net.forward(h), x))).toEqual(plain);
  expect(plain.gradients.slice(1)).not.toContain(undefined);
  setRngState(before);
}

function network(): nn.Sequential {
  return new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Dropout(0.5), new nn.Linear(8, 2));
}

describe("checkpoint", () => {
  test("the same gradients and dropout masks, whether the input wants a gradient or only the parameters", () =>
    scope(() => {
      const net = network();
      for (const inputWantsGradient of [true, false]) compare(net, inputWantsGradient);
      net.dispose();
    }));

  test("keeps only inputs and output until backward", () =>
    scope(() => {
      const layers = Array.from({ length: 6 }, () => new nn.Tanh());
      const x = tensor(values(1000), { requiresGrad: true });
      const before = memoryStats().liveBytes;
      const y = nn.utils.checkpoint((h: Tensor) => layers.reduce((a, layer) => layer.forward(a), h), x);
      expect(memoryStats().liveBytes - before).toBeLessThan(2 * 4000);
      F.sum(y).backward();
      expect(x.grad?.shape).toEqual([1000]);
    }));

  test("several inputs, also numbers and integer tensors; one that is used twice; retainGraph", () =>
    scope(() => {
      const table = tensor([1, 2, 3, 4, 5, 6], { shape: [3, 2], requiresGrad: true });
      const scale = tensor([2, 3], { requiresGrad: true });
      const ids = tensor([2, 0], { dtype: "int32" });
      const fn = (w: Tensor, i: Tensor, s: Tensor, factor: number) =>
        F.mul(F.mul(F.embedding(i, w), F.mul(s, s)), factor);
      const y = F.sum(nn.utils.checkpoint(fn, table, ids, scale, 0.5));
      y.backward(undefined, { retainGraph: true });
      y.backward();
      expect(table.grad?.toArray()).toEqual([
        [4, 9],
        [0, 0],
        [4, 9],
      ]);
      expect(scale.grad?.toArray()).toEqual([24, 48]);
    }));

  test("in one another, and with nothing to differentiate", () =>
    scope(() => {
      const { checkpoint } = nn.utils;
      const x = tensor([1, 2], { requiresGrad: true });
      const inner = (h: Tensor) => checkpoint((v: Tensor) => F.square(v), h);
      F.sum(checkpoint((h: Tensor) => F.mul(inner(h), h), x)).backward();
      expect(x.grad?.toArray()).toEqual([3, 12]);
      expect(checkpoint((h: Tensor) => F.square(h), tensor([3])).requiresGrad).toBe(false);
      expect(noGrad(() => checkpoint((h: Tensor) => F.square(h), x)).requiresGrad).toBe(false);
      expect(checkpoint((h: Tensor) => h, x).toArray()).toEqual([1, 2]);
      expect(x.toArray()).toEqual([1, 2]);
    }));

  test("leaks nothing", () => {
    const before = memoryStats();
    scope(() => {
      const x = tensor(values(100), { requiresGrad: true });
      for (let step = 0; step < 3; step++) F.sum(nn.utils.checkpoint((h: Tensor) => F.exp(F.square(h)), x)).backward();
    });
    expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
  });
});

describe("clipping", () => {
  test("clipGradValue_ clamps every element of every gradient", () =>
    scope(() => {
      const [a, b, c] = [tensor([1, 1, 1], { requiresGrad: true }), tensor([1], { requiresGrad: true }), tensor([1])];
      F.add(F.sum(F.mul(a, tensor([-7, 0.25, 3]))), F.mul(F.sum(b), 0.75)).backward();
      nn.utils.clipGradValue_([a, b, c], 0.5);
      expect([a.grad?.toArray(), b.grad?.toArray()]).toEqual([[-0.5, 0.25, 0.5], [0.5]]);
      expect(() => nn.utils.clipGradValue_([a], -1)).toThrow("clipGradValue_: max must be 0 or more, got -1");
    }));
});
