/** Stacks of small products, as attention's would be: scores, values, gradients. */
import { benchKernels } from "./kernels.js";
import { type Product, productCase } from "./products.js";

const products: Product[] = [
  { batch: 32, m: 64, k: 32, n: 64, layout: "NT" },
  { batch: 32, m: 64, k: 32, n: 64, layout: "NN" },
  { batch: 32, m: 64, k: 64, n: 32, layout: "NN" },
  { batch: 32, m: 64, k: 64, n: 32, layout: "TN" },
  { batch: 48, m: 128, k: 64, n: 128, layout: "NT" },
];

await benchKernels("batched", () => products.map(productCase));
