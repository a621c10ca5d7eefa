/** Convolution through the public API, forward and with its backward, beside multiply-adds in registers. */
import { F, keep, scope, type Tensor, tensor } from "../src/index.js";
import { uniform } from "./data.js";
import { benchKernels, type KernelCase } from "./kernels.js";

interface Shape {
  images: number;
  channels: number;
  side: number;
  filters: number;
  kernel: number;
}

const shapes: Shape[] = [
  { images: 32, channels: 1, side: 28, filters: 16, kernel: 3 },
  { images: 32, channels: 16, side: 14, filters: 32, kernel: 3 },
  { images: 8, channels: 64, side: 32, filters: 64, kernel: 3 },
  { images: 8, channels: 64, side: 32, filters: 64, kernel: 1 },
];

function cases({ images, channels, side, filters, kernel }: Shape): KernelCase[] {
  const given = (seed: number, shape: number[]): Tensor => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return keep(tensor(uniform(seed, size), { shape, requiresGrad: true }));
  };
  const x = given(1, [images, channels, side, side]);
  const weight = given(2, [filters, channels, kernel, kernel]);
  const dy = given(3, [images, filters, side, side]).requiresGrad_(false);
  const padding = (kernel - 1) / 2;
  const flops = 2 * images * filters * channels * kernel * kernel * side * side;
  /** The element in the middle of the first image's first filter. */
  const check = () =>
    scope(() => {
      const at = side >> 1;
      const [xs, ws] = [x.data(), weight.data()];
      let sum = 0;
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < kernel; i++) {
          for (let j = 0; j < kernel; j++) {
            const pixel = (c * side + at + i - padding) * side + at + j - padding;
            sum += xs[pixel] * ws[(c * kernel + i) * kernel + j];
          }
        }
      }
      const got = F.conv2d(x, weight, undefined, { padding }).data()[at * side + at];
      if (!(Math.abs(got - sum) < 1e-4 * (1 + Math.abs(sum)))) throw new Error(`conv2d: must be ${sum}, got ${got}`);
    });
  const forward = () => scope(() => void F.conv2d(x, weight, undefined, { padding }));
  const both = () =>
    scope(() => {
      F.conv2d(x, weight, undefined, { padding }).backward(dy);
      for (const leaf of [x, weight]) {
        leaf.grad?.dispose();
        leaf.grad = null;
      }
    });
  const name = `${images} × ${channels} × ${side}², ${filters} filters of ${kernel}²`;
  return [
    { name: `${name}: forward`, run: forward, check, flops },
    { name: `${name}: both passes`, run: both, flops: 3 * flops },
  ];
}

await benchKernels("conv", () => shapes.flatMap(cases));
