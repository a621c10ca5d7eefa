/**
 * GFLOP/s of attention on permuted projections, counting what the causal mask leaves: two products forward, five
 * backward. And their share of what multiply-adds in registers reach at the same moment.
 */
import { kernels } from "../src/wasm/kernels.js";
import { allocate, float32View, nullPtr, type Ptr } from "../src/wasm/memory.js";
import { ceiling, interleave, median, start, table } from "./harness.js";

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

function random(length: number): Ptr {
  const ptr = allocate(4 * length);
  const values = float32View(ptr, length);
  for (let i = 0; i < length; i++) values[i] = Math.random() * 2 - 1;
  return ptr;
}

/** Both passes over random numbers that lie as [B, T, H, D]. */
function passes({ B, H, Hkv, Tq, Tk, D, causal }: Shape): [() => void, () => void] {
  const [q, dq, y, dy] = Array.from({ length: 4 }, () => random(B * Tq * H * D));
  const [k, dk, v, dv] = Array.from({ length: 4 }, () => random(B * Tk * Hkv * D));
  const lse = random(B * H * Tq);
  const queries = [Tq * H * D, D, H * D] as const;
  const keys = [Tk * Hkv * D, D, Hkv * D] as const;
  const sizes = [0, B * Hkv, H, Hkv, Tq, Tk, D, D] as const;
  const rest = [...queries, ...keys, ...keys, 0, 0, 0, 0, causal ? 0 : Tk, 1 / Math.sqrt(D)] as const;
  const work = allocate(kernels.attentionWorkspace(Tk, D, D));
  const gradWork = allocate(kernels.attentionGradWorkspace(H / Hkv, Tq, D, D));
  const gradients = [dq, dk, dv] as const;
  const inputs = [q, k, v, nullPtr] as const;
  return [
    () => kernels.attention(y, lse, ...inputs, work, ...sizes, ...queries, ...rest),
    () =>
      kernels.attentionGrad(
        ...gradients,
        dy,
        y,
        lse,
        ...inputs,
        gradWork,
        ...sizes,
        ...queries,
        ...keys,
        ...keys,
        ...queries,
        ...queries,
        ...rest,
      ),
  ];
}

/** Of one product of the size of q kᵀ. */
function productFlops({ B, H, Tq, Tk, D, causal }: Shape): number {
  return 2 * B * H * D * (causal ? (Tq * (Tq + 1)) / 2 : Tq * Tk);
}

const top = await ceiling(await start());
const timed = interleave(shapes.flatMap(passes), top.run);
const giga = (flops: number, seconds: number[]) => flops / median(seconds) / 1e9;
const rows = shapes.map((shape, i) => {
  const flops = productFlops(shape);
  const forward = timed[2 * i];
  const backward = timed[2 * i + 1];
  const both = forward.seconds.map((s, round) => s + backward.seconds[round]);
  const share = (7 * flops) / median(both) / (top.flops / median([...forward.yardstick, ...backward.yardstick]));
  const { B, H, Hkv, Tq, Tk, D } = shape;
  return [
    `${B}×${H}/${Hkv} heads, ${Tq}×${Tk}, D ${D}${shape.causal ? ", causal" : ""}`,
    `${(median(forward.seconds) * 1e3).toFixed(3)}`,
    giga(2 * flops, forward.seconds).toFixed(1),
    `${(median(backward.seconds) * 1e3).toFixed(3)}`,
    giga(5 * flops, backward.seconds).toFixed(1),
    giga(7 * flops, both).toFixed(1),
    `${(100 * share).toFixed(0)} %`,
  ];
});
console.log(table([["", "forward ms", "GFLOP/s", "backward ms", "GFLOP/s", "both", "of ceiling"], ...rows]));
