/** GFLOP/s of the matrix product, and its share of what multiply-adds in registers reach at the same moment. */
import { relaxedSimd } from "wasm-feature-detect";
import { shutdown } from "../src/runtime.js";
import { kernels, type SimdOption } from "../src/wasm/kernels.js";
import { allocate, float32View, nullPtr } from "../src/wasm/memory.js";
import { ceiling, interleave, median, start, table } from "./harness.js";

interface Product {
  batch?: number;
  m: number;
  k: number;
  n: number;
  /** N: rows contiguous, T: columns contiguous; of A, then of B. */
  layout: "NN" | "NT" | "TN";
}

const layouts = ["NN", "NT", "TN"] as const;
const every = (m: number, k: number, n: number): Product[] => layouts.map((layout) => ({ m, k, n, layout }));

const products: Product[] = [
  ...every(64, 64, 64),
  ...every(128, 128, 128),
  ...every(256, 256, 256),
  ...every(512, 512, 512),
  ...every(1024, 1024, 1024),
  ...every(512, 768, 768),
  ...every(512, 768, 3072),
  // Attention, 32 heads: scores, values, the keys' gradient.
  { batch: 32, m: 64, k: 32, n: 64, layout: "NT" },
  { batch: 32, m: 64, k: 64, n: 32, layout: "NN" },
  { batch: 32, m: 64, k: 64, n: 32, layout: "TN" },
  { batch: 32, m: 64, k: 32, n: 64, layout: "NN" },
  // A LoRA step, rank 8: z·Aᵀ, h·Bᵀ, dhᵀ·z, dyᵀ·h, dh·A.
  { m: 1024, k: 64, n: 8, layout: "NT" },
  { m: 1024, k: 8, n: 172, layout: "NT" },
  { m: 8, k: 1024, n: 64, layout: "TN" },
  { m: 172, k: 1024, n: 8, layout: "TN" },
  { m: 1024, k: 8, n: 64, layout: "NN" },
  { m: 1024, k: 64, n: 172, layout: "NT" },
  { m: 1024, k: 172, n: 64, layout: "NT" },
  // Generation, one and four tokens at a time.
  { m: 1, k: 768, n: 3072, layout: "NT" },
  { m: 1, k: 768, n: 3072, layout: "NN" },
  { m: 1, k: 288, n: 768, layout: "NT" },
  { m: 1, k: 288, n: 768, layout: "NN" },
  { m: 4, k: 768, n: 3072, layout: "NT" },
  { m: 4, k: 768, n: 3072, layout: "NN" },
  { m: 16, k: 768, n: 768, layout: "NT" },
  { m: 16, k: 768, n: 768, layout: "NN" },
  { m: 511, k: 511, n: 511, layout: "NN" },
];

function random(length: number) {
  const ptr = allocate(4 * length);
  const values = float32View(ptr, length);
  for (let i = 0; i < length; ++i) values[i] = Math.random() * 2 - 1;
  return ptr;
}

/** The product as a function to time, after a look at some of its elements. */
function prepare({ batch = 1, m, k, n, layout }: Product): () => void {
  const [aRow, aCol] = layout[0] === "N" ? [k, 1] : [1, m];
  const [bRow, bCol] = layout[1] === "N" ? [n, 1] : [1, k];
  const a = random(batch * m * k);
  const b = random(batch * k * n);
  const c = allocate(4 * batch * m * n);
  const work = allocate(kernels.matmulWorkspace(m, k, n));
  const run = () =>
    kernels.matmul(c, a, b, nullPtr, work, batch, m, k, n, m * n, n, m * k, aRow, aCol, k * n, bRow, bCol, 1, 0);
  run();
  const [as, bs, cs] = [float32View(a, batch * m * k), float32View(b, batch * k * n), float32View(c, batch * m * n)];
  for (let at = 0; at < cs.length; at += 1 + ((cs.length / 100) | 0)) {
    const [t, i, j] = [(at / (m * n)) | 0, ((at / n) | 0) % m, at % n];
    let sum = 0;
    for (let p = 0; p < k; ++p) sum += as[t * m * k + i * aRow + p * aCol] * bs[t * k * n + p * bRow + j * bCol];
    if (Math.abs(cs[at] - sum) > 1e-6 * k)
      throw new Error(`matmul: ${m}×${k}×${n} ${layout} must be ${sum} at ${at}, got ${cs[at]}`);
  }
  return run;
}

async function report(simd: SimdOption): Promise<void> {
  const best = await ceiling(await start(simd));
  const timed = interleave(products.map(prepare), best.run);
  const rows = products.map(({ batch = 1, m, k, n, layout }, i) => {
    const flops = 2 * batch * m * k * n;
    const { seconds, yardstick } = timed[i];
    const share = median(seconds.map((s, round) => flops / s / (best.flops / yardstick[round])));
    const shape = `${batch > 1 ? `${batch} × ` : ""}${m} × ${k} × ${n}`;
    return [shape, layout, (flops / median(seconds) / 1e9).toFixed(1), `${(100 * share).toFixed(0)} %`];
  });
  const all = median(timed.flatMap(({ yardstick }) => yardstick));
  console.log(`multiply-adds in registers: ${(best.flops / all / 1e9).toFixed(1)} GFLOP/s`);
  console.log(`${table([["m × k × n", "layout", "GFLOP/s", "of ceiling"], ...rows])}\n`);
  await shutdown();
}

await report("baseline");
if (await relaxedSimd()) await report("relaxed");
