/** What lets an interrupted fine-tuning go on: one file beside its results, without the base model. */
import { files } from "#files";
import { io } from "../index.js";
import { Checkpoint, type CheckpointParts } from "../io/checkpoint.js";

/** The options that decide what a run computes. */
export type Plan = Readonly<Record<string, unknown>>;

export interface TrainingCheckpoint {
  path: string;
  everySteps: number;
  plan: Plan;
  /** Whether there is a run to go on with. */
  resume: boolean;
}

interface Saved {
  plan: Plan;
  losses: number[];
}

/** Errors: a checkpoint at `path` that is to be resumed and is of a run with other options, or damaged. */
export async function prepareCheckpoint(wanted: TrainingCheckpoint): Promise<TrainingCheckpoint> {
  if (!wanted.resume || !(await files.exists(wanted.path))) return { ...wanted, resume: false };
  const saved = await Checkpoint.open(wanted.path);
  await saved.close();
  const { plan } = saved.extra as Saved;
  const others = Object.keys(wanted.plan).filter((key) => show(plan[key]) !== show(wanted.plan[key]));
  if (others.length > 0) {
    const got = others.map((key) => `${option(key)} ${show(wanted.plan[key])} after ${show(plan[key])}`);
    throw new Error(`--resume must come with the options that the run began with, got ${got.join(", ")}`);
  }
  return wanted;
}

/** Takes up the run's state; its losses so far. */
export async function takeUp({ path }: TrainingCheckpoint, parts: CheckpointParts): Promise<number[]> {
  return (await io.loadCheckpoint<Saved>(path, parts)).losses;
}

export function saveRun({ path, plan }: TrainingCheckpoint, parts: CheckpointParts, losses: number[]): Promise<void> {
  return io.saveCheckpoint(path, { ...parts, extra: { plan, losses } satisfies Saved });
}

function show(value: unknown): string {
  return Array.isArray(value) ? value.join(",") : String(value);
}

/** `batchSize` as it is typed: `--batch-size`. */
function option(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
