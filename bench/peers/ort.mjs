/** The rows that infer, in ONNX Runtime. Arguments: web or node, threads. The second operand of a product is a weight. */
import { readFileSync } from "node:fs";
import { uniform } from "../data.ts";
import { onnxModel } from "../onnx.ts";
import { serve } from "../serve.ts";

const [, , flavour, threads] = process.argv;
let ort;

/** Runs `definition` on `x`, which is copied in every time: ONNX Runtime offers nothing else for its CPU providers. */
async function inference(definition, x) {
  const session = await ort.InferenceSession.create(onnxModel(definition), {
    intraOpNumThreads: Number(threads),
    graphOptimizationLevel: "all",
  });
  const feeds = { x: new ort.Tensor("float32", x, definition.shape) };
  const { y } = await session.run(feeds);
  return { run: () => session.run(feeds), values: Float32Array.from(y.data), dispose: () => session.release() };
}

function matmul({ batch, m, k, n, layout }) {
  const [transA, transB] = [Number(layout[0] === "T"), Number(layout[1] === "T")];
  const lead = batch > 1 ? [batch] : [];
  const shape = [...lead, ...(transA ? [k, m] : [m, k])];
  const weight = { name: "w", shape: [...lead, ...(transB ? [n, k] : [k, n])], data: uniform(2, batch * k * n) };
  const product = { op: "MatMul", inputs: ["x", "w"], output: "y" };
  const transposed = { ...product, op: "FusedMatMul", attributes: { transA, transB }, domain: "com.microsoft" };
  const nodes = [transA || transB ? transposed : product];
  return inference({ nodes, shape, outputShape: [...lead, m, n], constants: [weight] }, uniform(1, batch * m * k));
}

function map({ kind, rows, cols }) {
  const shape = [rows, cols];
  const weight = { name: "w", shape: [cols], data: uniform(2, cols) };
  const bias = { name: "b", shape: [cols], data: uniform(3, cols) };
  const cases = {
    softmax: { nodes: [{ op: "Softmax", inputs: ["x"], output: "y", attributes: { axis: 1 } }] },
    silu: {
      nodes: [
        { op: "Sigmoid", inputs: ["x"], output: "s" },
        { op: "Mul", inputs: ["x", "s"], output: "y" },
      ],
    },
    geluTanh: { nodes: [{ op: "Gelu", inputs: ["x"], output: "y", attributes: { approximate: "tanh" } }] },
    gelu: { nodes: [{ op: "Gelu", inputs: ["x"], output: "y" }] },
    layerNorm: {
      nodes: [{ op: "LayerNormalization", inputs: ["x", "w", "b"], output: "y", attributes: { axis: 1 } }],
      constants: [weight, bias],
    },
    rmsNorm: {
      nodes: [{ op: "SimplifiedLayerNormalization", inputs: ["x", "w"], output: "y", attributes: { axis: 1 } }],
      constants: [weight],
    },
  };
  return inference({ ...cases[kind], shape, outputShape: shape }, uniform(1, rows * cols));
}

function prepare(spec) {
  if (spec.kind === "matmul") return matmul(spec);
  if (spec.kind === "dispatch") return { why: "has no single operations: it runs whole models" };
  const trains = ["attention", "adam", "mlp", "gpt", "lora"];
  return trains.includes(spec.kind) ? { why: "does not train: no gradients in its npm packages" } : map(spec);
}

await serve(async () => {
  const name = `onnxruntime-${flavour}`;
  const { default: fallback, ...named } = await import(name);
  ort = named.InferenceSession ? named : fallback;
  if (flavour === "web") ort.env.wasm.numThreads = Number(threads);
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  return { about: { name, version, threads: Number(threads) }, prepare };
});
