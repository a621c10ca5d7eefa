/** What a run of the benchmark leaves behind: one JSON file per suite in bench/results, which report.ts puts together. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";

/** One figure, or the reason why there is none. */
export interface Result {
  row: string;
  /** Who computed it, such as "wasmgrad" or "PyTorch"; where runtimes are compared, the runtime. */
  library: string;
  version?: string;
  /** Where, such as "Node 20.20.2". */
  runtime: string;
  /** Of wasmgrad's kernels. */
  variant?: string;
  threads: number;
  /** The median. */
  seconds?: number;
  /** What the row counts, per second or per element. */
  rate?: { value: number; unit: "GFLOP/s" | "GB/s" | "ns/element" | "KiB" };
  /** Of the yardstick in the same moments: the ceiling of multiply-adds, a copy, or a roofline. */
  share?: { value: number; of: "ceiling" | "copy" | "reading" | "roofline" };
  /** What there is to say where the result is no number. */
  text?: string;
  why?: string;
}

export interface Suite {
  suite: string;
  /** Processor, and how many the machine has. */
  machine: string;
  /** ISO 8601, the day. */
  date: string;
  results: Result[];
}

const folder = "bench/results";

export const runtime: string = `Node ${process.versions.node}`;

export function machine(): string {
  const processors = cpus();
  return `${processors[0].model.trim()}, ${processors.length} processors`;
}

/** Leaves `results` as bench/results/`suite`.json. */
export function writeSuite(suite: string, results: Result[]): void {
  mkdirSync(folder, { recursive: true });
  const content: Suite = { suite, machine: machine(), date: new Date().toISOString().slice(0, 10), results };
  writeFileSync(`${folder}/${suite}.json`, `${JSON.stringify(content, null, 1)}\n`);
}

/** Every suite that a run has left. */
export function readSuites(): Suite[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => JSON.parse(readFileSync(`${folder}/${file}`, "utf8")) as Suite);
}
