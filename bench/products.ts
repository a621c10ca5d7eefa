/** Matrix products as cases of a bench. */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, nullPtr } from "../src/wasm/memory.js";
import { expectFloats, floats, type KernelCase } from "./kernels.js";

export interface Product {
  batch?: number;
  m: number;
  k: number;
  n: number;
  /** N: rows contiguous, T: columns contiguous; of A, then of B. */
  layout: "NN" | "NT" | "TN";
}

const layouts = ["NN", "NT", "TN"] as const;

/** One product in every layout. */
export function everyLayout(m: number, k: number, n: number): Product[] {
  return layouts.map((layout) => ({ m, k, n, layout }));
}

/** The product, checked at some of its elements. */
export function productCase({ batch = 1, m, k, n, layout }: Product): KernelCase {
  const [aRow, aCol] = layout[0] === "N" ? [k, 1] : [1, m];
  const [bRow, bCol] = layout[1] === "N" ? [n, 1] : [1, k];
  const a = floats(batch * m * k, 1, 1);
  const b = floats(batch * k * n, 1, 2);
  const c = allocate(4 * batch * m * n);
  const work = allocate(kernels.matmulWorkspace(m, k, n));
  const run = () =>
    kernels.matmul(c, a, b, nullPtr, work, batch, m, k, n, m * n, n, m * k, aRow, aCol, k * n, bRow, bCol, 1, 0);
  const element = (at: number) => {
    const [t, i, j] = [(at / (m * n)) | 0, ((at / n) | 0) % m, at % n];
    const [as, bs] = [float32View(a, batch * m * k), float32View(b, batch * k * n)];
    let sum = 0;
    for (let p = 0; p < k; ++p) sum += as[t * m * k + i * aRow + p * aCol] * bs[t * k * n + p * bRow + j * bCol];
    return sum;
  };
  const name = `${batch > 1 ? `${batch} × ` : ""}${m} × ${k} × ${n} ${layout}`;
  return { name, run, check: () => expectFloats(c, batch * m * n, element, 1e-6 * k), flops: 2 * batch * m * k * n };
}
