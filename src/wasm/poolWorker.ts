/** The program of a worker of the pool. The build turns it into a text (poolWorker.gen.ts), so that no bundler has to find it. */
import { Job, type Kernel, Slot } from "./job.js";
import { selfTest } from "./selfTest.js";

/** What a worker is started with. */
export interface WorkerStart {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  job: SharedArrayBuffer;
  /** Of the kernels: a job names one by its place in this list. */
  names: readonly string[];
  /** From 1. */
  thread: number;
  /** Memory for the self-test. */
  scratch: number;
}

/** Its only message: whether it may be given work, and what it failed by. */
export type WorkerReport = { ready: true } | { ready: false; error: string };

/** Long enough to bridge the gaps between the operations of a training step, short enough to leave an idle core alone. */
const SPIN_MILLISECONDS = 0.1;

/** Waits until a job opens that is not `last`: spins for a while, then sleeps. */
function nextJob(ints: Int32Array, last: number): number {
  for (let until = performance.now() + SPIN_MILLISECONDS; ; ) {
    for (let i = 0; i < 200; i++) {
      const sequence = Atomics.load(ints, Slot.SEQUENCE);
      if (sequence & 1 && sequence !== last) return sequence;
    }
    if (performance.now() < until) continue;
    const sequence = Atomics.load(ints, Slot.SEQUENCE);
    if (!(sequence & 1 && sequence !== last)) {
      Atomics.add(ints, Slot.SLEEPING, 1);
      Atomics.wait(ints, Slot.SEQUENCE, sequence);
      Atomics.sub(ints, Slot.SLEEPING, 1);
    }
    until = performance.now() + SPIN_MILLISECONDS;
  }
}

/** Works until it is terminated. */
function work(job: Job): never {
  const { ints } = job;
  for (let last = 0; ; ) {
    last = nextJob(ints, last);
    Atomics.add(ints, Slot.INSIDE, 1);
    if (Atomics.load(ints, Slot.SEQUENCE) === last) {
      try {
        job.takeChunks();
      } catch (error) {
        job.fail(error);
      }
    }
    if (Atomics.sub(ints, Slot.INSIDE, 1) === 1 && Atomics.load(ints, Slot.MAIN_SLEEPS)) {
      Atomics.notify(ints, Slot.INSIDE);
    }
  }
}

/** Instantiates the module over the shared memory, which writes its constants again: the same bytes. */
async function instantiate({ module, memory, scratch }: WorkerStart): Promise<WebAssembly.Exports> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const wrong = selfTest(exports as never, memory, scratch);
  if (wrong) throw new Error(wrong);
  return exports;
}

/** Works for the pool until it is terminated, or says why it cannot. */
export async function serve(start: WorkerStart, post: (report: WorkerReport) => void): Promise<void> {
  const exports = await instantiate(start).catch((error: Error) => error);
  if (exports instanceof Error) {
    post({ ready: false, error: exports.message });
    return;
  }
  const job = new Job(
    start.job,
    start.names.map((name) => exports[name] as Kernel),
    start.thread,
  );
  post({ ready: true });
  work(job);
}
