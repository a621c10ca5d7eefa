/** The rows in TensorFlow.js, in Node or in a page. Arguments: backend (wasm or cpu), threads. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops";
import { uniform } from "../data.ts";
import { BATCHES, batchesOf, initialValues } from "../models.ts";
import { firstLosses, serve } from "../serve.ts";

const given = (seed, shape) => tf.tensor(uniform(seed, tf.util.sizeFromShape(shape)), shape);

/** `compute` on tensors that stay. */
function inference(inputs, compute) {
  const y = compute();
  const values = y.dataSync();
  y.dispose();
  return { run: () => compute().dispose(), values, dispose: () => tf.dispose(inputs) };
}

function matmul({ batch, m, k, n, layout }) {
  const a = given(1, layout[0] === "N" ? [batch, m, k] : [batch, k, m]);
  const b = given(2, layout[1] === "N" ? [batch, k, n] : [batch, n, k]);
  return inference([a, b], () => tf.matMul(a, b, layout[0] === "T", layout[1] === "T"));
}

/** x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2 */
const geluTanh = (x) => {
  const inner = x
    .mul(x)
    .mul(x)
    .mul(0.044715)
    .add(x)
    .mul(Math.sqrt(2 / Math.PI));
  return inner.tanh().add(1).mul(x).mul(0.5);
};

function layerNorm(x, weight, bias) {
  const { mean, variance } = tf.moments(x, -1, true);
  return x.sub(mean).mul(variance.add(1e-5).rsqrt()).mul(weight).add(bias);
}

function map({ kind, rows, cols }) {
  const x = given(1, [rows, cols]);
  const weight = given(2, [cols]);
  const bias = given(3, [cols]);
  const computes = {
    softmax: () => tf.softmax(x),
    silu: () => x.mul(x.sigmoid()),
    geluTanh: () => geluTanh(x),
    gelu: () => x.mul(Math.SQRT1_2).erf().add(1).mul(x).mul(0.5),
    layerNorm: () => layerNorm(x, weight, bias),
    rmsNorm: () => x.mul(x.square().mean(-1, true).add(1e-5).rsqrt()).mul(weight),
  };
  return inference([x, weight, bias], () => tf.tidy(computes[kind]));
}

/** What attention adds to the scores: −∞, nearly, above the diagonal. */
const hiding = (T) =>
  tf.tensor(
    Float32Array.from({ length: T * T }, (_, at) => (at % T > Math.floor(at / T) ? -1e9 : 0)),
    [T, T],
  );

function attend(q, k, v, mask) {
  const scores = tf.matMul(q, k, false, true).mul(1 / Math.sqrt(q.shape[3]));
  return tf.matMul(tf.softmax(scores.add(mask)), v);
}

function attention({ B, H, T, D }) {
  const inputs = [1, 2, 3].map((seed) => given(seed, [B, H, T, D]));
  const dy = given(4, [B, H, T, D]);
  const mask = hiding(T);
  const gradient = tf.grads((q, k, v) => attend(q, k, v, mask));
  const run = () => tf.tidy(() => void gradient(inputs, dy));
  const values = tf.tidy(() => gradient(inputs, dy)[0].dataSync());
  return { run, values, dispose: () => tf.dispose([...inputs, dy, mask]) };
}

function adam({ n }) {
  const parameter = tf.variable(given(1, [n]));
  const gradient = given(2, [n]);
  const optimizer = tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
  const run = () => optimizer.applyGradients({ [parameter.name]: gradient });
  run();
  const values = parameter.dataSync();
  const dispose = () => {
    optimizer.dispose();
    tf.dispose([parameter, gradient]);
  };
  return { run, values, dispose };
}

function dispatch() {
  const [a, b] = [tf.tensor([1.5]), tf.tensor([2.5])];
  const run = () => {
    for (let i = 0; i < 100; i++) tf.add(a, b).dispose();
  };
  return { run, calls: 100, values: [4], dispose: () => tf.dispose([a, b]) };
}

function training(spec) {
  const values = initialValues(spec.parameters);
  const p = Object.fromEntries(
    spec.parameters.map(([name, shape], i) => [name, tf.variable(tf.tensor(values[i], [...shape]))]),
  );
  const batches = batchesOf(spec).map(({ inputs, targets }) => ({
    inputs: tf.tensor(inputs, spec.kind === "mlp" ? [spec.batch, spec.sizes[0]] : [spec.B, spec.T]),
    targets: tf.oneHot(tf.tensor1d(targets, "int32"), spec.kind === "mlp" ? spec.sizes.at(-1) : spec.vocabulary),
  }));
  const mask = spec.kind === "gpt" ? hiding(spec.T) : null;
  const forward = spec.kind === "mlp" ? (x) => mlp(p, x) : (ids) => gpt(p, spec, mask, ids);
  const optimizer = tf.train.adam(spec.lr, 0.9, 0.999, 1e-8);
  const shrinkage = 1 - spec.lr * (spec.weightDecay ?? 0);
  let taken = 0;
  const step = () =>
    tf.tidy(() => {
      const { inputs, targets } = batches[taken++ % BATCHES];
      const { value, grads } = tf.variableGrads(() => {
        const logits = forward(inputs).reshape(targets.shape);
        return tf
          .logSoftmax(logits)
          .mul(targets)
          .sum()
          .mul(-1 / targets.shape[0]);
      });
      if (shrinkage !== 1) for (const each of Object.values(p)) each.assign(each.mul(shrinkage)); // AdamW's decay
      optimizer.applyGradients(grads);
      return value.dataSync()[0];
    });
  const dispose = () => {
    optimizer.dispose();
    tf.disposeVariables();
    tf.dispose(batches.flatMap(({ inputs, targets }) => [inputs, targets]));
  };
  return { step, dispose };
}

function linear(p, x, name) {
  const rows = x.reshape([-1, x.shape.at(-1)]);
  const y = tf.matMul(rows, p[`${name}.weight`], false, true);
  const bias = p[`${name}.bias`];
  return (bias ? y.add(bias) : y).reshape([...x.shape.slice(0, -1), -1]);
}

function mlp(p, x) {
  return linear(p, linear(p, linear(p, x, "layers.0").relu(), "layers.2").relu(), "layers.4");
}

function gpt(p, { B, T, dim, heads, layers, vocabulary }, mask, ids) {
  const norm = (x, name) => layerNorm(x, p[`${name}.weight`], p[`${name}.bias`]);
  const split = (x) => x.reshape([B, T, heads, dim / heads]).transpose([0, 2, 1, 3]);
  // A product with one-hot rows: the gradient of gather needs a kernel that the wasm backend lacks.
  const oneHot = tf.oneHot(ids.reshape([-1]), vocabulary).cast("float32");
  let x = tf.matMul(oneHot, p["token.weight"]).reshape([B, T, dim]).add(p["position.weight"]);
  for (let i = 0; i < layers; i++) {
    const at = `blocks.${i}`;
    const [q, k, v] = tf.split(linear(p, norm(x, `${at}.ln1`), `${at}.qkv`), 3, -1).map(split);
    const mixed = attend(q, k, v, mask).transpose([0, 2, 1, 3]).reshape([B, T, dim]);
    x = x.add(linear(p, mixed, `${at}.proj`));
    x = x.add(linear(p, geluTanh(linear(p, norm(x, `${at}.ln2`), `${at}.up`)), `${at}.down`));
  }
  return linear(p, norm(x, "norm"), "head");
}

async function prepare(spec) {
  switch (spec.kind) {
    case "matmul":
      return matmul(spec);
    case "attention":
      return attention(spec);
    case "adam":
      return adam(spec);
    case "dispatch":
      return dispatch();
    case "lora":
      return { why: "has no Llama and no LoRA" };
    case "mlp":
    case "gpt": {
      const { step, dispose } = training(spec);
      return { run: step, values: await firstLosses(step), dispose };
    }
    default:
      return map(spec);
  }
}

await serve(async ([backend, threads]) => {
  const inPage = typeof document !== "undefined";
  if (backend === "cpu") await import("@tensorflow/tfjs-backend-cpu");
  else {
    if (Number(threads) > 1 && !inPage) return { why: "its wasm backend runs one thread in Node" };
    const wasm = await import("@tensorflow/tfjs-backend-wasm");
    wasm.setWasmPaths(inPage ? "/" : "node_modules/@tensorflow/tfjs-backend-wasm/dist/");
    if (inPage) wasm.setThreadsCount(Number(threads));
  }
  await tf.setBackend(backend);
  await tf.ready();
  return { about: { name: `TensorFlow.js ${backend}`, version: tf.version_core, threads: Number(threads) }, prepare };
});
