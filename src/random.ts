/**
 * The generator's state. Random numbers are a function of (seed, counter): every operation that draws reserves a range
 * of counters, so a seed gives the same numbers in every engine, and a mask can be made again from where it began.
 */
import { kernels } from "./wasm/kernels.js";
import { int32View, workspace } from "./wasm/memory.js";

/** All there is to the generator: JSON-safe, for checkpoints. */
export interface RngState {
  seed: number;
  /** The next unused counter; each gives four numbers. */
  offset: number;
}

/** Where a kernel's random numbers begin, in 32-bit words: the seed and the first counter. */
export type RandomRange = readonly [key0: number, key1: number, counter0: number, counter1: number];

let state: RngState = { seed: 0, offset: 0 };

/** Starts the generator anew. `seed` is a whole number from 0; before the first call it is 0. */
export function manualSeed(seed: number): void {
  setRngState({ seed, offset: 0 });
}

export function getRngState(): RngState {
  return { ...state };
}

export function setRngState({ seed, offset }: RngState): void {
  checkWhole("seed", seed);
  checkWhole("offset", offset);
  state = { seed, offset };
}

/** Reserves random numbers for `n` elements. */
export function nextStream(n: number): RandomRange {
  const { seed, offset } = state;
  state.offset += Math.ceil(n / 4);
  return rangeFrom(seed, offset);
}

/** The numbers of `seed` from a counter on, for generators that count for themselves. */
export function rangeFrom(seed: number, counter: number): RandomRange {
  return [low(seed), high(seed), low(counter), high(counter)];
}

const BUFFERED = 256;

/** Random numbers for the host's own choices (shuffling, sampling), apart from the generator's for tensors. */
export class RandomStream {
  private buffer: Int32Array = new Int32Array(0);

  /** @param position how many numbers have been drawn already */
  constructor(
    readonly seed: number,
    public position = 0,
  ) {
    checkWhole("seed", seed);
    checkWhole("position", position);
  }

  /** Uniform in [0, 1), a multiple of 2⁻³². */
  next(): number {
    const at = this.position % BUFFERED;
    if (at === 0 || this.buffer.length === 0) this.refill((this.position - at) / 4);
    this.position++;
    return (this.buffer[at] >>> 0) / 4294967296;
  }

  /** Goes on as if `position` numbers had been drawn. */
  seek(position: number): void {
    checkWhole("position", position);
    this.position = position;
    this.buffer = new Int32Array(0);
  }

  private refill(counter: number): void {
    const words = workspace(4 * BUFFERED);
    // The third word of the counter sets these numbers apart from those of tensors.
    kernels.philox(words, BUFFERED, ...rangeFrom(this.seed, counter), 1, 0);
    this.buffer = int32View(words, BUFFERED).slice();
  }
}

function low(value: number): number {
  return value >>> 0;
}

function high(value: number): number {
  return Math.floor(value / 4294967296);
}

function checkWhole(name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 0)) {
    throw new Error(`random: the ${name} must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, got ${value}`);
  }
}
