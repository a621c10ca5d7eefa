/** What wasmgrad and its peers are timed on: every row is one case, the same numbers for all. */
import { type GptSpec, gptSpec, type MlpSpec, mlpSpec, type ParameterSpec } from "./models.js";

/** a·b, `batch` times; the layout says whether a, then b, lies in memory as it is (N) or transposed (T). */
export interface MatmulSpec {
  kind: "matmul";
  batch: number;
  m: number;
  k: number;
  n: number;
  layout: "NN" | "NT" | "TN";
}

/** An operation along or over each element of a matrix, forward only; the norms have weights, layerNorm a bias. */
export interface MapSpec {
  kind: "softmax" | "silu" | "geluTanh" | "gelu" | "layerNorm" | "rmsNorm";
  rows: number;
  cols: number;
}

/** Causal attention of [B, H, T, D], forward and backward. */
export interface AttentionSpec {
  kind: "attention";
  B: number;
  H: number;
  T: number;
  D: number;
}

/** One step of Adam on `n` parameters, fused where there is that choice. */
export interface AdamSpec {
  kind: "adam";
  n: number;
}

/** a + b on one element each, with the recording of a gradient where the library has that. */
export interface DispatchSpec {
  kind: "dispatch";
}

/** A LoRA step of the smallest Llama, 8 × 128 tokens, rank 8 on all linear layers. */
export interface LoraSpec {
  kind: "lora";
  model: string;
  B: number;
  T: number;
  vocabulary: number;
}

export type Spec = MatmulSpec | MapSpec | AttentionSpec | AdamSpec | DispatchSpec | MlpSpec | GptSpec | LoraSpec;

export interface Row {
  name: string;
  spec: Spec;
  /** Arithmetic operations of one call, where the row is of that sort. */
  flops?: number;
}

const layouts = ["NN", "NT", "TN"] as const;

function matmul(m: number, k: number, n: number, layout: MatmulSpec["layout"], batch = 1): Row {
  const name = `matmul ${batch > 1 ? `${batch} × ` : ""}${m} × ${k} × ${n} ${layout}`;
  return { name, spec: { kind: "matmul", batch, m, k, n, layout }, flops: 2 * batch * m * k * n };
}

function map(kind: MapSpec["kind"], label: string, cols: number): Row {
  return { name: `${label} 512 × ${cols}`, spec: { kind, rows: 512, cols } };
}

/** Three products, forward and backward, of every weight with as many rows; attention's own are left out. */
function stepFlops({ parameters }: MlpSpec | GptSpec, rows: number): number {
  const isProduct = ([name, shape]: ParameterSpec) => shape.length === 2 && !/token|position/.test(name);
  const weights = parameters.filter(isProduct).reduce((sum, [, [outputs, inputs]]) => sum + outputs * inputs, 0);
  return 6 * rows * weights;
}

/** `model` is the directory of stories260k, if there is one. */
export function rows(model: string | null): Row[] {
  const attention = { kind: "attention", B: 8, H: 4, T: 256, D: 32 } as const;
  const { B, H, T, D } = attention;
  const [mlp, gpt] = [mlpSpec(), gptSpec()];
  const all: Row[] = [
    ...[256, 512, 1024].flatMap((n) => layouts.map((layout) => matmul(n, n, n, layout))),
    ...[768, 3072].flatMap((n) => layouts.map((layout) => matmul(512, 768, n, layout))),
    matmul(64, 32, 64, "NT", 32),
    matmul(64, 64, 32, "NN", 32),
    matmul(1, 768, 3072, "NT"),
    map("softmax", "softmax", 1024),
    map("silu", "SiLU", 1024),
    map("geluTanh", "GELU (tanh)", 1024),
    map("gelu", "GELU (erf)", 1024),
    map("layerNorm", "layerNorm", 768),
    map("rmsNorm", "rmsNorm", 768),
    // Two products forward, five backward, of what the mask leaves.
    {
      name: "attention 8 × 4 × 256 × 32, causal, both passes",
      spec: attention,
      flops: 7 * B * H * D * T * (T + 1),
    },
    { name: "Adam, 10 M parameters", spec: { kind: "adam", n: 10_000_000 } },
    { name: "dispatch: a + b of one element", spec: { kind: "dispatch" } },
    { name: "training step: MLP 784-512-512-10, batch 64", spec: mlp, flops: stepFlops(mlp, mlp.batch) },
    { name: "training step: GPT, 4 layers, d 128, 8 × 64", spec: gpt, flops: stepFlops(gpt, gpt.B * gpt.T) },
  ];
  if (model) {
    const spec: LoraSpec = { kind: "lora", model, B: 8, T: 128, vocabulary: 512 };
    all.push({ name: "LoRA step: stories260k, 8 × 128", spec });
  }
  return all;
}
