/** The figures as Markdown. */
import type { Result, Suite } from "../results.js";
import { labelOf } from "./charts.js";

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

export function timeOf(seconds: number): string {
  if (seconds >= 1) return `${seconds.toPrecision(3)} s`;
  if (seconds >= 1e-4) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  return `${Number((seconds * 1e6).toPrecision(3))} µs`;
}

function figure({ seconds, rate, share, text }: Result): string {
  const parts = [
    ...(seconds === undefined ? [] : [timeOf(seconds)]),
    ...(rate ? [`${Number(rate.value.toPrecision(3))} ${rate.unit}`] : []),
    ...(share ? [`${(100 * share.value).toFixed(0)} % of ${share.of}`] : []),
    ...(text ? [text] : []),
  ];
  return parts.join(", ");
}

/** Every row of a suite with every library, and below the reasons for what is missing. */
export function suiteTable({ results }: Suite): string {
  const labels = [...new Set(results.map(labelOf))];
  const shown = labels.filter((label) => results.some((result) => labelOf(result) === label && !result.why));
  const rows = [...new Set(results.map(({ row }) => row))].map((row) => [
    row,
    ...shown.map((label) => {
      const found = results.find((result) => result.row === row && labelOf(result) === label);
      return found && !found.why ? figure(found) : "–";
    }),
  ]);
  const reasons = new Map<string, string[]>();
  for (const result of results) {
    if (!result.why) continue;
    const key = `${labelOf(result)}: ${result.why}`;
    reasons.set(key, [...(reasons.get(key) ?? []), result.row]);
  }
  const total = rows.length;
  const notes = [...reasons].map(([key, at]) => `- ${key}${at.length === total ? "" : ` (${at.join("; ")})`}`);
  return [markdownTable(["", ...shown], rows), ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}

const isPeer = ({ library }: Result) => library !== "wasmgrad" && library !== "PyTorch";
/** ONNX Runtime's Node package is a native add-on, as PyTorch is native. */
const isNativeAddon = ({ library }: Result) => library === "onnxruntime-node";
const isJavaScript = (result: Result) => isPeer(result) && !isNativeAddon(result);

const isOurs = ({ library }: Result) => library === "wasmgrad";
const named = ({ library, seconds }: Result, where = "") => `${timeOf(seconds as number)} (${library}${where})`;

const place = ({ runtime }: Result) => runtime.split(" ")[0];
const ratio = (a: Result | undefined, b: Result | undefined) =>
  a?.seconds && b?.seconds ? `${(a.seconds / b.seconds).toFixed(2)} ×` : "–";
const time = (result: Result | undefined) => (result?.seconds ? timeOf(result.seconds) : "–");

function fastest(candidates: readonly Result[]): Result | undefined {
  return candidates.reduce<Result | undefined>(
    (best, next) => (!best || (next.seconds as number) < (best.seconds as number) ? next : best),
    undefined,
  );
}

/** For the README: two threads, in Node and in Chromium, where alone TensorFlow.js has them. */
export function twoThreadsTable({ results }: Suite): string {
  const measured = results.filter(({ row, seconds }) => /512 × 512 × 512|step/.test(row) && seconds !== undefined);
  const double = measured.filter(({ threads }) => threads === 2);
  const rows = [...new Set(double.map(({ row }) => row))].map((row) => {
    const here = double.filter((result) => result.row === row);
    const ours = (where: string) => here.find((result) => isOurs(result) && place(result) === where);
    const one = measured.find((result) => result.row === row && isOurs(result) && result.threads === 1);
    const peer = fastest(here.filter(isJavaScript));
    const torch = here.find(({ library }) => library === "PyTorch");
    return [
      row,
      time(ours("Node")),
      ratio(one, ours("Node")),
      time(ours("Chromium")),
      peer ? named(peer, `, ${place(peer)}`) : "–",
      ratio(peer, peer && ours(place(peer))),
      time(torch),
      ratio(torch, ours("Node")),
    ];
  });
  const head = [
    "two threads",
    "wasmgrad",
    "gain",
    "in Chromium",
    "fastest peer in JavaScript",
    "it takes",
    "PyTorch",
    "it takes",
  ];
  return markdownTable(head, rows);
}

/** For the README: wasmgrad, the fastest peer that runs in JavaScript and WebAssembly, and PyTorch, one thread each. */
export function readmeTable({ results }: Suite, startup: readonly Result[]): string {
  const single = results.filter(({ threads, seconds }) => threads === 1 && seconds !== undefined);
  const rows = [...new Set(single.map(({ row }) => row))].map((row) => {
    const here = single.filter((result) => result.row === row);
    const ours = fastest(here.filter(isOurs));
    const peer = fastest(here.filter(isJavaScript));
    const torch = here.find(({ library }) => library === "PyTorch");
    return [row, time(ours), peer ? named(peer) : "–", ratio(peer, ours), time(torch), ratio(torch, ours)];
  });
  const started = startup.map(({ row, library: name, seconds, rate }) => ({ row, name, seconds, value: rate?.value }));
  const startRows = [...new Set(started.map(({ row }) => row))].map((row) => {
    const at = (name: string) => started.find((each) => each.row === row && each.name === name);
    const show = (each: ReturnType<typeof at>) =>
      each?.seconds !== undefined
        ? timeOf(each.seconds)
        : each?.value !== undefined
          ? `${each.value.toFixed(0)} KiB`
          : "–";
    const jax = at("jax-js wasm");
    return [row, show(at("wasmgrad")), jax ? `${show(jax)} (jax-js wasm)` : "–", "", "", ""];
  });
  const head = ["", "wasmgrad", "fastest peer in JavaScript", "it takes", "PyTorch, native", "it takes"];
  return markdownTable(head, [...rows, ...startRows]);
}
