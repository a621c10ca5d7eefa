/**
 * The seam to the engine's threads. `#workers` (package.json) is `workers.node.ts` where there is `node:worker_threads`,
 * else `workers.browser.ts`.
 */
import type { WorkerReport, WorkerStart } from "./poolWorker.js";

/** A running worker. */
export interface PoolWorker {
  terminate(): Promise<unknown> | undefined;
}

export interface Workers {
  /** Cores that this process may use. */
  cores(): number;
  /** Whether `start` throws where workers may not start; they start while the caller computes. Else `lost` says so later. */
  refusedAtOnce: boolean;
  /** Starts a worker; `report` gets its message, `lost` why it ended by itself. Errors: what the engine throws. */
  start(data: WorkerStart, report: (report: WorkerReport) => void, lost: (why: string) => void): PoolWorker;
}
