/** Every loss beside PyTorch's values and gradients. */
import { expect, test } from "vitest";
import { F, type Tensor } from "../../src/index.js";
import golden from "../golden/losses.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";
import { tensorsOf } from "../support/golden.js";

const optionNames = ["weight", "posWeight"];

for (const op of new Set(golden.map((item) => item.op))) {
  test(`${op}: PyTorch's values and gradients`, async () => {
    for (const { options, tensors } of golden.filter((item) => item.op === op)) await check(op, options, tensors);
  });
}

async function check(op: string, options: object, packed: string): Promise<void> {
  const tensors = await tensorsOf(packed);
  const label = `${op} ${JSON.stringify(options)}`;
  const inputs = ["x0", "x1", "x2"].flatMap((name) => tensors[name] ?? []);
  for (const [i, x] of inputs.entries()) x.requiresGrad_(`dx${i}` in tensors);
  const given = Object.fromEntries(optionNames.flatMap((name) => (tensors[name] ? [[name, tensors[name]]] : [])));
  const loss = F[op as keyof typeof F] as (...all: unknown[]) => Tensor;
  const y = loss(...inputs, { ...options, ...given });
  expect(y.shape, label).toEqual(tensors.y.shape);
  expectClose(y.data(), tensors.y.data(), undefined, label);
  y.backward(tensors.dy);
  inputs.forEach((x, i) => {
    const expected = tensors[`dx${i}`];
    expect(x.grad === null, label).toBe(expected === undefined);
    if (expected) expectClose(x.grad?.data() ?? [], expected.data(), undefined, `${label}, gradient ${i}`);
  });
  for (const tensor of [y, ...Object.values(tensors)]) tensor.dispose();
}
