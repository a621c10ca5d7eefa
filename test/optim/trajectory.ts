/** Runs an optimizer beside its float64 reference, or beside PyTorch's values, on gradients given in advance. */
import { expect } from "vitest";
import { optim, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/optim.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { random } from "../support/reference.js";
import type { Options, Step } from "./reference.js";

type Name = "SGD" | "Adam" | "AdamW";

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
  expect(cases.length).toBeGreaterThan(3);
  for (const { options, after } of cases) {
    scope(() => {
      const theta = tensor(golden.start, { requiresGrad: true });
      const optimizer = make(name, [theta], options as unknown as Options);
      golden.gradients.forEach((gradient, i) => {
        stepWith(optimizer, theta, gradient);
        const expected = (after as Record<string, number[]>)[i + 1];
        if (expected)
          expectClose(theta.data(), expected, undefined, `${name} ${JSON.stringify(options)}, step ${i + 1}`);
      });
      optimizer.dispose();
    });
  }
}
