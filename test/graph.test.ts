import { describe, expect, test } from "vitest";
import { autograd, F, keep, memoryStats, noGrad, record, scope, type Tensor, tensor, zeros } from "../src/index.js";

/** y = 2x, recorded as a user's own operation. */
function double(x: Tensor): Tensor {
  const y = noGrad(() =>
    tensor(
      x.data().map((v) => 2 * v),
      { shape: x.shape },
    ),
  );
  return record("double", y, [x], [], [(dy) => double(dy)]);
}

describe("graph", () => {
  test("a scope's returned loss can still go backward, and nothing stays", () => {
    const x = tensor([[1, -2, 3]], { requiresGrad: true });
    const before = memoryStats();
    const loss = scope(() => F.reshape(F.narrow(double(F.relu(F.relu(x))), 1, 0, 1), []));
    loss.backward();
    expect(x.grad?.toArray()).toEqual([[2, 0, 0]]);
    loss.dispose();
    expect(memoryStats().liveTensors).toBe(before.liveTensors + 1);
    x.dispose();
    expect(memoryStats().liveBytes).toBe(before.liveBytes - 64);
  });

  test("dropping the root drops what the graph saved", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const before = memoryStats().liveBytes;
      const y = scope(() => F.relu(F.relu(F.relu(x))));
      expect(memoryStats().liveBytes).toBe(before + 3 * 64);
      y.dispose();
      expect(memoryStats().liveBytes).toBe(before);
    });
  });

  test("gradients add up over uses and over backward calls", () => {
    scope(() => {
      const x = tensor([3], { requiresGrad: true });
      F.cat([x, x, double(x)]).backward(tensor([1, 10, 100]));
      expect(x.grad?.item()).toBe(211);
      double(x).backward();
      expect(x.grad?.item()).toBe(213);
    });
  });

  test("stretches of a gradient add up to it: all parts, some, overlapping ones, and beside a whole", () => {
    const x = () => double(tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3], requiresGrad: true }));
    const gradientOf = (loss: (y: Tensor) => Tensor) =>
      scope(() => {
        const y = x();
        return autograd.grad(loss(y), [y])[0].toArray();
      });
    const [a, b, c] = [
      tensor([[10], [20]]),
      tensor([
        [1, 2],
        [3, 4],
      ]),
      tensor([5, 6, 7]),
    ];
    const first = (y: Tensor) => y.narrow(1, 0, 1).mul(a).sum();
    const rest = (y: Tensor) => y.narrow(1, 1, 2).mul(b).sum();
    const early = (y: Tensor) => y.narrow(1, 0, 2).mul(b).sum();
    const row = (y: Tensor) => y.select(0, 1).mul(c).sum();
    expect(gradientOf((y) => rest(y).add(first(y)))).toEqual([
      [10, 1, 2],
      [20, 3, 4],
    ]);
    expect(gradientOf(rest)).toEqual([
      [0, 1, 2],
      [0, 3, 4],
    ]);
    expect(gradientOf((y) => early(y).add(rest(y)))).toEqual([
      [1, 3, 2],
      [3, 7, 4],
    ]);
    expect(gradientOf((y) => first(y).add(row(y)))).toEqual([
      [10, 0, 0],
      [25, 6, 7],
    ]);
    expect(gradientOf((y) => first(y).add(y.sum()).add(rest(y)))).toEqual([
      [11, 2, 3],
      [21, 4, 5],
    ]);
    for (const t of [a, b, c]) t.dispose();
  });

  test("a stretch must lie within its input's shape", () => {
    scope(() => {
      const x = tensor([1, 2, 3], { requiresGrad: true });
      const beyond = record("beyond", x.narrow(0, 1, 2), [x], [], [(dy) => ({ values: dy, dim: 0, start: 2 })]);
      expect(() => beyond.sum().backward()).toThrow(/beyond: the gradient of input 0 must be a stretch of dim 0/);
    });
  });

  test("a second backward needs retainGraph", () => {
    scope(() => {
      const x = tensor([3], { requiresGrad: true });
      const y = double(F.relu(x));
      y.backward(undefined, { retainGraph: true });
      y.backward();
      expect(x.grad?.item()).toBe(4);
      expect(() => y.backward()).toThrow(/retainGraph/);
    });
  });

  test("an input that wants no gradient gets none, and its vjp does not run", () => {
    scope(() => {
      const x = tensor([1], { requiresGrad: true });
      const frozen = tensor([1]);
      const y = record(
        "pair",
        tensor([0]),
        [x, frozen],
        [],
        [
          (dy) => F.reshape(dy, [1]),
          () => {
            throw new Error("computed for nothing");
          },
        ],
      );
      y.backward();
      expect(x.grad?.item()).toBe(1);
      expect(frozen.grad).toBeNull();
    });
  });

  test("nothing is recorded without a tensor that requires a gradient, nor under noGrad", () => {
    scope(() => {
      const x = tensor([1], { requiresGrad: true });
      expect(F.relu(tensor([1])).requiresGrad).toBe(false);
      expect(noGrad(() => F.relu(x)).requiresGrad).toBe(false);
      expect(F.relu(x).requiresGrad).toBe(true);
      expect(F.relu(x).detach().requiresGrad).toBe(false);
      expect(() => noGrad(async () => 1)).toThrow(/promise/);
    });
  });

  test("changing what the graph saved makes backward throw, and the tensors stay usable", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const y = F.relu(x);
      y.set([5, 6]);
      expect(() => y.backward(tensor([1, 1]))).toThrow(/relu.*changed in place/);
      expect(y.toArray()).toEqual([5, 6]);
      expect(x.grad).toBeNull();
    });
  });

  test("a gradient never aliases another tensor", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const seed = tensor([1, 1]);
      F.reshape(x, [2]).backward(seed);
      seed.set([7, 7]);
      expect(x.grad?.toArray()).toEqual([1, 1]);
    });
  });

  test("autograd.grad gives gradients of leaves and of intermediate results, and leaves .grad alone", () => {
    scope(() => {
      const x = tensor([1, -1], { requiresGrad: true });
      const unrelated = tensor([1], { requiresGrad: true });
      const h = double(x);
      const [dx, dh, du] = autograd.grad(F.relu(h), [x, h, unrelated], tensor([1, 1]));
      expect([dx.toArray(), dh.toArray(), du.toArray()]).toEqual([[2, 0], [1, 0], [0]]);
      expect(x.grad).toBeNull();
    });
  });

  test("a gradient goes where its tensor goes", () => {
    const before = memoryStats().liveTensors;
    scope(() => {
      const x = scope(() => {
        const leaf = tensor([3], { requiresGrad: true });
        double(leaf).backward();
        return leaf;
      });
      expect(x.grad?.item()).toBe(2);
      const kept = scope(() => {
        const leaf = tensor([3], { requiresGrad: true });
        double(leaf).backward();
        return keep(leaf);
      });
      double(kept).backward();
      expect(kept.grad?.item()).toBe(4);
      kept.dispose();
    });
    expect(memoryStats().liveTensors).toBe(before);
  });

  test("autograd.grad gives an input that is listed twice its gradient twice", () => {
    scope(() => {
      const x = tensor([3], { requiresGrad: true });
      expect(autograd.grad(double(x), [x, x]).map((g) => g.item())).toEqual([2, 2]);
    });
  });

  test("autograd.grad: the output itself, a leaf as output, the same input twice, a view of an input", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const y = F.mul(x, 3);
      const seed = tensor([5, 7]);
      const [dy, dx, again] = autograd.grad(y, [y, x, x], seed);
      expect([dy.toArray(), dx.toArray(), again.toArray()]).toEqual([
        [5, 7],
        [15, 21],
        [15, 21],
      ]);
      seed.fill_(0);
      dx.fill_(0);
      expect([dy.toArray(), again.toArray()]).toEqual([
        [5, 7],
        [15, 21],
      ]);
      expect(autograd.grad(x, [x], tensor([1, 1]))[0].toArray()).toEqual([1, 1]);
      const part = F.narrow(x, 0, 1, 1);
      expect(autograd.grad(F.sum(F.square(part)), [x, part]).map((g) => g.toArray())).toEqual([[0, 4], [4]]);
      expect(x.grad).toBeNull();
    });
  });

  test("autograd.grad frees the graph unless told to retain it, and leaves no tensor behind", () => {
    const before = memoryStats();
    scope(() => {
      const x = tensor([2], { requiresGrad: true });
      const y = F.square(x);
      expect(autograd.grad(y, [x], undefined, { retainGraph: true })[0].item()).toBe(4);
      expect(autograd.grad(y, [x])[0].item()).toBe(4);
      expect(() => autograd.grad(y, [x])).toThrow("autograd.grad: the graph must still hold what it saved");
    });
    const { liveBytes, liveTensors } = memoryStats();
    expect([liveBytes, liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
  });

  test("higher-order gradients are an error that says so", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      const higher = /higher-order gradients are not supported/;
      const createGraph = { createGraph: true } as object;
      expect(() => autograd.grad(F.sum(x), [x], undefined, createGraph)).toThrow(higher);
      expect(() => F.sum(x).backward(undefined, createGraph)).toThrow(higher);
      expect(() => autograd.grad(F.mul(x, 2), [x], F.mul(x, 1))).toThrow(higher);
      const [dx] = autograd.grad(F.sum(F.square(x)), [x]);
      expect(dx.requiresGrad).toBe(false);
      expect(() => autograd.grad(F.sum(dx), [x])).toThrow(
        "autograd.grad: the output must depend on a tensor that requires a gradient",
      );
      expect(() => autograd.grad(F.sum(x), [tensor([1])])).toThrow(
        "autograd.grad: inputs must require gradients, got input 0 that does not",
      );
      expect(() => autograd.grad(F.mul(x, 2), [x])).toThrow("autograd.grad: the output must have one element");
      expect(() => F.sum(x).backward(undefined, { retain: true } as object)).toThrow(
        "backward: options must be retainGraph, got retain",
      );
    });
  });

  test("errors name what must hold", () => {
    scope(() => {
      const x = tensor([1, 2], { requiresGrad: true });
      expect(() => tensor([1]).backward()).toThrow(/requires a gradient/);
      expect(() => F.relu(x).backward()).toThrow(/one element.*\[2\]/);
      expect(() => F.relu(x).backward(zeros([3]))).toThrow(/\[2\], got \[3\]/);
      expect(() => F.relu(x).backward(tensor([1, 1], { dtype: "int32" }))).toThrow(/must be float32, got int32/);
      expect(() => F.relu(x).requiresGrad_(false)).toThrow(/leaf/);
      expect(() => tensor([1], { dtype: "int32", requiresGrad: true })).toThrow(/float32/);
    });
  });

  test("a deep graph is walked and released without recursion", () => {
    scope(() => {
      const x = tensor([1], { requiresGrad: true });
      const y = scope(() => {
        let y = x;
        for (let i = 0; i < 20_000; i++) y = F.relu(y);
        return y;
      });
      y.backward();
      expect(x.grad?.item()).toBe(1);
    });
  });
});
