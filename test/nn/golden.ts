/** Layers as PyTorch wrote them to layers.json: state dict, inputs, outputs and gradients. */
import { expect } from "vitest";
import { F, memoryStats, type nn, type StateDict, scope, type Tensor } from "../../src/index.js";
import { expectClose, type Tolerance } from "../support/checkOp.js";
import { tensorsOf } from "../support/golden.js";

export interface LayerCase {
  name: string;
  /** safetensors in base64; keys are group/name */
  tensors: string;
}

export type Inputs = Readonly<Record<string, Tensor>>;

/** Sums of up to a hundred products, in another order than PyTorch's, through several parts of a layer. */
const tolerance: Tolerance = { absolute: 5e-6, relative: 1e-5 };

/** The layer with PyTorch's weights gives PyTorch's outputs and gradients; nothing stays behind. */
export async function checkLayer<M extends nn.Module>(
  golden: LayerCase,
  make: () => M,
  run: (module: M, inputs: Inputs) => Readonly<Record<string, Tensor>>,
): Promise<void> {
  const before = memoryStats();
  const tensors = await tensorsOf(golden.tensors);
  const group = (name: string): StateDict =>
    Object.fromEntries(
      Object.entries(tensors).flatMap(([key, t]) =>
        key.startsWith(`${name}/`) ? [[key.slice(name.length + 1), t]] : [],
      ),
    );
  const [inputs, expected, seeds, gradients] = ["inputs", "outputs", "seeds", "gradients"].map(group);
  const module = make().eval();
  module.loadStateDict(group("state"));
  scope(() => {
    for (const [name, x] of Object.entries(inputs)) x.requiresGrad_(`d.${name}` in gradients);
    const outputs = run(module, inputs);
    expect(Object.keys(outputs).sort()).toEqual(Object.keys(expected).sort());
    const terms = Object.entries(outputs).map(([name, y]) => {
      expect(y.shape, name).toEqual(expected[name].shape);
      expectClose(y.data(), expected[name].data(), tolerance, `${golden.name}: ${name}`);
      return F.sum(F.mul(y, seeds[name]));
    });
    terms.reduce((sum, term) => F.add(sum, term)).backward();
  });
  const got = new Map<string, Tensor | null>([
    ...Object.entries(inputs).map(([name, x]) => [`d.${name}`, x.grad] as const),
    ...[...module.namedParameters()].map(([name, p]) => [`grad.${name}`, p.grad] as const),
  ]);
  for (const [name, g] of Object.entries(gradients)) {
    expectClose(got.get(name)?.data() ?? [], g.data(), tolerance, `${golden.name}: ${name}`);
  }
  module.dispose();
  for (const t of Object.values(tensors)) t.dispose();
  expect(memoryStats()).toMatchObject({ liveBytes: before.liveBytes, liveTensors: before.liveTensors });
}
