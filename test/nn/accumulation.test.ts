/** Gradient accumulation by hand: micro-batches weighted by their counts give the gradient of the one large batch. */
import { describe, test } from "vitest";
import {
  F,
  getRngState,
  manualSeed,
  nn,
  randint,
  randn,
  scope,
  setRngState,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { expectClose } from "../support/checkOp.js";

const [features, classes] = [6, 5];
const ignored = -100;

/** The gradients of mean cross-entropy over the batch, from parts of the given sizes. */
function gradients(model: nn.Module & { forward(x: Tensor): Tensor }, x: Tensor, targets: Int32Array, sizes: number[]) {
  const total = targets.filter((t) => t !== ignored).length;
  let start = 0;
  for (const size of sizes) {
    const labels = targets.slice(start, start + size);
    const count = labels.filter((t) => t !== ignored).length;
    scope(() => {
      const logits = model.forward(F.narrow(x, 0, start, size));
      // All of a micro-batch may be ignored: its mean is NaN, and it has nothing to add.
      if (count > 0) F.mul(F.crossEntropy(logits, tensor(labels)), count / total).backward();
    });
    start += size;
  }
  const result = model.parameters().map((p) => (p.grad as Tensor).data());
  model.zeroGrad();
  return result;
}

function compare(sizes: number[], ignore: (i: number) => boolean): void {
  scope(() => {
    const state = getRngState();
    manualSeed(7);
    const model = new nn.Sequential(new nn.Linear(features, 8), new nn.Tanh(), new nn.Linear(8, classes));
    const batch = sizes.reduce((sum, size) => sum + size, 0);
    const x = randn([batch, features]);
    const labels = randint(0, classes, [batch]).data<Int32Array<ArrayBuffer>>();
    setRngState(state);
    const targets = labels.map((label, i) => (ignore(i) ? ignored : label));
    const whole = gradients(model, x, targets, [batch]);
    const parts = gradients(model, x, targets, sizes);
    // Sums in another order: a few ulp of the terms.
    for (const [i, g] of parts.entries())
      expectClose(g, whole[i], { absolute: 2e-7, relative: 2e-6 }, `parameter ${i}`);
    model.dispose();
  });
}

describe("gradient accumulation", () => {
  test("equal micro-batches", () => compare([8, 8, 8, 8], () => false));
  test("an incomplete last one", () => compare([8, 8, 8, 3], () => false));
  test("ignored targets, spread unevenly", () => compare([5, 5, 5, 2], (i) => i % 3 === 0 || (i > 4 && i < 9)));
  test("a micro-batch whose targets are all ignored", () => compare([4, 4, 4], (i) => i >= 4 && i < 8));
});
