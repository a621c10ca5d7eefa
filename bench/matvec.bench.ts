/** One to four rows times a matrix, as in generation: beside reading as many bytes as the matrix has. */
import { benchKernels, type KernelCase } from "./kernels.js";
import { type Product, productCase } from "./products.js";

const sizes = [
  [288, 768],
  [512, 512],
  [768, 3072],
  [2048, 2048],
  [4096, 4096],
] as const;

function streamed(product: Product): KernelCase {
  const { name, run, check } = productCase(product);
  return { name, run, check, bytes: 4 * product.k * product.n, reads: true };
}

await benchKernels("matvec", () =>
  sizes.flatMap(([k, n]) =>
    [1, 2, 4].flatMap((m) => (["NT", "NN"] as const).map((layout) => streamed({ m, k, n, layout }))),
  ),
);
