/**
 * wasmgrad beside its peers: every row on every library, each in a process of its own that sleeps while others are timed.
 * Results are compared before anything is timed, slices alternate between libraries, medians count.
 * WASMGRAD_BENCH_ROWS, a regular expression, chooses rows, and leaves the results of all as they are.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { createInterface, type Interface } from "node:readline";
import { median, table } from "./harness.js";
import { type Result, runtime, writeSuite } from "./results.js";
import { type Row, rows } from "./rows.js";
import type { Answer, Question } from "./serve.js";

const ROUNDS = 7;
const SLICE_MILLISECONDS = 60;
/** A call longer than this is timed in one round only. */
const SLOW_SECONDS = 1;
/** A call that would take longer than this, by the operations of an earlier one, is left out. */
const PATIENCE_SECONDS = 5;

type About = Record<string, string | number>;

/** A library in a process of its own, which answers one line to each line. */
class Peer {
  private readonly lines: AsyncIterator<string>;
  /** Seconds of an operation in the last row that counts them. */
  pace = 0;

  private constructor(
    private readonly child: ChildProcess,
    reader: Interface,
    public about: About,
  ) {
    this.lines = reader[Symbol.asyncIterator]();
  }

  /** Starts it; one that cannot run says why in `about.why`. */
  static async start(command: string, args: string[], about: About, cwd?: string): Promise<Peer> {
    const child = spawn(command, args, { cwd, stdio: ["pipe", "pipe", "ignore"] });
    child.on("error", () => {}); // the missing first line says it
    const peer = new Peer(child, createInterface({ input: child.stdout }), about);
    const first = await peer.next();
    if ("about" in first) peer.about = { ...about, ...first.about };
    else if ("why" in first) peer.about = { ...about, why: first.why };
    return peer;
  }

  ask(question: Question): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(question)}\n`);
    return this.next();
  }

  private async next(): Promise<Answer> {
    const { value, done } = await this.lines.next();
    return done ? { why: "its process ended" } : JSON.parse(value);
  }

  end(): void {
    this.child.stdin?.end();
    this.child.stdout?.destroy();
  }

  get label(): string {
    const { name, threads, variant, runtime } = this.about;
    const details = [variant, runtime, threads === 1 ? undefined : `${threads} threads`].filter(Boolean);
    return details.length > 0 ? `${name} (${details.join(", ")})` : String(name);
  }
}

const counts = availableParallelism() > 1 ? [1, 2] : [1];
const peersInstalled = existsSync("bench/peers/node_modules");

async function startAll(): Promise<Peer[]> {
  const node = (program: string, about: About, cwd: string | undefined, ...args: (string | number)[]) =>
    Peer.start(process.execPath, [...process.execArgv, program, ...args.map(String)], about, cwd);
  const peer = (program: string, about: About, ...args: (string | number)[]) =>
    node(`build/${program}.mjs`, about, "bench/peers", ...args);
  const started: Promise<Peer>[] = counts.map((threads) =>
    node("build/bench/wasmgrad.mjs", { name: "wasmgrad", threads }, undefined, threads),
  );
  started.push(
    node("build/bench/wasmgrad.mjs", { name: "wasmgrad", threads: 1, variant: "simd" }, undefined, 1, "baseline"),
  );
  if (peersInstalled) {
    for (const threads of counts) {
      started.push(peer("tfjs", { name: "TensorFlow.js wasm", threads }, "wasm", threads));
      for (const flavour of ["web", "node"]) {
        started.push(peer("ort", { name: `onnxruntime-${flavour}`, threads }, flavour, threads));
      }
    }
    started.push(peer("jax", { name: "jax-js wasm", threads: 1 }));
    started.push(peer("tfjs", { name: "TensorFlow.js cpu", threads: 1 }, "cpu", 1));
    started.push(peer("js-pytorch", { name: "js-pytorch", threads: 1 }));
  }
  // In a page, where TensorFlow.js has threads.
  if (counts.length > 1) {
    const page = (name: string, script: string, assets: string, ...args: string[]) =>
      node("build/bench/page.mjs", { name, threads: 2, runtime: "Chromium" }, undefined, script, assets, ...args);
    started.push(page("wasmgrad", "build/bench/pages/wasmgrad.mjs", "", "2"));
    const assets = "bench/peers/node_modules/@tensorflow/tfjs-backend-wasm/dist";
    if (peersInstalled) started.push(page("TensorFlow.js wasm", "build/bench/pages/tfjs.mjs", assets, "wasm", "2"));
  }
  for (const threads of counts) {
    const args = ["-P", "bench/peers/torch.py", String(threads)];
    started.push(Peer.start("python3", args, { name: "PyTorch", threads }));
  }
  return Promise.all(started);
}

interface Timing {
  peer: Peer;
  seconds?: number;
  why?: string;
}

/** The first difference between `values` and the reference's, or null. */
function difference({ spec }: Row, values: readonly number[], reference: readonly number[]): string | null {
  const rounding = spec.kind === "matmul" ? 1e-6 * spec.k : 0;
  // Adam makes whole steps of gradients near 0, whose sign is rounding: losses part slowly, most from float64's.
  const relative = ["mlp", "gpt", "lora"].includes(spec.kind) ? 1e-3 : 1e-4;
  const at = values.findIndex(
    (x, i) => !(Math.abs(x - reference[i]) <= 2e-5 + rounding + relative * Math.abs(reference[i])),
  );
  if (at < 0) return null;
  return `computes something else: ${values[at].toPrecision(6)} where wasmgrad has ${reference[at].toPrecision(6)}`;
}

async function measure(row: Row, peers: readonly Peer[]): Promise<Timing[]> {
  let reference: readonly number[] | null = null;
  const timings: Timing[] = [];
  const ready: { timing: Timing; slow: boolean; seconds: number[] }[] = [];
  for (const peer of peers) {
    const timing: Timing = { peer };
    timings.push(timing);
    const expected = peer.pace * (row.flops ?? 0);
    const why = peer.about.why ?? (expected > PATIENCE_SECONDS ? `would take ${expected.toFixed(0)} s a call` : "");
    const answer = why ? { why: String(why) } : await peer.ask({ do: "prepare", spec: row.spec });
    if ("values" in answer) {
      if (row.flops) peer.pace = answer.once / row.flops;
      reference ??= answer.values;
      const why = difference(row, answer.values, reference);
      if (why) timing.why = why;
      else ready.push({ timing, slow: answer.once > SLOW_SECONDS, seconds: [] });
    } else if ("why" in answer) {
      timing.why = answer.why;
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of ready) {
      if (each.slow && round >= 1) continue;
      const answer = await each.timing.peer.ask({ do: "time", milliseconds: SLICE_MILLISECONDS });
      if ("seconds" in answer) each.seconds.push(answer.seconds);
      else if ("why" in answer) each.timing.why = answer.why;
    }
  }
  for (const { timing, seconds } of ready) if (!timing.why) timing.seconds = median(seconds);
  for (const peer of peers) if (!peer.about.why) await peer.ask({ do: "drop" });
  return timings;
}

function resultOf(row: Row, { peer, seconds, why }: Timing): Result {
  const { name, version, variant, threads } = peer.about;
  const where = String(peer.about.runtime ?? runtime);
  const result: Result = { row: row.name, library: String(name), runtime: where, threads: Number(threads) };
  if (name === "PyTorch") result.runtime = "native";
  if (version !== undefined) result.version = String(version);
  if (variant !== undefined) result.variant = String(variant);
  if (why) return { ...result, why };
  result.seconds = seconds;
  if (row.flops && seconds) result.rate = { value: row.flops / seconds / 1e9, unit: "GFLOP/s" };
  return result;
}

function show(row: Row, timings: readonly Timing[]): string {
  const [ours] = timings;
  const lines = timings
    .filter(({ seconds }) => seconds !== undefined)
    .map(({ peer, seconds = Number.NaN }) => [
      peer.label,
      `${(seconds * 1000).toPrecision(4)} ms`,
      row.flops ? `${(row.flops / seconds / 1e9).toFixed(1)} GFLOP/s` : "",
      `${(seconds / (ours.seconds ?? Number.NaN)).toFixed(2)} ×`,
    ]);
  return `\n${row.name}\n${table(lines)}`;
}

if (!peersInstalled)
  console.log("The peers are not installed (npm run bench:peers does it): wasmgrad and PyTorch alone.");
const peers = await startAll();
for (const peer of peers) {
  const { version = "", why } = peer.about;
  console.log(why ? `${peer.label}: left out: ${why}` : `${peer.label} ${version}`);
}
const stories = process.env.WASMGRAD_BENCH_MODEL ?? "../shared/models/stories260k";
const wanted = new RegExp(process.env.WASMGRAD_BENCH_ROWS ?? "");
const results: Result[] = [];
for (const row of rows(existsSync(stories) ? stories : null)) {
  if (!wanted.test(row.name)) continue;
  const timings = await measure(row, peers);
  console.log(show(row, timings));
  results.push(...timings.map((timing) => resultOf(row, timing)));
}
for (const peer of peers) peer.end();
if (!process.env.WASMGRAD_BENCH_ROWS) writeSuite("peers", results);
