/**
 * The side of a library in the benchmark: prepares cases and times slices of them, asked through lines of JSON or, in a
 * page, through `peer` (page.ts).
 */
import { Bench } from "tinybench";
import type { Spec } from "./rows.js";

/** A case that is ready to be timed. */
export interface Prepared {
  run: () => unknown;
  /** How often `run` does what the row names; once if left out. */
  calls?: number;
  /** Samples of the result, or the first losses: what is compared between libraries before anything is timed. */
  values: ArrayLike<number>;
  dispose?: () => void;
}

/** A case that the library cannot do. */
export interface Refused {
  why: string;
}

export interface Library {
  /** Name, version, and whatever else decides what runs. */
  about: Record<string, string | number>;
  prepare: (spec: Spec) => Promise<Prepared | Refused> | Prepared | Refused;
}

export type Question = { do: "prepare"; spec: Spec } | { do: "time"; milliseconds: number } | { do: "drop" };
export type Answer =
  | { about: Record<string, string | number> }
  | { values: number[]; once: number }
  | { why: string }
  | { seconds: number }
  | { dropped: true };

/** `count` elements spread over `values`. */
export function samples(values: ArrayLike<number>, count = 64): number[] {
  const step = Math.max(1, values.length / count);
  return Array.from({ length: Math.min(count, values.length) }, (_, i) => values[Math.floor(i * step)]);
}

/** The training batches' and the LoRA step's way to give their first losses. */
export async function firstLosses(step: () => number | Promise<number>): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < 5; i++) losses.push(await step());
  return losses;
}

const SLOW_SECONDS = 1;
/** A call longer than this is timed once in a slice. */
const LONG_SECONDS = 0.3;
/** After half of it V8 still runs parts of a training step as they were first compiled. */
const WARM_MILLISECONDS = 1500;

let current: (Prepared & { once: number }) | null = null;

async function prepare(library: Library, spec: Spec): Promise<Answer> {
  const prepared = await library.prepare(spec);
  if ("why" in prepared) return prepared;
  current = { ...prepared, once: Number.NaN };
  let once = Number.NaN;
  // A warm-up, until engines have compiled what is hot, whose last call says how long it takes; one call is enough to
  // know of a slow one.
  const start = performance.now();
  for (let calls = 0; (calls < 2 || performance.now() - start < WARM_MILLISECONDS) && !(once > SLOW_SECONDS); calls++) {
    const begin = performance.now();
    await prepared.run();
    once = (performance.now() - begin) / 1000;
  }
  current.once = once;
  return { values: samples(prepared.values), once };
}

/**
 * The median of the calls that fit into a slice of time, three at the least of those that are not long. One before them is not timed: it finds the
 * caches full of what other libraries left, and threads asleep, which no second step of a training does.
 */
async function time(milliseconds: number): Promise<number> {
  const { run, calls = 1, once } = current as NonNullable<typeof current>;
  const isLong = once > LONG_SECONDS;
  if (!isLong) await run();
  const bench = new Bench({ time: milliseconds, iterations: isLong ? 1 : 3, warmup: false, throws: true });
  bench.add("slice", run as () => unknown);
  await bench.run();
  const { result } = bench.tasks[0];
  if (!("latency" in result)) throw new Error(`internal: a slice must have been timed, got ${result.state}`);
  return result.latency.p50 / 1000 / calls;
}

async function answer(library: Library, question: Question): Promise<Answer> {
  if (question.do === "prepare") return prepare(library, question.spec);
  if (question.do === "time") return { seconds: await time(question.milliseconds) };
  current?.dispose?.();
  current = null;
  return { dropped: true };
}

/** A library as it is asked. */
export interface Asked {
  /** What it is, or why it cannot run. */
  first: Answer;
  ask: (question: Question) => Promise<Answer>;
}

async function asked(start: (args: string[]) => Promise<Library | Refused>, args: string[]): Promise<Asked> {
  const library = await start(args).catch((error) => ({ why: reason(error) }));
  if ("why" in library) return { first: library, ask: async () => library };
  const ask = (question: Question) => answer(library, question).catch((error) => ({ why: `failed: ${reason(error)}` }));
  return { first: { about: library.about }, ask };
}

/**
 * `start` gets the program's arguments, or those in the address of the page. Says what the library is, then answers until
 * the input ends.
 */
export async function serve(start: (args: string[]) => Promise<Library | Refused>): Promise<void> {
  if (typeof document !== "undefined") {
    const args = new URL(location.href).searchParams.getAll("argument");
    Object.assign(globalThis, { peer: asked(start, args) });
    return;
  }
  console.log = console.error; // the answers have the output to themselves
  const say = (message: Answer) => process.stdout.write(`${JSON.stringify(message)}\n`);
  const { first, ask } = await asked(start, process.argv.slice(2));
  say(first);
  if ("why" in first) return;
  const { createInterface } = await import("node:readline");
  for await (const line of createInterface({ input: process.stdin })) say(await ask(JSON.parse(line)));
  process.exit(0);
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0].slice(0, 200);
}
