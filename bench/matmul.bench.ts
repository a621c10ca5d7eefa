/** The matrix product beside multiply-adds in registers, by every variant of the kernels. */
import { relaxedSimd } from "wasm-feature-detect";
import { benchKernels } from "./kernels.js";
import { everyLayout, type Product, productCase } from "./products.js";

const products: Product[] = [
  ...everyLayout(64, 64, 64),
  ...everyLayout(128, 128, 128),
  ...everyLayout(256, 256, 256),
  ...everyLayout(512, 512, 512),
  ...everyLayout(1024, 1024, 1024),
  ...everyLayout(512, 768, 768),
  ...everyLayout(512, 768, 3072),
  // A step of the MLP: xWᵀ, dy W, dyᵀx.
  { m: 64, k: 784, n: 512, layout: "NT" },
  { m: 64, k: 512, n: 512, layout: "NN" },
  { m: 512, k: 64, n: 784, layout: "TN" },
  // A step of the GPT: up, down, and their gradients.
  { m: 512, k: 128, n: 384, layout: "NT" },
  { m: 512, k: 128, n: 512, layout: "NT" },
  { m: 512, k: 512, n: 128, layout: "NT" },
  { m: 512, k: 128, n: 512, layout: "NN" },
  { m: 128, k: 512, n: 512, layout: "TN" },
  // A LoRA step, rank 8: z·Aᵀ, h·Bᵀ, dhᵀ·z, dyᵀ·h, dh·A.
  { m: 1024, k: 64, n: 8, layout: "NT" },
  { m: 1024, k: 8, n: 172, layout: "NT" },
  { m: 8, k: 1024, n: 64, layout: "TN" },
  { m: 172, k: 1024, n: 8, layout: "TN" },
  { m: 1024, k: 8, n: 64, layout: "NN" },
  { m: 1024, k: 64, n: 172, layout: "NT" },
  { m: 1024, k: 172, n: 64, layout: "NT" },
  { m: 16, k: 768, n: 768, layout: "NT" },
  { m: 16, k: 768, n: 768, layout: "NN" },
  { m: 511, k: 511, n: 511, layout: "NN" },
];

const cases = () => products.map(productCase);
await benchKernels("matmul", cases, (await relaxedSimd()) ? ["baseline", "relaxed"] : ["baseline"]);
