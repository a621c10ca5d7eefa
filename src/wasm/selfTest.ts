/** Some engines shipped wrong SIMD code: kernels with known results catch it before any training. */
import type { Kernels } from "./kernels.gen.js";

/** Extents with tails in every direction. */
const [M, K, N] = [5, 7, 19];

/** Memory for `selfTest`: operands, results and the scratch of a small matrix product. */
export const SELF_TEST_BYTES: number = 32768;

const OPERANDS = 4096;

/** What a kernel computes wrongly, if any does. `address` has SELF_TEST_BYTES to use. */
export function selfTest(kernels: Kernels, memory: WebAssembly.Memory, address: number): string | undefined {
  const at = (index: number) => (address + 4 * index) as never;
  const read = (index: number, n: number) => [...new Float32Array(memory.buffer, address + 4 * index, n)];
  const write = (index: number, values: number[]) =>
    new Float32Array(memory.buffer, address + 4 * index, values.length).set(values);
  const fails = (name: string, got: number[], wanted: number[], tolerance: number) =>
    got.every((value, i) => Math.abs(value - wanted[i]) <= tolerance * Math.max(1, Math.abs(wanted[i])))
      ? undefined
      : `${name} must give ${wanted.join(" ")}, got ${got.join(" ")}`;

  const a = Array.from({ length: M * K }, (_, i) => (i % 5) - 2);
  const b = Array.from({ length: K * N }, (_, i) => (i % 7) - 3);
  const product = Array.from({ length: M * N }, (_, i) =>
    Array.from({ length: K }, (_, p) => a[Math.floor(i / N) * K + p] * b[p * N + (i % N)]).reduce((x, y) => x + y),
  );
  write(0, a);
  write(100, b);
  kernels.matmul(at(300), at(0), at(100), 0 as never, at(OPERANDS / 4), 1, M, K, N, 0, N, 0, K, 1, 0, N, 1, 1, 0);
  const wrongProduct = fails("matmul", read(300, M * N), product, 0);

  const x = [-1, 2, -3, 4, 5, -6, 7];
  write(0, x);
  kernels.relu(at(100), at(0), x.length);
  kernels.exp(at(200), at(0), x.length);
  kernels.sum(at(400), at(OPERANDS / 4), at(0), 1, x.length, 1, 0, 1, 2);
  return (
    wrongProduct ??
    fails("relu", read(100, x.length), [0, 2, 0, 4, 5, 0, 7], 0) ??
    fails(
      "exp",
      read(200, x.length),
      [0.36787944, 7.3890561, 0.049787068, 54.59815, 148.41316, 0.0024787522, 1096.6332],
      1e-6,
    ) ??
    fails("sum", read(400, 1), [4], 0)
  );
}
