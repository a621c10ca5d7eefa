/** From a run's results to its HTML report in the output folder. */
import { files } from "#files";
import type { RuntimeInfo } from "../runtime.js";
import type { FinetuneResult, PhaseResult } from "./finetune.js";
import { type Phase, type RunReport, reportHtml } from "./report.js";

export interface RunDescription {
  title: string;
  summary: string;
  model: string;
  data: readonly string[];
  runtime: RuntimeInfo;
  begun: Date;
  seed: number;
  options: RunReport["options"];
}

export interface TitledPhase {
  title: string;
  description: string;
  prompt: string;
  result: PhaseResult;
}

/** Float32 rounding of logits computed along two ways. */
export const MERGE_TOLERANCE = 1e-4;

/** Writes `report.html` and returns its path. */
export async function writeReport(
  out: string,
  run: RunDescription,
  phases: readonly TitledPhase[],
  final: FinetuneResult,
): Promise<string> {
  const { runtime, begun, ...described } = run;
  const path = files.join(out, "report.html");
  const page = reportHtml({
    ...described,
    date: begun,
    runtime: {
      version: runtime.version,
      variant: runtime.variant,
      threads: runtime.threads,
      platform: `Node ${process.versions.node}`,
    },
    command: ["wasmgrad", ...process.argv.slice(2)].join(" "),
    phases: phases.map(toPhase),
    merge: { maxDifference: final.mergeDifference, tolerance: MERGE_TOLERANCE },
    files: final.files.map(({ path: name, bytes }) => ({ name, bytes })),
  });
  await files.writeFileAtomic(path, page);
  return path;
}

function toPhase({ title, description, prompt, result }: TitledPhase): Phase {
  return {
    title,
    description: result.interrupted ? `${description} Interrupted after ${result.losses.length} steps.` : description,
    losses: result.losses.map((loss, i) => ({ step: i + 1, loss })),
    validation: [
      { step: 0, loss: result.validationBefore },
      { step: result.losses.length, loss: result.validationAfter },
    ],
    samples: [{ prompt, before: result.sampleBefore, after: result.sampleAfter }],
    facts: [
      { label: "Parameters", value: result.parameters },
      { label: "Trained", value: result.trainable },
      { label: "Trained share", value: (100 * result.trainable) / result.parameters, unit: "percent" },
      { label: "Steps", value: result.losses.length },
      { label: "Time", value: result.seconds, unit: "seconds" },
      { label: "Tokens per second", value: Math.round(result.tokensPerSecond) },
    ],
  };
}
