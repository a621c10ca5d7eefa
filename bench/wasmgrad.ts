/** The rows in this library's public API. Arguments: threads, and "baseline" for kernels without relaxed SIMD. */
import { F, init, noGrad, optim, type Shape, scope, type Tensor, tensor, version } from "../src/index.js";
import { uniform } from "./data.js";
import { loraTraining } from "./loraTraining.js";
import { type Training, training } from "./models.js";
import type { AdamSpec, AttentionSpec, MapSpec, MatmulSpec, Spec } from "./rows.js";
import { firstLosses, type Library, type Prepared, type Refused, serve } from "./serve.js";

function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function given(seed: number, shape: Shape, requiresGrad = false): Tensor {
  return tensor(uniform(seed, sizeOf(shape)), { shape, requiresGrad });
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const x of tensors) x.dispose();
}

/** `compute` on tensors that stay, without recording. */
function inference(inputs: Tensor[], compute: () => Tensor): Prepared {
  const values = scope(() => noGrad(compute).data());
  const run = () => scope(() => void noGrad(compute));
  return { run, values, dispose: () => disposeAll(inputs) };
}

function matmul({ batch, m, k, n, layout }: MatmulSpec): Prepared {
  const a = given(1, layout[0] === "N" ? [batch, m, k] : [batch, k, m]);
  const b = given(2, layout[1] === "N" ? [batch, k, n] : [batch, n, k]);
  const left = layout[0] === "N" ? a : a.transpose(1, 2);
  const right = layout[1] === "N" ? b : b.transpose(1, 2);
  return inference([a, b, left, right], () => F.matmul(left, right));
}

function map({ kind, rows, cols }: MapSpec): Prepared {
  const x = given(1, [rows, cols]);
  const weight = given(2, [cols]);
  const bias = given(3, [cols]);
  const computes: Record<MapSpec["kind"], () => Tensor> = {
    softmax: () => F.softmax(x),
    silu: () => F.silu(x),
    geluTanh: () => F.gelu(x, { approximate: "tanh" }),
    gelu: () => F.gelu(x),
    layerNorm: () => F.layerNorm(x, [cols], { weight, bias }),
    rmsNorm: () => F.rmsNorm(x, [cols], { weight, eps: 1e-5 }),
  };
  return inference([x, weight, bias], computes[kind]);
}

function attention({ B, H, T, D }: AttentionSpec): Prepared {
  const inputs = [1, 2, 3].map((seed) => given(seed, [B, H, T, D], true));
  const [q, k, v] = inputs;
  const dy = given(4, [B, H, T, D]);
  const run = () =>
    scope(() => {
      F.scaledDotProductAttention(q, k, v, { isCausal: true }).backward(dy);
      const values = q.grad?.data() as Float32Array;
      for (const x of inputs) {
        x.grad?.dispose();
        x.grad = null;
      }
      return values;
    });
  return { run, values: run(), dispose: () => disposeAll([...inputs, dy]) };
}

function adam({ n }: AdamSpec): Prepared {
  const parameter = given(1, [n], true);
  const gradient = given(2, [n]);
  parameter.grad = gradient;
  const optimizer = new optim.Adam([parameter], { lr: 1e-3 });
  optimizer.step();
  const values = parameter.data();
  const dispose = () => {
    optimizer.dispose();
    parameter.dispose();
  };
  return { run: () => optimizer.step(), values, dispose };
}

/** 100 at a time, in a scope, as the operations of a step are. */
function dispatch(): Prepared {
  const a = tensor([1.5], { requiresGrad: true });
  const b = tensor([2.5], { requiresGrad: true });
  const run = () =>
    scope(() => {
      for (let i = 0; i < 100; i++) F.add(a, b);
    });
  return { run, calls: 100, values: [a.item() + b.item()], dispose: () => disposeAll([a, b]) };
}

async function trained({ step, dispose }: Training): Promise<Prepared> {
  return { run: step, values: await firstLosses(step), dispose };
}

async function prepare(spec: Spec): Promise<Prepared | Refused> {
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
      if (typeof document !== "undefined") return { why: "a page has no model directory" };
      return trained(await loraTraining(spec));
    case "mlp":
    case "gpt":
      return trained(training(spec));
    default:
      return map(spec);
  }
}

await serve(async ([threads = "1", simd = "auto"]): Promise<Library> => {
  const info = await init({ threads: Number(threads), simd: simd === "baseline" ? "baseline" : "auto" });
  if (info.threads !== Number(threads)) throw new Error(info.reason ?? `runs ${info.threads} threads`);
  return { about: { name: "wasmgrad", version, variant: info.variant, threads: info.threads }, prepare };
});
