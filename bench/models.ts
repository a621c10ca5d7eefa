/** The models of the training steps, in the library's public API, and what every peer needs to train the same. */
import { F, nn, optim, scope, type Tensor, tensor } from "../src/index.js";
import { integers, uniform } from "./data.js";

/** A parameter's name, shape, and bound of its initial values: 0 gives zeros, null ones. */
export type ParameterSpec = readonly [name: string, shape: readonly number[], bound: number | null];

export interface MlpSpec {
  kind: "mlp";
  batch: number;
  sizes: readonly number[];
  lr: number;
  parameters: ParameterSpec[];
}

export interface GptSpec {
  kind: "gpt";
  layers: number;
  dim: number;
  heads: number;
  T: number;
  B: number;
  vocabulary: number;
  lr: number;
  weightDecay: number;
  parameters: ParameterSpec[];
}

/** Batches are made in advance and taken in turn. */
export const BATCHES = 4;

function linearParameters(name: string, inputs: number, outputs: number, bias = true): ParameterSpec[] {
  const weight: ParameterSpec = [`${name}.weight`, [outputs, inputs], 1 / Math.sqrt(inputs)];
  return bias ? [weight, [`${name}.bias`, [outputs], 0]] : [weight];
}

function normParameters(name: string, dim: number): ParameterSpec[] {
  return [
    [`${name}.weight`, [dim], null],
    [`${name}.bias`, [dim], 0],
  ];
}

/** 784-512-512-10 with ReLU, trained by Adam. */
export function mlpSpec(): MlpSpec {
  const sizes = [784, 512, 512, 10];
  const parameters = sizes.slice(1).flatMap((size, i) => linearParameters(`layers.${2 * i}`, sizes[i], size));
  return { kind: "mlp", batch: 64, sizes, lr: 1e-3, parameters };
}

/** 4 layers, 4 heads, pre-norm, tanh-GELU, learned positions, an output layer of its own; trained by AdamW. */
export function gptSpec(): GptSpec {
  const [layers, dim, heads, T, B, vocabulary] = [4, 128, 4, 64, 8, 96];
  const block = (name: string): ParameterSpec[] => [
    ...normParameters(`${name}.ln1`, dim),
    ...linearParameters(`${name}.qkv`, dim, 3 * dim),
    ...linearParameters(`${name}.proj`, dim, dim),
    ...normParameters(`${name}.ln2`, dim),
    ...linearParameters(`${name}.up`, dim, 4 * dim),
    ...linearParameters(`${name}.down`, 4 * dim, dim),
  ];
  const parameters: ParameterSpec[] = [
    ["token.weight", [vocabulary, dim], 0.05],
    ["position.weight", [T, dim], 0.05],
    ...Array.from({ length: layers }, (_, i) => block(`blocks.${i}`)).flat(),
    ...normParameters("norm", dim),
    ...linearParameters("head", dim, vocabulary, false),
  ];
  return { kind: "gpt", layers, dim, heads, T, B, vocabulary, lr: 1e-3, weightDecay: 0.01, parameters };
}

/** The initial values of each parameter; its number is its seed. */
export function initialValues(parameters: readonly ParameterSpec[]): Float32Array<ArrayBuffer>[] {
  return parameters.map(([, shape, bound], seed) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return bound === null ? new Float32Array(size).fill(1) : uniform(seed, size, bound);
  });
}

export interface Batch {
  inputs: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
  targets: Int32Array<ArrayBuffer>;
}

/** Images [batch, 784] and their classes, or tokens [B, T] and those that follow them. */
export function batchesOf(spec: MlpSpec | GptSpec): Batch[] {
  return Array.from({ length: BATCHES }, (_, i) => {
    if (spec.kind === "mlp") {
      const classes = spec.sizes[spec.sizes.length - 1];
      return {
        inputs: uniform(1000 + i, spec.batch * spec.sizes[0]),
        targets: integers(2000 + i, spec.batch, classes),
      };
    }
    const { B, T, vocabulary } = spec;
    return { inputs: integers(1000 + i, B * T, vocabulary), targets: integers(2000 + i, B * T, vocabulary) };
  });
}

class Mlp extends nn.Module {
  readonly layers: nn.Sequential;

  constructor(sizes: readonly number[]) {
    super();
    const layers = sizes.slice(1).flatMap((size, i) => [new nn.Linear(sizes[i], size), new nn.ReLU()]);
    this.layers = new nn.Sequential(...layers.slice(0, -1));
  }

  override forward(x: Tensor): Tensor {
    return this.layers.forward(x);
  }
}

/** x + proj(attention(ln1 x)), then x + down(gelu(up(ln2 x))) */
class Block extends nn.Module {
  readonly ln1: nn.LayerNorm;
  readonly qkv: nn.Linear;
  readonly proj: nn.Linear;
  readonly ln2: nn.LayerNorm;
  readonly up: nn.Linear;
  readonly down: nn.Linear;

  constructor(
    dim: number,
    readonly heads: number,
  ) {
    super();
    this.ln1 = new nn.LayerNorm(dim);
    this.qkv = new nn.Linear(dim, 3 * dim);
    this.proj = new nn.Linear(dim, dim);
    this.ln2 = new nn.LayerNorm(dim);
    this.up = new nn.Linear(dim, 4 * dim);
    this.down = new nn.Linear(4 * dim, dim);
  }

  override forward(x: Tensor): Tensor {
    const h = x.add(this.proj.forward(this.attention(this.ln1.forward(x))));
    return h.add(this.down.forward(F.gelu(this.up.forward(this.ln2.forward(h)), { approximate: "tanh" })));
  }

  private attention(x: Tensor): Tensor {
    const [B, T, dim] = x.shape;
    const heads = (h: Tensor) => h.reshape([B, T, this.heads, -1]).transpose(1, 2);
    const [q, k, v] = this.qkv.forward(x).chunk(3, -1).map(heads);
    return F.scaledDotProductAttention(q, k, v, { isCausal: true }).transpose(1, 2).reshape([B, T, dim]);
  }
}

class Gpt extends nn.Module {
  readonly token: nn.Embedding;
  readonly position: nn.Embedding;
  readonly blocks: nn.ModuleList<Block>;
  readonly norm: nn.LayerNorm;
  readonly head: nn.Linear;

  constructor({ layers, dim, heads, T, vocabulary }: GptSpec) {
    super();
    this.token = new nn.Embedding(vocabulary, dim);
    this.position = new nn.Embedding(T, dim);
    this.blocks = new nn.ModuleList(Array.from({ length: layers }, () => new Block(dim, heads)));
    this.norm = new nn.LayerNorm(dim);
    this.head = new nn.Linear(dim, vocabulary, { bias: false });
  }

  /** Logits [B, T, vocabulary] of tokens [B, T] */
  override forward(ids: Tensor): Tensor {
    let x = this.token.forward(ids).add(this.position.weight);
    for (const block of this.blocks) x = block.forward(x);
    return this.head.forward(this.norm.forward(x));
  }
}

export interface Training {
  model: nn.Module;
  /** Trains on the next batch and returns the loss before. */
  step: () => number;
  dispose: () => void;
}

/** The model of `spec` with its initial values, and its training step. */
export function training(spec: MlpSpec | GptSpec): Training {
  const model = spec.kind === "mlp" ? new Mlp(spec.sizes) : new Gpt(spec);
  const values = initialValues(spec.parameters);
  scope(() => {
    const entries = spec.parameters.map(([name, shape], i) => [name, tensor(values[i], { shape })] as const);
    model.loadStateDict(Object.fromEntries(entries));
  });
  const optimizer =
    spec.kind === "mlp"
      ? new optim.Adam(model.parameters(), { lr: spec.lr })
      : new optim.AdamW(model.parameters(), { lr: spec.lr, weightDecay: spec.weightDecay });
  const batches = batchesOf(spec);
  const inputShape = spec.kind === "mlp" ? [spec.batch, spec.sizes[0]] : [spec.B, spec.T];
  let taken = 0;
  const step = () =>
    scope(() => {
      const { inputs, targets } = batches[taken++ % BATCHES];
      const logits = model.forward(tensor(inputs, { shape: inputShape })) as Tensor;
      const loss = F.crossEntropy(logits.reshape([targets.length, -1]), tensor(targets));
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.item();
    });
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, step, dispose };
}
