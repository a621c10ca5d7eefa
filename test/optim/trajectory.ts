/** Runs an optimizer beside its float64 reference, or beside PyTorch's values, on gradients given in advance. */
import { expect, test } from "vitest";
import { optim, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/optim.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { random } from "../support/reference.js";
import type { Options, Step } from "./reference.js";

type Name = "SGD" | "Adagrad" | "RMSprop" | "Adadelta" | "Adam" | "AdamW" | "NAdam" | "Lion";

const STEPS = 15;

export function make(name: Name, params: Tensor[], options: Options): optim.Optimizer {
  return new optim[name](params, options) as optim.Optimizer;
}

/** One step with the given gradient. */
export function stepWith(optimizer: optim.Optimizer, theta: Tensor, gradient: ArrayLike<number>): void {
  scope(() => {
    theta.grad = tensor(Float32Array.from(gradient), { shape: theta.shape });
    optimizer.step();
    optimizer.zeroGrad();
  });
}

/** `reference` makes the step of one element. */
export function checkTrajectory(name: Name, options: Options, reference: (options: Options) => Step): void {
  for (const n of [1, 3, 4, 5, 7, 16, 17]) {
    scope(() => {
      const next = random(100 + n);
      const data = Float32Array.from({ length: n }, next);
      const theta = tensor(data, { requiresGrad: true });
      const optimizer = make(name, [theta], options);
      const expected = [...data];
      const steps = expected.map(() => reference(options));
      for (let t = 0; t < STEPS; t++) {
        const gradient = Float32Array.from({ length: n }, next);
        stepWith(optimizer, theta, gradient);
        for (let i = 0; i < n; i++) expected[i] = steps[i](expected[i], gradient[i]);
        expectClose(
          theta.data(),
          expected,
          undefined,
          `${name} ${JSON.stringify(options)}, ${n} elements, step ${t + 1}`,
        );
      }
      optimizer.dispose();
    });
  }
}

/** The cases of test/golden/optim.py for one optimizer. */
export function checkGolden(name: Name): void {
  const cases = golden.cases.filter(({ optimizer }) => optimizer === name);
  expect(cases.length).toBeGreaterThan(2);
  for (const { options, after } of cases) {
    scope(() => {
      const theta = tensor(golden.start, { requiresGrad: true });
      const optimizer = make(name, [theta], options as unknown as Options);
      golden.gradients.forEach((gradient, i) => {
        stepWith(optimizer, theta, gradient);
        expectClose(theta.data(), after[i], undefined, `${name} ${JSON.stringify(options)}, step ${i + 1}`);
      });
      optimizer.dispose();
    });
  }
}

/** The tests that every optimizer has: the formulas over a grid of options, PyTorch's values, and going on from a state. */
export function checkOptimizer(name: Name, grid: readonly Options[], reference: (options: Options) => Step): void {
  for (const options of grid) {
    test(`follows the float64 formulas: ${JSON.stringify(options)}`, () => checkTrajectory(name, options, reference));
  }
  test("PyTorch's values", () => checkGolden(name));
  test("goes on bit for bit from a state dict", () => {
    for (const options of grid) checkResume(name, options);
  });
}

/** Six steps in one go against three, a state dict through JSON, and three more. */
function checkResume(name: Name, options: Options): void {
  scope(() => {
    const next = random(7);
    const gradients = Array.from({ length: 6 }, () => Float32Array.from({ length: 5 }, next));
    const theta = tensor([1, -2, 3, -4, 0.5], { requiresGrad: true });
    const first = make(name, [theta], options);
    for (const gradient of gradients.slice(0, 3)) stepWith(first, theta, gradient);
    const copy = tensor(theta.data(), { requiresGrad: true });
    const second = make(name, [copy], { lr: 9 });
    const { tensors, ...rest } = first.stateDict();
    second.loadStateDict({ tensors, ...JSON.parse(JSON.stringify(rest)) });
    for (const gradient of gradients.slice(3)) {
      stepWith(first, theta, gradient);
      stepWith(second, copy, gradient);
      expect(copy.toArray(), JSON.stringify(options)).toEqual(theta.toArray());
    }
    first.dispose();
    second.dispose();
  });
}
