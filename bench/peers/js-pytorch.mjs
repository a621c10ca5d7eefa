/** The rows in js-pytorch, whose tensors are nested arrays. */
import { readFileSync } from "node:fs";
import { torch } from "js-pytorch";
import { uniform } from "../data.ts";
import { BATCHES, batchesOf, initialValues } from "../models.ts";
import { firstLosses, serve } from "../serve.ts";

function nested(values, shape) {
  let level = Array.from(values);
  for (let d = shape.length - 1; d > 0; d--) {
    const rows = [];
    for (let i = 0; i < level.length; i += shape[d]) rows.push(level.slice(i, i + shape[d]));
    level = rows;
  }
  return level;
}

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);
const given = (seed, shape, requiresGrad = false) =>
  torch.tensor(nested(uniform(seed, sizeOf(shape)), shape), requiresGrad);
const flat = (x) => x._data.flat(Infinity);

const inference = (compute) => ({ run: compute, values: flat(compute()) });

function matmul({ batch, m, k, n, layout }) {
  const lead = batch > 1 ? [batch] : [];
  const a = given(1, [...lead, ...(layout[0] === "N" ? [m, k] : [k, m])]);
  const b = given(2, [...lead, ...(layout[1] === "N" ? [k, n] : [n, k])]);
  const turn = (x, layout) => (layout === "N" ? x : torch.transpose(x, -2, -1));
  return inference(() => torch.matmul(turn(a, layout[0]), turn(b, layout[1])));
}

function map({ kind, rows, cols }) {
  if (kind !== "softmax") return { why: "has no tanh, erf, sigmoid or normalization with these formulas" };
  const x = given(1, [rows, cols]);
  const softmax = new torch.nn.Softmax();
  return inference(() => softmax.forward(x, -1));
}

function dispatch() {
  const [a, b] = [torch.tensor([1.5], true), torch.tensor([2.5], true)];
  const run = () => {
    for (let i = 0; i < 100; i++) torch.add(a, b);
  };
  return { run, calls: 100, values: [4] };
}

function mlp(spec) {
  const values = initialValues(spec.parameters);
  const layers = spec.sizes.slice(1).map((size, i) => {
    const layer = new torch.nn.Linear(spec.sizes[i], size);
    const weight = nested(values[2 * i], [size, spec.sizes[i]]);
    layer.W._data = weight[0].map((_, column) => weight.map((row) => row[column]));
    layer.b._data = Array.from(values[2 * i + 1]);
    return layer;
  });
  const relu = new torch.nn.ReLU();
  const lossOf = new torch.nn.CrossEntropyLoss();
  const parameters = layers.flatMap((layer) => layer.parameters());
  const optimizer = new torch.optim.Adam(parameters, spec.lr, 0, [0.9, 0.999], 1e-8);
  const batches = batchesOf(spec).map(({ inputs, targets }) => ({
    inputs: torch.tensor(nested(inputs, [spec.batch, spec.sizes[0]])),
    targets: torch.tensor(Array.from(targets)),
  }));
  let taken = 0;
  return () => {
    const { inputs, targets } = batches[taken++ % BATCHES];
    // Its Adam lacks the correction of the averages' bias, which is this change of the learning rate and of ε.
    const root = Math.sqrt(1 - 0.999 ** taken);
    optimizer.lr = (spec.lr * root) / (1 - 0.9 ** taken);
    optimizer.eps = 1e-8 * root;
    let x = inputs;
    layers.forEach((layer, i) => {
      x = layer.forward(x);
      if (i < layers.length - 1) x = relu.forward(x);
    });
    const loss = lossOf.forward(x, targets);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    return loss._data[0] ?? loss._data;
  };
}

async function prepare(spec) {
  switch (spec.kind) {
    case "matmul":
      return matmul(spec);
    case "dispatch":
      return dispatch();
    case "adam":
      return { why: "its nested arrays take minutes for this many parameters" };
    case "mlp": {
      const step = mlp(spec);
      return { run: step, values: await firstLosses(step) };
    }
    case "gpt":
    case "attention":
      return { why: "has no causal attention of these shapes, nor GELU" };
    case "lora":
      return { why: "has no Llama and no LoRA" };
    default:
      return map(spec);
  }
}

await serve(async () => {
  const { version } = JSON.parse(readFileSync("node_modules/js-pytorch/package.json", "utf8"));
  return { about: { name: "js-pytorch", version, threads: 1 }, prepare };
});
