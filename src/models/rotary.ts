/** Rotary position embedding: frequencies as config.json describes them, and tables of their angles. Su et al. 2021 */
import { noGrad } from "../graph.js";
import { Module } from "../nn/module.js";
import { Buffer } from "../nn/parameter.js";
import { scope } from "../scope.js";
import { empty } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";

/** Hugging Face's `rope_scaling`, or `rope_parameters` as newer files call it. */
export interface RopeConfig {
  rope_type?: string;
  /** `rope_type` in older files. */
  type?: string;
  rope_theta?: number;
  factor?: number;
  low_freq_factor?: number;
  high_freq_factor?: number;
  /** The length of the texts before the model was taught longer ones. */
  original_max_position_embeddings?: number;
  partial_rotary_factor?: number;
}

/** How positions are turned into angles: θᵢ from its unscaled value. */
type Scaling = (frequency: number) => number;

const scalings: Readonly<Record<string, (rope: RopeConfig, model: string) => Scaling>> = {
  default: () => (frequency) => frequency,

  linear(rope, model) {
    const factor = positive(rope, "factor", model);
    return (frequency) => frequency / factor;
  },

  /** Low frequencies, whose waves are longer than the old texts, are divided; between the two bounds it fades. */
  llama3(rope, model) {
    const factor = positive(rope, "factor", model);
    const low = positive(rope, "low_freq_factor", model);
    const high = positive(rope, "high_freq_factor", model);
    const length = positive(rope, "original_max_position_embeddings", model);
    if (!(low < high)) {
      throw new Error(`${model}: the rope's low_freq_factor must be below high_freq_factor, got ${low} and ${high}`);
    }
    return (frequency) => {
      const waves = (length * frequency) / (2 * Math.PI); // in a text of the old length
      if (waves > high) return frequency;
      if (waves < low) return frequency / factor;
      const kept = (waves - low) / (high - low);
      return (1 - kept) * (frequency / factor) + kept * frequency;
    };
  },
};

function positive(rope: RopeConfig, field: keyof RopeConfig, model: string): number {
  const value = rope[field];
  if (typeof value === "number" && value > 0) return value;
  throw new Error(`${model}: the rope's ${field} must be a number above 0, got ${JSON.stringify(value)}`);
}

/** θᵢ = base^(−2i/headDim) for i < headDim/2, scaled as `rope` says; in float32, as PyTorch computes them. */
export function rotaryFrequencies(model: string, headDim: number, rope: RopeConfig): Float32Array {
  const type = rope.rope_type ?? rope.type ?? "default";
  if (!Object.hasOwn(scalings, type)) {
    const known = Object.keys(scalings).join(", ");
    throw new Error(`${model}: the rope type must be one of ${known} in this version, got ${JSON.stringify(type)}`);
  }
  if ((rope.partial_rotary_factor ?? 1) !== 1) {
    throw new Error(
      `${model}: the rope's partial_rotary_factor must be 1 in this version, got ${rope.partial_rotary_factor}`,
    );
  }
  const base = positive({ ...rope, rope_theta: rope.rope_theta ?? 10000 }, "rope_theta", model);
  const scale = scalings[type](rope, model);
  return Float32Array.from({ length: headDim / 2 }, (_, i) =>
    scale(Math.fround(1 / Math.fround(kernels.pow64(base, (2 * i) / headDim)))),
  );
}

/** The rotary tables cos(t·θᵢ), sin(t·θᵢ), [length, headDim/2]. They grow with the longest position asked for. */
export class RotaryTables extends Module {
  private cos: Buffer | null = null;
  private sin: Buffer | null = null;

  constructor(
    private readonly frequencies: Float32Array,
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
    const half = this.frequencies.length;
    const cos = new Float32Array(length * half);
    const sin = new Float32Array(length * half);
    for (let i = 0; i < half; i++) {
      for (let t = 0; t < length; t++) {
        const angle = Math.fround(t * this.frequencies[i]); // float32 angles too: the tables agree to the last bit or two
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
