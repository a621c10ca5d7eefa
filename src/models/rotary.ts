import { noGrad } from "../graph.js";
import { Module } from "../nn/module.js";
import { Buffer } from "../nn/parameter.js";
import { scope } from "../scope.js";
import { empty } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";

/**
 * The rotary tables cos(t·θᵢ), sin(t·θᵢ), [length, headDim/2], θᵢ = base^(−2i/headDim). Su et al. 2021.
 * They grow with the longest position asked for.
 */
export class RotaryTables extends Module {
  private cos: Buffer | null = null;
  private sin: Buffer | null = null;

  constructor(
    private readonly headDim: number,
    private readonly base: number,
    private readonly expectedLength: number,
  ) {
    super();
  }

  /** Tables for positions 0 to `length` − 1 at least. */
  override forward(length: number): { cos: Buffer; sin: Buffer } {
    if (!this.cos || !this.sin || this.cos.shape[0] < length) this.build(roomFor(length, this.expectedLength));
    return { cos: this.cos as Buffer, sin: this.sin as Buffer };
  }

  private build(length: number): void {
    const half = this.headDim / 2;
    const cos = new Float32Array(length * half);
    const sin = new Float32Array(length * half);
    for (let i = 0; i < half; i++) {
      // float32 frequencies and angles, as PyTorch computes them: the tables agree to the last bit or two
      const frequency = Math.fround(1 / Math.fround(kernels.pow64(this.base, (2 * i) / this.headDim)));
      for (let t = 0; t < length; t++) {
        const angle = Math.fround(t * frequency);
        cos[t * half + i] = kernels.cos64(angle);
        sin[t * half + i] = kernels.sin64(angle);
      }
    }
    this.dispose();
    noGrad(() =>
      scope(() => {
        this.cos = new Buffer(empty([length, half]).set(cos), { persistent: false });
        this.sin = new Buffer(empty([length, half]).set(sin), { persistent: false });
      }),
    );
  }
}

/** The expected length up to 4096 positions, then doubled until it suffices: few rebuilds, no table nobody needs. */
function roomFor(length: number, expected: number): number {
  let room = Math.min(expected, 4096);
  while (room < length) room *= 2;
  return room;
}
