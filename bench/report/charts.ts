/** The charts of the report, as data: prepared here, drawn in the page. */
import type { Result, Suite } from "../results.js";

export interface Chart {
  title: string;
  /** What the values are, and which way is good. */
  note: string;
  unit: string;
  logarithmic: boolean;
  rows: string[];
  /** One value per row, null where there is none. */
  series: { name: string; values: (number | null)[] }[];
}

/** "wasmgrad (relaxed-simd, 2 threads)" */
export function labelOf({ library, variant, runtime, threads }: Result): string {
  const inPage = runtime.startsWith("Chromium") && library !== runtime ? "Chromium" : undefined;
  const details = [variant, inPage, threads > 1 ? `${threads} threads` : undefined].filter(
    (each) => each !== undefined,
  );
  return details.length > 0 ? `${library} (${details.join(", ")})` : library;
}

type Pick = (result: Result) => number | undefined;

function chart(results: readonly Result[], pick: Pick, rest: Omit<Chart, "rows" | "series">): Chart {
  const measured = results.filter((result) => pick(result) !== undefined);
  const rows = [...new Set(measured.map(({ row }) => row))];
  const names = [...new Set(measured.map(labelOf))];
  const series = names.map((name) => ({
    name,
    values: rows.map((row) => {
      const found = measured.find((result) => result.row === row && labelOf(result) === name);
      return found ? (pick(found) as number) : null;
    }),
  }));
  return { ...rest, rows, series };
}

export function chartsOf(suites: readonly Suite[]): Chart[] {
  const of = (suite: string) => suites.find((each) => each.suite === suite)?.results ?? [];
  const peers = of("peers");
  const rate: Pick = ({ rate }) => rate?.value;
  const milliseconds: Pick = ({ seconds }) => seconds && seconds * 1000;
  const isStep = ({ row }: Result) => /step/.test(row);
  const isProduct = ({ row }: Result) => /^matmul/.test(row);
  const shares = suites.flatMap(({ suite, results }) =>
    results.filter(({ share }) => share).map((result) => ({ ...result, row: `${suite}: ${result.row}` })),
  );
  const isStream = ({ share }: Result) => share?.of === "copy" || share?.of === "reading";
  const ofCeiling = shares.filter((result) => !isStream(result));
  const ofCopy = shares.filter(isStream);
  const percent: Pick = ({ share }) => share && 100 * share.value;
  const fastest = peers.filter(({ library }) => !/cpu|js-pytorch/.test(library));
  return [
    chart(peers.filter(isStep), milliseconds, {
      title: "Training steps",
      note: "Milliseconds a step, logarithmic; shorter is better. All train the same: the first five losses agree.",
      unit: "ms",
      logarithmic: true,
    }),
    chart(fastest.filter(isProduct), rate, {
      title: "Matrix products",
      note: "GFLOP/s; longer is better. N and T: whether an operand lies in memory as it is or transposed.",
      unit: "GFLOP/s",
      logarithmic: false,
    }),
    chart(
      fastest.filter((result) => !isStep(result) && !isProduct(result)),
      milliseconds,
      {
        title: "Other operations",
        note: "Milliseconds, logarithmic; shorter is better.",
        unit: "ms",
        logarithmic: true,
      },
    ),
    chart(ofCeiling, percent, {
      title: "Share of what the processor can do",
      note: "Percent of multiply-adds in registers, or of a step's roofline, in the same moments.",
      unit: "%",
      logarithmic: false,
    }),
    chart(ofCopy, percent, {
      title: "Share of the bandwidth",
      note: "Percent: bytes per second over those of a plain copy (of reading alone, where a kernel hardly writes) as large.",
      unit: "%",
      logarithmic: false,
    }),
    chart(of("runtimes").filter(isStep), milliseconds, {
      title: "Training steps by runtime",
      note: "Milliseconds a step; shorter is better. With baseline SIMD every runtime and number of threads ends in the same bits.",
      unit: "ms",
      logarithmic: false,
    }),
    chart(of("startup"), milliseconds, {
      title: "First result",
      note: "Milliseconds from the import to the first result in a fresh process; shorter is better.",
      unit: "ms",
      logarithmic: false,
    }),
    chart(of("startup"), rate, {
      title: "Download",
      note: "KiB of all JavaScript and the one WebAssembly variant that runs, minified, gzipped; logarithmic.",
      unit: "KiB",
      logarithmic: true,
    }),
  ].filter(({ rows }) => rows.length > 0);
}
