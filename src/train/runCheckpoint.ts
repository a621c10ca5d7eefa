/** What `fit` saves so that it can go on, and how it does. */
import { files } from "#files";
import { checkOptions } from "../errors.js";
import {
  Checkpoint,
  type CheckpointParts,
  type CheckpointSource,
  type CheckpointTarget,
  type Stateful,
  saveCheckpoint,
} from "../io/checkpoint.js";
import type { History } from "./history.js";

export interface RunCheckpointOptions {
  /** Written after each epoch, and where an abort or a callback ends the training. */
  target: CheckpointTarget;
  /** Also after this many steps each. */
  everySteps?: number;
  /** Go on from `target` if it has been written, or from this checkpoint. */
  resume?: boolean | CheckpointSource;
  /** What is saved of the model: all of it by default; an adapter's handle saves the adapter alone. */
  model?: CheckpointParts["model"];
}

/** Where a run is, beside what has state of its own. */
export interface RunState {
  history: History;
  /** Of the present epoch so far. */
  mean: { sum: number; count: number };
  /** Whether the present epoch has no batch left. */
  isRead: boolean;
  validation: unknown;
  callbacks: unknown[];
}

type Parts = Omit<CheckpointParts, "loader"> & { loader: Stateful<{ batch: number }> };

export class RunCheckpoint {
  private readonly parts: Parts;

  constructor(
    private readonly options: RunCheckpointOptions,
    parts: Record<"model" | "optimizer" | "scheduler" | "loader", unknown>,
  ) {
    checkOptions("fit: checkpoint", options, ["target", "everySteps", "resume", "model"]);
    const { target, everySteps = 1, resume } = options;
    if (!target) throw new Error(`fit: the checkpoint's target must be given, got ${target}`);
    if (!(Number.isInteger(everySteps) && everySteps >= 1)) {
      throw new Error(`fit: the checkpoint's everySteps must be a whole number from 1, got ${everySteps}`);
    }
    if (resume === true && typeof target === "function") {
      throw new Error("fit: a target that is resumed must be readable, got a function; give the bytes as resume");
    }
    for (const [name, part] of Object.entries(parts)) {
      if (part && !isStateful(part)) {
        throw new Error(`fit: with a checkpoint, the ${name} must have stateDict and loadStateDict, got one without`);
      }
    }
    this.parts = parts as unknown as Parts;
  }

  isDue(steps: number): boolean {
    const { everySteps } = this.options;
    return everySteps !== undefined && steps % everySteps === 0;
  }

  /** After an epoch, or in one. */
  async save(isInEpoch: boolean, state: Omit<RunState, "isRead">): Promise<void> {
    const run: RunState = { ...state, isRead: isInEpoch && this.parts.loader.stateDict().batch === 0 };
    await saveCheckpoint(this.options.target, { ...this.parts, extra: { fit: JSON.stringify(run, writeNumber) } });
  }

  /** Gives every part the state of the checkpoint to resume; null where there is none. Errors: one that is not `fit`'s. */
  async load(callbacks: number): Promise<RunState | null> {
    const source = await this.source();
    if (source === null) return null;
    const checkpoint = await Checkpoint.open(source);
    try {
      const { fit } = (checkpoint.extra ?? {}) as { fit?: string };
      if (!fit) throw new Error("fit: the checkpoint to resume must be one that fit saved, got another");
      const run: RunState = JSON.parse(fit, readNumber);
      if (run.callbacks.length !== callbacks) {
        throw new Error(
          `fit: resuming needs the ${run.callbacks.length} callbacks with state that the checkpoint was saved with, got ${callbacks}`,
        );
      }
      await checkpoint.restore(this.parts);
      return run;
    } finally {
      await checkpoint.close();
    }
  }

  private async source(): Promise<CheckpointSource | null> {
    const { target, resume = false } = this.options;
    if (typeof resume !== "boolean") return resume;
    if (!resume || typeof target === "function") return null;
    const isWritten = typeof target === "string" ? await files.exists(target) : (await target.getFile()).size > 0;
    return isWritten ? target : null;
  }
}

export function isStateful(value: unknown): value is Stateful<unknown> {
  const { stateDict, loadStateDict } = (value ?? {}) as Partial<Stateful<unknown>>;
  return typeof stateDict === "function" && typeof loadStateDict === "function";
}

/** Losses that are not finite would be null in JSON. */
function writeNumber(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

function readNumber(_key: string, value: unknown): unknown {
  return value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value;
}
