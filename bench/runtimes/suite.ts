/** What every runtime runs: a few steps to time, and a training run whose parameters must be the same bits everywhere. */
import {
  F,
  init,
  manualSeed,
  nn,
  optim,
  type RuntimeInfo,
  randint,
  randn,
  scope,
  shutdown,
  type Tensor,
} from "../../src/index.js";
import { gptSpec, mlpSpec, training } from "../models.js";

export interface Timing {
  row: string;
  variant: string;
  threads: number;
  /** The median of the calls. */
  seconds: number;
  /** Operations of a call, where they are counted. */
  flops?: number;
}

export interface Trained {
  threads: number;
  /** SHA-256 of the parameters' bytes. */
  hash: string;
  loss: number;
}

export interface Report {
  timings: Timing[];
  trained: Trained[];
  /** Why there are fewer threads than asked for. */
  notes: string[];
}

/** The threads of the training runs. */
export const THREADS: readonly number[] = [1, 2, 4];

/** At least a second of calls, after three that warm up. */
function median(call: () => unknown): number {
  for (let i = 0; i < 3; i++) call();
  const seconds: number[] = [];
  for (const begin = performance.now(); performance.now() - begin < 1000 || seconds.length < 5; ) {
    const start = performance.now();
    call();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds.sort((a, b) => a - b)[seconds.length >> 1];
}

function timings({ variant, threads }: RuntimeInfo): Timing[] {
  const n = 512;
  const rows: Timing[] = [];
  const add = (row: string, call: () => unknown, flops?: number) =>
    rows.push({ row, variant, threads, seconds: median(call), flops });
  scope(() => {
    const [a, b] = [randn([n, n]), randn([n, n])];
    add(`matmul ${n}³`, () => scope(() => void F.matmul(a, b)), 2 * n ** 3);
  });
  for (const [row, spec] of [
    ["MLP step", mlpSpec()],
    ["GPT step", gptSpec()],
  ] as const) {
    const { step, dispose } = training(spec);
    add(row, step);
    dispose();
  }
  return rows;
}

/** A classifier with every source of differences in it: dropout, normalization, attention, GELU, a cosine schedule. */
class Classifier extends nn.Module {
  readonly embedding = new nn.Embedding(64, 64);
  readonly encoder = new nn.TransformerEncoderLayer(64, 4, { dimFeedforward: 256, dropout: 0.1, activation: "gelu" });
  readonly head = new nn.Linear(64, 10);

  override forward(ids: Tensor): Tensor {
    return this.head.forward(this.encoder.forward(this.embedding.forward(ids)).mean({ dim: 1 }));
  }
}

/** 50 steps from one seed. */
async function train(threads: number): Promise<Trained> {
  manualSeed(7);
  const model = new Classifier();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-3 });
  const scheduler = new optim.schedulers.CosineAnnealingLR(optimizer, 50);
  let loss = 0;
  for (let step = 0; step < 50; step++) {
    loss = scope(() => {
      const ids = randint(0, 64, [32, 48]);
      const targets = F.argmax(F.oneHot(ids, 64).to("float32").sum({ dim: 1 }).narrow(1, 0, 10), { dim: 1 });
      const loss = F.crossEntropy(model.forward(ids), targets);
      loss.backward();
      nn.utils.clipGradNorm_(model.parameters(), 1);
      optimizer.step();
      optimizer.zeroGrad();
      return loss.item();
    });
    scheduler.step();
  }
  const parameters = model.parameters().map((p) => p.data() as Float32Array<ArrayBuffer>);
  const digest = await crypto.subtle.digest("SHA-256", await new Blob(parameters).arrayBuffer());
  optimizer.dispose();
  model.dispose();
  const hash = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { threads, hash, loss };
}

/** Everything, in the runtime that calls it. */
export async function run(): Promise<Report> {
  const report: Report = { timings: [], trained: [], notes: [] };
  for (const threads of [1, 2]) {
    const info = await init({ threads });
    if (info.reason) report.notes.push(info.reason);
    if (info.threads === threads) report.timings.push(...timings(info));
    await shutdown();
  }
  for (const threads of THREADS) {
    const info = await init({ simd: "baseline", threads });
    if (info.threads === threads) report.trained.push(await train(threads));
    else report.notes.push(info.reason ?? `${info.threads} threads in place of ${threads}`);
    await shutdown();
  }
  return report;
}
