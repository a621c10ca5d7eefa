/**
 * A job is one kernel call cut into chunks, written where every thread reads it: a block of shared memory apart from the
 * tensors'. A chunk's arguments are the call's own plus the chunk's number times a step each, except for the extent that
 * is cut; all are float64, which holds every i32, u32 and f32 exactly.
 *
 * A thread enters a job by counting itself in, takes chunks until there are none, and counts itself out. The main thread
 * closes the job before it waits for that count to be 0, so a thread that comes late finds it closed and touches nothing.
 */

/** Places in `ints`. What different threads write at the same time is a cache line of 64 bytes apart. */
export const Slot = {
  /** Odd while a job is open; grows by one when a job opens or closes. */
  SEQUENCE: 0,
  /** Threads beside the main one that are in the job. */
  INSIDE: 16,
  /** Threads that sleep until SEQUENCE changes. */
  SLEEPING: 32,
  /** Whether the main thread sleeps until INSIDE is 0. */
  MAIN_SLEEPS: 48,
  /** The thread that failed in this job, or 0. */
  FAILED: 64,
  KERNEL: 80,
  CHUNKS: 81,
  ARGUMENTS: 82,
  /** Which argument is the extent, and which is the start that it is counted from (−1: it is counted from 0). */
  EXTENT: 83,
  START: 84,
  /** Which argument is scratch memory, or −1. */
  SCRATCH: 85,
  THREADS: 86,
  /** For each thread, the next chunk of its share. */
  NEXT: 96,
} as const;

const LINE = 16;
export const MAX_THREADS = 64;
const INTS = Slot.NEXT + MAX_THREADS * LINE;
const MAX_ARGUMENTS = 80;
/** Most that a thread may be given. */
export const CHUNKS_PER_THREAD = 4;

/** Places in `floats`. */
const TOTAL = 0;
const SIZE = 1;
const BASE = 2;
const STEP = BASE + MAX_ARGUMENTS;
const SCRATCH_OF = STEP + MAX_ARGUMENTS;
const RESULTS = SCRATCH_OF + MAX_THREADS;
const FLOATS = RESULTS + MAX_THREADS * CHUNKS_PER_THREAD;

/** Letters of the error of the thread that failed. */
const LETTERS = 200;

export const JOB_BYTES: number = 4 * INTS + 8 * FLOATS + 2 * LETTERS;

export type Kernel = (...args: number[]) => number | undefined;

/** What a call is cut into. */
export interface Chunks {
  /** The place of the argument that is cut, and of the one it is counted from (−1: from 0). */
  extent: number;
  start: number;
  /** The place of the scratch argument, or −1. */
  scratch: number;
  total: number;
  /** Units of the extent in every chunk but the last. */
  size: number;
  /** What each argument grows by from chunk to chunk. */
  steps: Float64Array;
}

/** Where the share of a thread begins. */
function shareOf(thread: number, threads: number, chunks: number): number {
  return Math.floor((thread * chunks) / threads);
}

/** One thread's view of the shared job. */
export class Job {
  readonly ints: Int32Array;
  private readonly floats: Float64Array;
  private readonly text: Uint16Array;
  private readonly args: number[][] = Array.from({ length: MAX_ARGUMENTS + 1 }, (_, n) => new Array(n).fill(0));

  /** `thread` is 0 for the main one. */
  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly kernels: readonly Kernel[],
    private readonly thread: number,
  ) {
    this.ints = new Int32Array(memory, 0, INTS);
    this.floats = new Float64Array(memory, 4 * INTS, FLOATS);
    this.text = new Uint16Array(memory, 4 * INTS + 8 * FLOATS, LETTERS);
  }

  /** Main thread: writes the job, which nobody may be in. Returns the number of chunks. */
  write(kernel: number, args: readonly number[], chunks: Chunks, threads: number): number {
    const { ints, floats } = this;
    const count = Math.ceil(chunks.total / chunks.size);
    for (let i = 0; i < args.length; i++) {
      floats[BASE + i] = args[i];
      floats[STEP + i] = chunks.steps[i];
    }
    floats[TOTAL] = chunks.total;
    floats[SIZE] = chunks.size;
    ints[Slot.KERNEL] = kernel;
    ints[Slot.CHUNKS] = count;
    ints[Slot.ARGUMENTS] = args.length;
    ints[Slot.EXTENT] = chunks.extent;
    ints[Slot.START] = chunks.start;
    ints[Slot.SCRATCH] = chunks.scratch;
    ints[Slot.FAILED] = 0;
    ints[Slot.THREADS] = threads;
    for (let t = 0; t < threads; t++) Atomics.store(ints, Slot.NEXT + t * LINE, shareOf(t, threads, count));
    return count;
  }

  /** Main thread: where `thread` finds its scratch memory. */
  setScratch(thread: number, address: number): void {
    this.floats[SCRATCH_OF + thread] = address;
  }

  /**
   * Takes the chunks of its own share, then what is left of the others'. A thread that meets the same part of a tensor in
   * one operation after the other finds it in its cache.
   */
  takeChunks(): void {
    const { ints, thread } = this;
    const threads = ints[Slot.THREADS];
    const chunks = ints[Slot.CHUNKS];
    for (let i = 0; i < threads; i++) {
      const owner = (thread + i) % threads;
      this.takeShare(Slot.NEXT + owner * LINE, shareOf(owner + 1, threads, chunks));
    }
  }

  private takeShare(next: number, end: number): void {
    const { ints, floats, thread } = this;
    const kernel = this.kernels[ints[Slot.KERNEL]];
    const count = ints[Slot.ARGUMENTS];
    const extent = ints[Slot.EXTENT];
    const start = ints[Slot.START];
    const scratch = ints[Slot.SCRATCH];
    const size = floats[SIZE];
    const args = this.args[count];
    for (let c = Atomics.add(ints, next, 1); c < end; c = Atomics.add(ints, next, 1)) {
      for (let i = 0; i < count; i++) args[i] = floats[BASE + i] + c * floats[STEP + i];
      args[extent] = (start < 0 ? 0 : args[start]) + Math.min(size, floats[TOTAL] - c * size);
      if (scratch >= 0 && thread > 0) args[scratch] = floats[SCRATCH_OF + thread];
      floats[RESULTS + c] = kernel(...args) ?? 0;
    }
  }

  /** Leaves word of what a kernel threw. */
  fail(error: unknown): void {
    this.text.fill(0).set(Array.from(String(error).slice(0, LETTERS), (letter) => letter.charCodeAt(0)));
    Atomics.store(this.ints, Slot.FAILED, this.thread);
  }

  /** Main thread: what a worker left word of since it was last asked. */
  takeFailure(): string | undefined {
    if (Atomics.exchange(this.ints, Slot.FAILED, 0) === 0) return undefined;
    return String.fromCharCode(...this.text).replace(/\0+$/, "");
  }

  /** Main thread: the sum of what the kernel returned for each chunk, in their order. */
  sumOfResults(chunks: number): number {
    let sum = 0;
    for (let c = 0; c < chunks; c++) sum += this.floats[RESULTS + c];
    return sum;
  }
}
