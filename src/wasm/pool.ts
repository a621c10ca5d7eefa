/** Threads that share the work of a kernel call: fork, take chunks like the others, join. */
import { workers } from "#workers";
import { OutOfMemoryError, WorkerLostError } from "../errors.js";
import { type Chunks, JOB_BYTES, Job, type Kernel, Slot } from "./job.js";
import { type Ptr, scratchMemory, toAddress } from "./memory.js";
import type { WorkerReport } from "./poolWorker.js";
import { SELF_TEST_BYTES } from "./selfTest.js";
import type { PoolWorker } from "./workers.js";

/**
 * A worker that has not finished its chunk so long after the others is given up: at least so many milliseconds, and so
 * many times what the whole call was estimated to take, as cores differ and a chunk may be half of it. Tests change it.
 */
export const patience: { milliseconds: number; times: number } = { milliseconds: 10_000, times: 20 };

/** How long the main thread spins for the last chunks before it sleeps, where it may. */
const SPIN_MILLISECONDS = 0.2;

/** Longest that a worker may take to start. */
const START_MILLISECONDS = 20_000;

export class Pool {
  private readonly job: Job;
  private readonly crew: PoolWorker[] = [];
  private readonly maySleep: boolean;
  /** Of every worker, which keep it between calls. */
  private scratchBytes = 0;
  private readonly scratch: Ptr[] = [];
  private lost: string | undefined;

  private constructor(
    private readonly kernels: readonly Kernel[],
    private readonly names: readonly string[],
    /** Called when the pool has ended by itself. */
    private readonly ended: (why: string) => void,
  ) {
    this.job = new Job(new SharedArrayBuffer(JOB_BYTES), kernels, 0);
    this.maySleep = maySleep(this.job.ints);
  }

  /**
   * Starts `threads` − 1 workers. Where one that may not start is an error at once, nobody waits for them: a job needs no
   * worker, those that come later find the next one, and one that then fails to start ends the pool. Elsewhere the
   * errors are also that one computes wrong numbers or does not start in time.
   */
  static async start(
    threads: number,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    kernels: { readonly [name: string]: Kernel },
    names: readonly string[],
    ended: (why: string) => void,
  ): Promise<Pool> {
    const pool = new Pool(
      names.map((name) => kernels[name]),
      names,
      ended,
    );
    try {
      const starts = Array.from({ length: threads - 1 }, (_, i) => pool.startWorker(i + 1, module, memory));
      if (workers.refusedAtOnce) for (const start of starts) start.catch((error) => pool.endUnstarted(error));
      else await inTime(Promise.all(starts));
    } catch (error) {
      await pool.end();
      throw error;
    }
    return pool;
  }

  /** Resolves when the worker takes part in jobs. */
  private startWorker(thread: number, module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<unknown> {
    // Never released: the worker writes there whenever it comes to it.
    const scratch = toAddress(scratchMemory.allocate(SELF_TEST_BYTES));
    const start = { module, memory, job: this.job.memory, names: this.names, thread, scratch };
    let report: (report: WorkerReport) => void = () => {};
    let lose: (why: string) => void = () => {};
    const ready = new Promise<void>((resolve, reject) => {
      report = (report) => {
        if (!report.ready) return reject(new Error(report.error));
        lose = (why) => {
          this.lost ??= why;
        };
        resolve();
      };
      lose = (why) => reject(new Error(why));
    });
    this.crew.push(workers.start(start, report, (why) => lose(why)));
    ready.catch(() => {}); // of one that ends with the others when the next is refused, nobody asks
    return ready;
  }

  private endUnstarted(error: Error): void {
    if (this.crew.length === 0) return;
    void this.end();
    this.ended(`workers must start, got ${error.message}`);
  }

  /** Terminates the workers. */
  async end(): Promise<void> {
    this.releaseScratch();
    await Promise.all(this.crew.splice(0).map((worker) => worker.terminate()));
  }

  /** Number of threads, the main one included. */
  get threads(): number {
    return this.crew.length + 1;
  }

  /**
   * Runs a kernel on `chunks` of `args`, which take an estimated time in all; `scratchBytes` is what its scratch argument
   * must have for each worker. Returns the sum of the chunks' results. Errors: a worker that is lost, or in which the
   * kernel failed.
   */
  run(kernel: number, args: readonly number[], chunks: Chunks, nanoseconds: number, scratchBytes: number): number {
    if (this.lost !== undefined) this.giveUp(this.lost);
    if (scratchBytes > this.scratchBytes && !this.growScratch(scratchBytes)) return this.kernels[kernel](...args) ?? 0;
    const { job } = this;
    const { ints } = job;
    const count = job.write(kernel, args, chunks, this.threads);
    Atomics.add(ints, Slot.SEQUENCE, 1);
    if (Atomics.load(ints, Slot.SLEEPING) > 0) Atomics.notify(ints, Slot.SEQUENCE, count - 1);
    try {
      job.takeChunks();
    } finally {
      Atomics.add(ints, Slot.SEQUENCE, 1);
      if (Atomics.load(ints, Slot.INSIDE) > 0) this.join(patience.milliseconds + (patience.times * nanoseconds) / 1e6);
    }
    const failure = job.takeFailure();
    if (failure !== undefined) throw new Error(`${this.names[kernel]}: it must run in every thread, got ${failure}`);
    return job.sumOfResults(count);
  }

  /** Waits until every worker has left the job, for so many milliseconds at the most. */
  private join(most: number): void {
    const { ints } = this.job;
    let last = performance.now();
    let waited = 0;
    while (Atomics.load(ints, Slot.INSIDE) > 0) {
      if (waited > SPIN_MILLISECONDS && this.maySleep) this.sleep(ints);
      else for (let i = 0; i < 100 && Atomics.load(ints, Slot.INSIDE) > 0; i++);
      const now = performance.now();
      waited += Math.min(now - last, 200); // not the hours that a computer was asleep
      last = now;
      if (waited > most) this.giveUp("it left a chunk unfinished");
    }
  }

  private sleep(ints: Int32Array): void {
    Atomics.store(ints, Slot.MAIN_SLEEPS, 1);
    const inside = Atomics.load(ints, Slot.INSIDE);
    if (inside > 0) Atomics.wait(ints, Slot.INSIDE, inside, 100);
    Atomics.store(ints, Slot.MAIN_SLEEPS, 0);
  }

  private giveUp(why: string): never {
    void this.end();
    this.ended(`a worker was lost: ${why}`);
    throw new WorkerLostError(
      `threads: every worker must stay alive, lost one: ${why}; what was being computed is lost, the next operations run on one thread`,
    );
  }

  /** False where there is no memory for it. */
  private growScratch(bytes: number): boolean {
    this.releaseScratch();
    try {
      for (let thread = 1; thread < this.threads; thread++) {
        const ptr = scratchMemory.allocate(bytes);
        this.scratch.push(ptr);
        this.scratchBytes = bytes;
        this.job.setScratch(thread, toAddress(ptr));
      }
      return true;
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      this.releaseScratch();
      return false;
    }
  }

  private releaseScratch(): void {
    for (const ptr of this.scratch.splice(0)) scratchMemory.release(ptr, this.scratchBytes);
    this.scratchBytes = 0;
  }
}

function inTime(starts: Promise<unknown>): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise((_, reject) => {
    const error = new Error(`one did not start within ${START_MILLISECONDS / 1000} seconds`);
    timer = setTimeout(() => reject(error), START_MILLISECONDS);
  });
  return Promise.race([starts, late]).finally(() => clearTimeout(timer));
}

/** The main thread of a browser must not sleep. */
function maySleep(ints: Int32Array): boolean {
  try {
    Atomics.wait(ints, Slot.SEQUENCE, -1, 0);
    return true;
  } catch {
    return false;
  }
}
