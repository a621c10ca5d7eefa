/**
 * One LoRA step of a real model (8 × 128 tokens, rank 8 on all linear layers, AdamW) beside native PyTorch + PEFT on one
 * thread, in alternating runs; and reserved memory over 1,000 steps. Needs a model directory: WASMGRAD_BENCH_MODEL, or
 * the one beside the project.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { F, init, lora, memoryStats, models, optim, scope, tensor } from "../src/index.js";
import { RandomStream } from "../src/random.js";
import { median } from "./harness.js";

const modelDir = process.env.WASMGRAD_BENCH_MODEL ?? "../shared/models/stories260k";
const [B, T] = [8, 128];
const STEPS = 40;
const ROUNDS = 3;

if (!existsSync(modelDir)) {
  console.log(`lora-step: no model at ${modelDir}; name one in WASMGRAD_BENCH_MODEL`);
  process.exit(0);
}

const { variant } = await init({ threads: 1 });
const model = await models.Llama.fromPretrained(modelDir);
const handle = lora.apply(model, { r: 8, alpha: 16, targetModules: "all-linear" });
const optimizer = new optim.AdamW(handle.trainableParameters(), { lr: 5e-3, weightDecay: 0 });
const random = new RandomStream(0);
const batches = Array.from({ length: 8 }, () =>
  Array.from({ length: B }, () =>
    Array.from({ length: T + 1 }, () => Math.floor(random.next() * model.config.vocab_size)),
  ),
);

function step(i: number): number {
  const rows = batches[i % batches.length];
  return scope(() => {
    const inputs = tensor(
      rows.map((row) => row.slice(0, -1)),
      { dtype: "int32" },
    );
    const targets = tensor(
      rows.flatMap((row) => row.slice(1)),
      { dtype: "int32" },
    );
    const loss = F.crossEntropy(model.forward(inputs).reshape([B * T, -1]), targets);
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.item();
  });
}

/** Median milliseconds of a step. */
function ours(): number {
  const times = Array.from({ length: STEPS }, (_, i) => {
    const begin = performance.now();
    step(i);
    return performance.now() - begin;
  });
  return median(times.slice(3));
}

/** The same of PyTorch + PEFT, null where there is none. */
function theirs(): { milliseconds: number; torch: string } | null {
  const folder = mkdtempSync(join(tmpdir(), "wasmgrad-bench-"));
  try {
    const tokens = join(folder, "tokens.json");
    writeFileSync(tokens, JSON.stringify({ batches }));
    const { status, stdout } = spawnSync("python3", ["bench/lora-step.py", modelDir, tokens, String(STEPS)], {
      encoding: "utf8",
    });
    return status === 0 ? JSON.parse(stdout.trim().split("\n").at(-1) as string) : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function product(): number {
  return scope(() => {
    const a = F.matmul(
      tensor(new Float32Array(512 * 512).fill(1), { shape: [512, 512] }),
      tensor(new Float32Array(512 * 512).fill(1), { shape: [512, 512] }),
    );
    const times = Array.from({ length: 30 }, () => {
      const begin = performance.now();
      scope(() => void F.matmul(a, a));
      return performance.now() - begin;
    });
    return median(times);
  });
}

const own: number[] = [];
const peer: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  own.push(ours());
  const other = theirs();
  if (other) peer.push(other.milliseconds);
  console.log(
    `round ${round + 1}: wasmgrad ${own[round].toFixed(1)} ms, PyTorch + PEFT ${other ? `${other.milliseconds.toFixed(1)} ms (torch ${other.torch})` : "absent"}`,
  );
}
console.log(
  `LoRA step ${B} × ${T}, ${variant}: ${median(own).toFixed(1)} ms; 512³ product: ${product().toFixed(2)} ms`,
);
if (peer.length > 0) console.log(`ratio to PyTorch + PEFT on one thread: ${(median(own) / median(peer)).toFixed(2)}`);

const { reservedBytes } = memoryStats();
for (let i = 0; i < 1000; i++) step(i);
console.log(`reserved memory after 1,000 more steps: ${memoryStats().reservedBytes - reservedBytes} bytes more`);
handle.detach();
optimizer.dispose();
model.dispose();
