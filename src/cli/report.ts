/** The report of a run: one HTML page that holds everything it shows and loads nothing. */
import { chartScripts } from "./report/charts.js";
import { type Curve, curveOf, type LossPoint } from "./report/curve.js";
import {
  formatBytes,
  formatCount,
  formatDate,
  formatDuration,
  formatLoss,
  formatPercent,
  formatPower,
} from "./report/format.js";
import { html, type Markup, scriptJson } from "./report/html.js";
import { style } from "./report/style.js";

export type { LossPoint } from "./report/curve.js";

/** What the page says of a run. All text is plain text: the page escapes it. */
export interface RunReport {
  /** The page's heading and title, e.g. "A small Llama, trained and fine-tuned" */
  title: string;
  /** One or two sentences under the heading. */
  summary?: string;
  /** The model in a few words, e.g. "Llama, 4 layers of 128, byte-level" */
  model: string;
  /** The training data, one line for each file, e.g. "fables.txt (46 KiB)" */
  data: readonly string[];
  runtime: Runtime;
  /** When the run began. */
  date: Date;
  seed: number;
  /** The command line as typed; the options in effect, defaults included, stand in `options`. */
  command: string;
  options: Readonly<Record<string, string | number | boolean>>;
  /** What was done, in its order, e.g. training from scratch, then LoRA fine-tuning. */
  phases: readonly Phase[];
  /** Present when an adapter was merged into the weights. */
  merge?: MergeCheck;
  /** The files that the run wrote. */
  files: readonly OutputFile[];
}

export interface Runtime {
  /** The library's own version. */
  version: string;
  variant: "simd" | "relaxed-simd";
  threads: number;
  /** The JavaScript runtime, e.g. "Node 20.20.2" */
  platform: string;
}

export interface Phase {
  /** E.g. "LoRA fine-tuning" */
  title: string;
  /** One or two sentences under the title. */
  description?: string;
  /** Training losses in the order of their steps. A loss that is not finite leaves a gap in the chart. */
  losses: readonly LossPoint[];
  /** Validation losses in the order of their steps: the first is "before" (step 0), the last is "after". */
  validation: readonly LossPoint[];
  samples: readonly Sample[];
  /** Parameters, trainable share, steps, tokens per second, … */
  facts: readonly Fact[];
}

/** What the model wrote after a prompt, before and after the phase. */
export interface Sample {
  prompt: string;
  /** The continuation alone, without the prompt. */
  before?: string;
  after: string;
}

/** Text is shown as it is; a number in its unit's notation: 824,448 · 3.1 MiB · 1 min 12 s · 9.5% · 1.318 */
export interface Fact {
  label: string;
  value: string | number;
  /** Of a number; "count" when left out. */
  unit?: "count" | "bytes" | "seconds" | "percent" | "loss";
}

/** The model's outputs with the adapter beside the weights against those with the adapter merged into them. */
export interface MergeCheck {
  /** max |merged − adapter| over all outputs compared */
  maxDifference: number;
  /** The difference that rounding explains; more is marked as a fault. Without it, the page passes no judgement. */
  tolerance?: number;
}

export interface OutputFile {
  name: string;
  bytes: number;
  /** E.g. "the adapter, as PEFT stores it" */
  description?: string;
}

// Nothing but what stands in the page itself may be loaded, run or sent.
const CONTENT_POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** The run as one self-contained HTML document. */
export function reportHtml(run: RunReport): string {
  const curves = run.phases.map((phase) => curveOf(phase.losses, phase.validation));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${CONTENT_POLICY}">
<meta name="color-scheme" content="light dark">
<title>${run.title}</title>
<style>
${style}
</style>
</head>
<body>
${head(run)}
<main>
${overview(run.phases, curves)}
${run.phases.map((phase, i) => phaseSection(phase, i + 1, curves[i]))}
${filesSection(run)}
${runSection(run)}
</main>
<footer>Written by wasmgrad ${run.runtime.version}. This page holds all of its data and loads nothing.</footer>
<script type="application/json" id="curves">${scriptJson(curves)}</script>
${chartScripts()}
</body>
</html>
`;
  return page.text;
}

function head(run: RunReport): Markup {
  const { variant, threads, platform } = run.runtime;
  return html`<header>
<div class="brand">wasmgrad</div>
<h1>${run.title}</h1>
${run.summary && html`<p class="lead">${run.summary}</p>`}
<ul class="chips">
<li><time datetime="${run.date.toISOString()}">${formatDate(run.date)}</time></li>
<li><b>${variant}</b>, ${plural(threads, "thread")}</li>
<li>${platform}</li>
<li>seed <b>${run.seed}</b></li>
</ul>
</header>`;
}

function overview(phases: readonly Phase[], curves: readonly Curve[]): Markup {
  return html`<nav class="overview" aria-label="Phases">
${phases.map((phase, i) => overviewCard(phase, curves[i], i + 1))}
</nav>`;
}

function overviewCard(phase: Phase, curve: Curve, number: number): Markup {
  const { kind, from, to } = headline(phase);
  return html`<a href="#phase-${number}">
<span class="name">${phase.title}</span>
<span><span class="change">${formatLoss(from)}<span class="arrow"> → </span>${formatLoss(to)}</span>
<span class="what">${kind} loss</span></span>
${sparkline(curve.smoothed)}
</a>`;
}

/** First and last validation loss; training loss where the run validated less than twice. */
function headline({ losses, validation }: Phase): { kind: string; from: number; to: number } {
  const [kind, points] = validation.length > 1 ? ["validation", validation] : ["training", losses];
  return { kind, from: points[0]?.loss ?? Number.NaN, to: points.at(-1)?.loss ?? Number.NaN };
}

const SPARK_POINTS = 60;

/** A decoration: the chart below says the same with axes. */
function sparkline(column: readonly (number | null)[]): Markup | undefined {
  const values = column.filter((value) => value !== null);
  if (values.length < 2) return undefined;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const every = Math.max(1, Math.ceil(values.length / SPARK_POINTS));
  const shown = values.filter((_, i) => i % every === 0 || i === values.length - 1);
  const x = (i: number) => ((100 * i) / (shown.length - 1)).toFixed(1);
  const y = (value: number) => (40 - (40 * (value - low)) / (high - low || 1)).toFixed(1);
  const points = shown.map((value, i) => `${x(i)},${y(value)}`).join(" ");
  return html`<svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
<polyline points="${points}"/>
</svg>`;
}

function phaseSection(phase: Phase, number: number, curve: Curve): Markup {
  return html`<section class="card" id="phase-${number}" aria-labelledby="phase-${number}-title">
<h2 id="phase-${number}-title">${phase.title}</h2>
${phase.description && html`<p class="note">${phase.description}</p>`}
${factList(phase.facts)}
${lossFigure(phase)}
${lossTable(curve)}
${phase.samples.map(sampleColumns)}
</section>`;
}

function factList(facts: readonly Fact[]): Markup | undefined {
  if (facts.length === 0) return undefined;
  // As many columns as fill the rows best: 7 facts are 4 and 3, not 6 and 1.
  const columns = Math.ceil(facts.length / Math.ceil(facts.length / 6));
  return html`<dl class="facts" style="--columns: ${columns}">
${facts.map((fact) => html`<div><dt>${fact.label}</dt><dd>${factValue(fact)}</dd></div>\n`)}</dl>`;
}

const UNITS: Record<NonNullable<Fact["unit"]>, (value: number) => string> = {
  count: formatCount,
  bytes: formatBytes,
  seconds: formatDuration,
  percent: formatPercent,
  loss: formatLoss,
};

function factValue({ value, unit = "count" }: Fact): string {
  return typeof value === "string" ? value : UNITS[unit](value);
}

function lossFigure(phase: Phase): Markup {
  const lost = phase.losses.filter(({ loss }) => !Number.isFinite(loss)).length;
  const lostOf = `${plural(lost, "training loss", "training losses")} of ${formatCount(phase.losses.length)}`;
  return html`<h3>Loss</h3>
<figure>
<div class="chart" role="img" aria-label="${chartLabel(phase)}"></div>
<figcaption>Drag across the chart to zoom in, double-click to zoom out.</figcaption>
</figure>
${lost > 0 ? html`<p class="note">${lostOf} not finite.</p>` : undefined}`;
}

function chartLabel({ losses, validation }: Phase): string {
  const range = (name: string, points: readonly LossPoint[]) =>
    points.length === 0
      ? []
      : [`${name} loss from ${formatLoss(points[0].loss)} to ${formatLoss(points.at(-1)!.loss)}`];
  const ranges = [...range("training", losses), ...range("validation", validation)].join(", ");
  return `Loss over ${plural(losses.at(-1)?.step ?? 0, "step")}: ${ranges || "no losses recorded"}`;
}

const TABLE_ROWS = 12;

/** The chart for those who cannot see it: every validation loss and a dozen training losses. */
function lossTable({ steps, smoothed, validation }: Curve): Markup {
  const every = Math.max(1, Math.ceil(steps.length / TABLE_ROWS));
  const rows = steps.flatMap((step, i) =>
    i % every === 0 || i === steps.length - 1 || validation[i] !== null
      ? [[formatCount(step), lossCell(smoothed[i]), lossCell(validation[i])]]
      : [],
  );
  return html`<details>
<summary>Losses as a table</summary>
<table class="data losses">
<thead><tr>
<th scope="col">Step</th>
<th scope="col" class="number">Training, smoothed</th>
<th scope="col" class="number">Validation</th>
</tr></thead>
<tbody>
${rows.map(lossRow)}</tbody>
</table>
</details>`;
}

function lossRow([step, ...losses]: string[]): Markup {
  const cells = losses.map((loss) => html`<td class="number">${loss}</td>`);
  return html`<tr><th scope="row">${step}</th>${cells}</tr>\n`;
}

function lossCell(loss: number | null): string {
  return loss === null ? "" : formatLoss(loss);
}

function sampleColumns({ prompt, before, after }: Sample): Markup {
  return html`<h3>Sample</h3>
<div class="samples">
${before === undefined ? undefined : sampleText("before", "Before", prompt, before)}
${sampleText("after", "After", prompt, after)}
</div>`;
}

/** The spans keep a leading line end, which a parser drops right after `<pre>`. */
function sampleText(name: string, title: string, prompt: string, continuation: string): Markup {
  return html`<article class="sample ${name}">
<h4>${title}</h4>
<pre tabindex="0">${prompt && html`<mark>${prompt}</mark>`}<span>${continuation}</span></pre>
</article>`;
}

function filesSection({ files, merge }: RunReport): Markup | undefined {
  if (files.length === 0 && !merge) return undefined;
  return html`<section class="card" aria-labelledby="files-title">
<h2 id="files-title">Results</h2>
${merge && mergeVerdict(merge)}
${files.length > 0 ? fileTable(files) : undefined}
</section>`;
}

function mergeVerdict({ maxDifference, tolerance = Number.POSITIVE_INFINITY }: MergeCheck): Markup {
  const good = maxDifference <= tolerance;
  const difference = formatPower(maxDifference);
  const limit = html`, above the <b>${formatPower(tolerance)}</b> that rounding explains`;
  return html`<div class="verdict ${good ? "good" : "poor"}">
<span class="sign" aria-hidden="true">${good ? "✓" : "!"}</span>
<p>With the adapter merged, outputs differ by at most <b>${difference}</b>${good ? undefined : limit}.</p>
</div>`;
}

function fileTable(files: readonly OutputFile[]): Markup {
  return html`<table class="data">
<thead><tr><th scope="col">File</th><th scope="col" class="number">Size</th></tr></thead>
<tbody>
${files.map(fileRow)}</tbody>
</table>`;
}

function fileRow({ name, bytes, description }: OutputFile): Markup {
  const note = description && html`<span class="note">${description}</span>`;
  return html`<tr><th scope="row"><code>${name}</code>${note}</th><td class="number">${formatBytes(bytes)}</td></tr>\n`;
}

function runSection(run: RunReport): Markup {
  const { variant, threads, platform, version } = run.runtime;
  const pairs: [string, string][] = [
    ["Model", run.model],
    ["Data", run.data.join("\n")],
    ["Kernels", `${variant}, ${plural(threads, "thread")}`],
    ["Runtime", platform],
    ["Library", `wasmgrad ${version}`],
    ["Started", formatDate(run.date)],
    ["Seed", String(run.seed)],
  ];
  return html`<section class="card" aria-labelledby="run-title">
<h2 id="run-title">The run</h2>
<table class="data pairs"><tbody>
${pairs.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`)}</tbody></table>
<h3>Command</h3>
<pre class="command">${run.command}</pre>
${optionList(Object.entries(run.options))}
</section>`;
}

function optionList(options: readonly [string, string | number | boolean][]): Markup | undefined {
  if (options.length === 0) return undefined;
  return html`<h3>Options</h3>
<dl class="options">
${options.map(([name, value]) => html`<div><dt>${name}</dt><dd>${String(value)}</dd></div>\n`)}</dl>`;
}

function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
