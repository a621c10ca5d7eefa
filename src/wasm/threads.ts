/** Starts the pool: loaded only where there can be more than one thread. */
import { workers } from "#workers";
import { MAX_THREADS } from "./job.js";
import type { Kernels } from "./kernels.gen.js";
import { kernelNames, parallelKernels } from "./parallel.js";
import { Pool } from "./pool.js";

/** What "auto" takes at the most: matrix products gain little beyond, what streams through memory nothing. */
const MOST = 8;

export interface ThreadOptions {
  threads: number | "auto";
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  kernels: Kernels;
  /** Gets why there are fewer threads than were asked for. */
  reasons: string[];
}

export interface Threads {
  threads: number;
  kernels: Kernels;
  end: () => Promise<void>;
}

/** Nothing where there is one core, or where workers cannot start. `lost` is called when a worker has died. */
export async function startThreads(
  { threads, module, memory, kernels, reasons }: ThreadOptions,
  lost: (reason: string) => void,
): Promise<Threads | undefined> {
  const cores = workers.cores();
  const count = threads === "auto" ? Math.min(cores, MOST) : Math.min(threads, MAX_THREADS);
  if (count === 1) return undefined;
  if (threads !== "auto" && threads > count) reasons.push(`${threads} threads asked, ${count} are the most`);
  if (count > cores) reasons.push(`${count} threads on ${cores} cores slow each other down`);
  try {
    const pool = await Pool.start(count, module, memory, kernels as never, kernelNames, lost);
    return { threads: count, kernels: parallelKernels(kernels, pool), end: () => pool.end() };
  } catch (error) {
    reasons.push(`one thread: workers must start, got ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}
