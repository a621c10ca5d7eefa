/**
 * Attention on permuted projections beside multiply-adds in registers, counting what the causal mask leaves: two
 * products forward, five backward.
 */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, nullPtr } from "../src/wasm/memory.js";
import { benchKernels, expectFloats, floats, type KernelCase } from "./kernels.js";

interface Shape {
  B: number;
  H: number;
  Hkv: number;
  Tq: number;
  Tk: number;
  D: number;
  causal: boolean;
}

const causal = (B: number, H: number, Hkv: number, T: number, D: number): Shape => {
  return { B, H, Hkv, Tq: T, Tk: T, D, causal: true };
};

const shapes: Shape[] = [
  // A LoRA step of the smallest Llama.
  causal(8, 8, 4, 128, 8),
  causal(8, 4, 4, 64, 32),
  causal(8, 4, 4, 256, 32),
  { ...causal(8, 4, 4, 256, 32), causal: false },
  causal(1, 12, 12, 128, 64),
  causal(1, 12, 12, 512, 64),
  causal(1, 4, 4, 1024, 64),
  // Generation.
  { ...causal(1, 8, 4, 256, 8), Tq: 1, causal: false },
  { ...causal(1, 12, 12, 512, 64), Tq: 1, causal: false },
];

/** Forward, and forward with backward, on numbers that lie as [B, T, H, D]. */
function cases({ B, H, Hkv, Tq, Tk, D, causal }: Shape): KernelCase[] {
  const count = B * Tq * H * D;
  const keyCount = B * Tk * Hkv * D;
  const [q, dq, y, dy] = [1, 2, 3, 4].map((seed) => floats(count, 1, seed));
  const [k, dk, v, dv] = [5, 6, 7, 8].map((seed) => floats(keyCount, 1, seed));
  const lse = floats(B * H * Tq);
  const queries = [Tq * H * D, D, H * D] as const;
  const keys = [Tk * Hkv * D, D, Hkv * D] as const;
  const sizes = [0, B * Hkv, H, Hkv, Tq, Tk, D, D] as const;
  const scale = 1 / Math.sqrt(D);
  const rest = [...queries, ...keys, ...keys, 0, 0, 0, 0, causal ? 0 : Tk, scale] as const;
  const work = allocate(kernels.attentionWorkspace(Tk, D, D));
  const gradWork = allocate(kernels.attentionGradWorkspace(H / Hkv, Tq, D, D));
  const inputs = [q, k, v, nullPtr] as const;
  const strides = [...queries, ...keys, ...keys, ...queries, ...queries, ...rest] as const;
  const forward = () => kernels.attention(y, lse, ...inputs, work, ...sizes, ...queries, ...rest);
  const backward = () => kernels.attentionGrad(dq, dk, dv, dy, y, lse, ...inputs, gradWork, ...sizes, ...strides);

  /** Element `at` of y, by the formula. */
  function element(at: number): number {
    const [b, t, h, d] = [Math.floor(at / (Tq * H * D)), Math.floor(at / (H * D)) % Tq, Math.floor(at / D) % H, at % D];
    const [qs, ks, vs] = [float32View(q, count), float32View(k, keyCount), float32View(v, keyCount)];
    const head = Math.floor((h * Hkv) / H);
    const key = (j: number) => ((b * Tk + j) * Hkv + head) * D;
    let [sum, weighted] = [0, 0];
    for (let j = 0; j < (causal ? t + 1 : Tk); j++) {
      let score = 0;
      for (let e = 0; e < D; e++) score += qs[((b * Tq + t) * H + h) * D + e] * ks[key(j) + e];
      const weight = Math.exp(score * scale);
      sum += weight;
      weighted += weight * vs[key(j) + d];
    }
    return weighted / sum;
  }

  const name = `${B} × ${H}/${Hkv} heads, ${Tq} × ${Tk}, D ${D}${causal ? ", causal" : ""}`;
  const product = 2 * B * H * D * (causal ? (Tq * (Tq + 1)) / 2 : Tq * Tk);
  const both = () => {
    forward();
    backward();
  };
  const check = () => expectFloats(y, count, element);
  return [
    { name: `${name}: forward`, run: forward, check, flops: 2 * product },
    { name: `${name}: both passes`, run: both, check, flops: 7 * product },
  ];
}

await benchKernels("attention", () => shapes.flatMap(cases));
