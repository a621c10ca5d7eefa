/** The rows in jax-js, every function compiled by its jit. Its wasm backend runs one thread where there is no Worker, as in Node. */
import { readFileSync } from "node:fs";
import { defaultDevice, init, jit, lax, nn, numpy as np, tree, valueAndGrad, vjp } from "@jax-js/jax";
import { uniform } from "../data.ts";
import { BATCHES, batchesOf, initialValues } from "../models.ts";
import { firstLosses, serve } from "../serve.ts";

const given = (seed, shape) =>
  np
    .array(
      uniform(
        seed,
        shape.reduce((a, b) => a * b, 1),
      ),
    )
    .reshape([...shape]);

/** `compute`, compiled, on arrays that stay. */
async function inference(inputs, compute) {
  const compiled = jit(compute);
  const call = () => compiled(...inputs.map((x) => x.ref));
  const run = async () => {
    const y = call();
    await y.blockUntilReady();
    y.dispose();
  };
  return { run, values: await call().data(), dispose: () => tree.dispose(inputs) };
}

const transposed = (x) => np.swapaxes(x, -1, -2);

function matmul({ batch, m, k, n, layout }) {
  const a = given(1, layout[0] === "N" ? [batch, m, k] : [batch, k, m]);
  const b = given(2, layout[1] === "N" ? [batch, k, n] : [batch, n, k]);
  return inference([a, b], (x, y) =>
    np.matmul(layout[0] === "N" ? x : transposed(x), layout[1] === "N" ? y : transposed(y)),
  );
}

const geluTanh = (x) => {
  const inner = x.ref
    .mul(x.ref)
    .mul(x.ref)
    .mul(0.044715)
    .add(x.ref)
    .mul(Math.sqrt(2 / Math.PI));
  return np.tanh(inner).add(1).mul(x).mul(0.5);
};

const gelu = (x) => lax.erf(x.ref.mul(Math.SQRT1_2)).add(1).mul(x).mul(0.5);

function layerNorm(x, weight, bias) {
  return nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weight).add(bias);
}

function rmsNorm(x, weight) {
  const mean = np.mean(np.square(x.ref), -1, { keepdims: true });
  return x.mul(np.reciprocal(np.sqrt(mean.add(1e-5)))).mul(weight);
}

function map({ kind, rows, cols }) {
  const x = given(1, [rows, cols]);
  const weight = () => given(2, [cols]);
  const cases = {
    softmax: () => inference([x], (a) => nn.softmax(a)),
    silu: () => inference([x], (a) => nn.silu(a)),
    geluTanh: () => inference([x], geluTanh),
    gelu: () => inference([x], gelu),
    layerNorm: () => inference([x, weight(), given(3, [cols])], layerNorm),
    rmsNorm: () => inference([x, weight()], rmsNorm),
  };
  return cases[kind]();
}

/** Of q, k, v [B, H, T, D] */
function attend(q, k, v) {
  const [, , T, D] = q.shape;
  const scores = np.matmul(q, transposed(k)).mul(1 / Math.sqrt(D));
  const seen = np.tri(T, T, 0, { dtype: np.bool });
  return np.matmul(nn.softmax(np.where(seen, scores, -1e9)), v);
}

async function attention({ B, H, T, D }) {
  const inputs = [1, 2, 3, 4].map((seed) => given(seed, [B, H, T, D]));
  const both = jit((q, k, v, dy) => {
    const [y, pull] = vjp(attend, [q, k, v]);
    const gradients = pull(dy);
    return [y, ...gradients];
  });
  const call = () => both(...inputs.map((x) => x.ref));
  const run = async () => {
    const results = call();
    for (const each of results) await each.blockUntilReady();
    tree.dispose(results);
  };
  const [y, dq, dk, dv] = call();
  const values = await dq.data();
  tree.dispose([y, dk, dv]);
  return { run, values, dispose: () => tree.dispose(inputs) };
}

const zerosLike = (p) => tree.map((x) => np.zeros(x.shape), p);

/** Adam with decoupled weight decay on trees of arrays, as one compiled function would be given it. */
function adamUpdate(p, m, v, g, lr1, scale, shrinkage) {
  const newM = m.mul(0.9).add(g.ref.mul(0.1));
  const newV = v.mul(0.999).add(np.square(g).mul(0.001));
  const step = newM.ref.mul(lr1).div(np.sqrt(newV.ref).mul(scale).add(1e-8));
  return [p.mul(shrinkage).sub(step), newM, newV];
}

/** The factors of step `t`. */
const factors = (lr, t) => [lr / (1 - 0.9 ** t), 1 / Math.sqrt(1 - 0.999 ** t)];

async function adam({ n }) {
  let [p, m, v] = [given(1, [n]), np.zeros([n]), np.zeros([n])];
  const g = given(2, [n]);
  const update = jit((p, m, v, g, lr1, scale) => adamUpdate(p, m, v, g, lr1, scale, 1));
  let t = 0;
  const run = async () => {
    const [lr1, scale] = factors(1e-3, ++t);
    [p, m, v] = update(p, m, v, g.ref, np.array(lr1), np.array(scale));
    for (const each of [p, m, v]) await each.blockUntilReady();
  };
  await run();
  return { run, values: await p.ref.data(), dispose: () => tree.dispose([p, m, v, g]) };
}

async function dispatch() {
  const [a, b] = [np.array([1.5]), np.array([2.5])];
  const run = async () => {
    for (let i = 0; i < 100; i++) {
      const y = a.ref.add(b.ref);
      await y.blockUntilReady();
      y.dispose();
    }
  };
  return { run, calls: 100, values: [4], dispose: () => tree.dispose([a, b]) };
}

function linear(p, x, name) {
  const y = np.matmul(x, transposed(p[`${name}.weight`].ref));
  const bias = p[`${name}.bias`];
  return bias ? y.add(bias.ref) : y;
}

function mlp(p, x) {
  return linear(p, nn.relu(linear(p, nn.relu(linear(p, x, "layers.0")), "layers.2")), "layers.4");
}

function gpt(p, { B, T, dim, heads, layers, vocabulary }, ids) {
  const norm = (x, name) => layerNorm(x, p[`${name}.weight`].ref, p[`${name}.bias`].ref);
  const head = (x) => x.reshape([B, T, heads, dim / heads]).transpose([0, 2, 1, 3]);
  const flat = (x) => x.reshape([B * T, -1]);
  let x = np.matmul(nn.oneHot(ids, vocabulary), p["token.weight"].ref).reshape([B, T, dim]);
  x = x.add(p["position.weight"].ref);
  for (let i = 0; i < layers; i++) {
    const at = `blocks.${i}`;
    const qkv = linear(p, flat(norm(x.ref, `${at}.ln1`)), `${at}.qkv`);
    const [q, k, v] = np.split(qkv, 3, -1).map(head);
    const mixed = attend(q, k, v)
      .transpose([0, 2, 1, 3])
      .reshape([B * T, dim]);
    x = x.add(linear(p, mixed, `${at}.proj`).reshape([B, T, dim]));
    const up = geluTanh(linear(p, flat(norm(x.ref, `${at}.ln2`)), `${at}.up`));
    x = x.add(linear(p, up, `${at}.down`).reshape([B, T, dim]));
  }
  return linear(p, flat(norm(x, "norm")), "head");
}

function training(spec) {
  const values = initialValues(spec.parameters);
  let p = Object.fromEntries(
    spec.parameters.map(([name, shape], i) => [name, np.array(values[i]).reshape([...shape])]),
  );
  let [m, v] = [zerosLike(tree.ref(p)), zerosLike(tree.ref(p))];
  const classes = spec.kind === "mlp" ? spec.sizes.at(-1) : spec.vocabulary;
  const batches = batchesOf(spec).map(({ inputs, targets }) => ({
    inputs: spec.kind === "mlp" ? np.array(inputs).reshape([spec.batch, spec.sizes[0]]) : np.array(inputs),
    targets: nn.oneHot(np.array(targets), classes),
  }));
  const forward = spec.kind === "mlp" ? mlp : (q, ids) => gpt(q, spec, ids);
  const lossOf = (q, inputs, targets) => {
    const rows = targets.shape[0];
    const logits = forward(q, inputs);
    tree.dispose(q);
    return np.sum(nn.logSoftmax(logits).mul(targets)).mul(-1 / rows);
  };
  const shrinkage = 1 - spec.lr * (spec.weightDecay ?? 0);
  const update = jit((p, m, v, inputs, targets, lr1, scale) => {
    const [loss, g] = valueAndGrad(lossOf)(tree.ref(p), inputs, targets);
    const next = [{}, {}, {}];
    for (const name of Object.keys(g)) {
      const changed = adamUpdate(p[name], m[name], v[name], g[name], lr1.ref, scale.ref, shrinkage);
      changed.forEach((x, i) => {
        next[i][name] = x;
      });
    }
    tree.dispose([lr1, scale]);
    return [loss, ...next];
  });
  let t = 0;
  const step = async () => {
    const { inputs, targets } = batches[t % BATCHES];
    const [lr1, scale] = factors(spec.lr, ++t);
    let loss;
    [loss, p, m, v] = update(p, m, v, inputs.ref, targets.ref, np.array(lr1), np.array(scale));
    for (const each of Object.values(p)) await each.blockUntilReady();
    return (await loss.data())[0];
  };
  return { step, dispose: () => tree.dispose([p, m, v]) };
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

await serve(async () => {
  await init("wasm");
  defaultDevice("wasm");
  const { version } = JSON.parse(readFileSync("node_modules/@jax-js/jax/package.json", "utf8"));
  return { about: { name: "jax-js wasm", version, threads: 1 }, prepare };
});
