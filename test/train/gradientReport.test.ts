import { expect, test } from "vitest";
import { F, manualSeed, memoryStats, nn, ones, randn, scope, tensor, train } from "../../src/index.js";

const WIDTH = 32;

/** `depth` square layers, each followed by an activation, and one number a row. */
function deep(depth: number, activation: () => nn.Layer, prepare: (layer: nn.Linear) => void = () => {}) {
  const layers = Array.from({ length: depth }, () => new nn.Linear(WIDTH, WIDTH));
  for (const layer of layers) prepare(layer);
  return new nn.Sequential(...layers.flatMap((layer) => [layer, activation()]), new nn.Linear(WIDTH, 1));
}

function reportOn(model: nn.Sequential) {
  return scope(() => {
    const x = randn([64, WIDTH]);
    const target = randn([64, 1]);
    return train.gradientReport(model, () => F.mseLoss(model.forward(x), target));
  });
}

test("the gradient vanishes on its way through 20 layers of tanh", () => {
  manualSeed(1);
  const model = deep(20, () => new nn.Tanh());
  const { layers } = reportOn(model);
  expect(layers.length).toBe(21);
  expect(layers[0]).toMatchObject({ name: "0", vanishing: true, exploding: false });
  expect(layers[20]).toMatchObject({ name: "40", vanishing: false });
  expect(layers.slice(0, 5).every(({ vanishing }) => vanishing)).toBe(true);
  expect(layers[0].activationGradientNorm).toBeLessThan(1e-3 * layers[20].activationGradientNorm);
  model.dispose();
});

test("it does not through 20 layers of ReLU with Kaiming's initialization", () => {
  manualSeed(1);
  const kaiming = (layer: nn.Linear) => {
    nn.init.kaimingNormal_(layer.weight, { nonlinearity: "relu" });
    nn.init.zeros_(layer.bias!);
  };
  const model = deep(20, () => new nn.ReLU(), kaiming);
  const { layers } = reportOn(model);
  expect(layers.filter(({ vanishing, exploding }) => vanishing || exploding)).toEqual([]);
  model.dispose();
});

test("weights that are too large make it explode", () => {
  manualSeed(1);
  const model = deep(
    10,
    () => new nn.ReLU(),
    (layer) => nn.init.normal_(layer.weight),
  );
  const { layers } = reportOn(model);
  expect(layers[0].exploding).toBe(true);
  expect(layers[10].exploding).toBe(false);
  model.dispose();
});

test("tells the norms, and leaves gradients, hooks and memory as they were", () => {
  const model = new nn.Sequential(new nn.Linear(2, 1, { bias: false }), new nn.Linear(1, 1, { bias: false }));
  const [first, second] = model.parameters();
  first.set([3, 4]);
  second.set([2]);
  scope(() => F.sum(model.forward(ones([1, 2]))).backward());
  const grads = [first.grad, second.grad];
  const values = grads.map((g) => g!.toArray());
  const before = memoryStats().liveTensors;
  const x = tensor([[1, 2]]);
  const { loss, layers } = train.gradientReport(model, () => F.sum(model.forward(x)));
  expect(loss).toBe(22);
  expect(layers).toEqual([
    {
      name: "0",
      gradientNorm: expect.closeTo(2 * Math.sqrt(5), 5),
      activationNorm: 11,
      activationGradientNorm: 2,
      vanishing: false,
      exploding: false,
    },
    { name: "1", gradientNorm: 11, activationNorm: 22, activationGradientNorm: 1, vanishing: false, exploding: false },
  ]);
  expect([first.grad, second.grad]).toEqual(grads);
  expect(grads.map((g) => g!.toArray())).toEqual(values);
  expect(() => train.gradientReport(model, () => tensor([1, 2]))).toThrow("backward");
  expect(first.grad).toBe(grads[0]);
  x.dispose();
  expect(memoryStats().liveTensors).toBe(before);
  model.dispose();
});

test("a layer that was not called has no gradient, and no flag", () => {
  const idle = new nn.Linear(2, 2);
  const model = new (class extends nn.Module {
    used = new nn.Linear(2, 1);
    idle = idle;
    override forward(x: Parameters<nn.Linear["forward"]>[0]) {
      return this.used.forward(x);
    }
  })();
  const { layers } = scope(() => {
    const x = ones([1, 2]);
    return train.gradientReport(model, () => F.sum(model.forward(x)));
  });
  expect(layers[1]).toEqual({
    name: "idle",
    gradientNorm: 0,
    activationNorm: 0,
    activationGradientNorm: 0,
    vanishing: false,
    exploding: false,
  });
  model.dispose();
});
