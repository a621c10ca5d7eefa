/**
 * Puts the suites in bench/results together: results.md, and results.html, which holds its charts and needs nothing else.
 * `--readme` writes the summary into README.md, between the marks.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { chartsOf } from "./report/charts.js";
import { readmeTable, suiteTable, twoThreadsTable } from "./report/tables.js";
import { readSuites, runtime, type Suite } from "./results.js";

const BEGIN = "<!-- bench: written by `npm run bench:readme` -->";
const END = "<!-- /bench -->";

function headline({ machine, date }: Suite): string {
  return `${machine}; ${runtime}; ${date}`;
}

function markdown(suites: readonly Suite[]): string {
  const parts = suites.map((suite) => `## ${suite.suite}\n\n${headline(suite)}\n\n${suiteTable(suite)}\n`);
  return `# Benchmark\n\nMedians; what is in one table was measured in alternation.\n\n${parts.join("\n")}`;
}

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

async function pageScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ["bench/report/page.ts"],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    write: false,
    logLevel: "error",
  });
  return outputFiles[0].text.replaceAll("</script", "<\\/script");
}

/** The Markdown tables are simple enough for this: cells hold plain text. */
function htmlTable(table: string): string {
  const lines = table.split("\n");
  const rows = lines.filter((line) => line.startsWith("|") && !line.startsWith("| ---"));
  const cells = (line: string, tag: string) =>
    line
      .slice(2, -2)
      .split(" | ")
      .map((cell) => `<${tag}>${escaped(cell)}</${tag}>`)
      .join("");
  const notes = lines.filter((line) => line.startsWith("- ")).map((line) => `<li>${escaped(line.slice(2))}</li>`);
  const body = rows.slice(1).map((row) => `<tr>${cells(row, "td")}</tr>`);
  return `<div class="wide"><table><tr>${cells(rows[0], "th")}</tr>${body.join("")}</table></div><ul>${notes.join("")}</ul>`;
}

async function html(suites: readonly Suite[]): Promise<string> {
  const charts = chartsOf(suites);
  const sections = charts.map(
    ({ title, note }, i) =>
      `<section><h2>${escaped(title)}</h2><p>${escaped(note)}</p><div id="chart-${i}"></div></section>`,
  );
  const tables = suites.map(
    (suite) =>
      `<details><summary>${escaped(suite.suite)}</summary><p>${escaped(headline(suite))}</p>${htmlTable(suiteTable(suite))}</details>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wasmgrad: benchmark</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 32px auto; padding: 0 20px; color: #222; background: #fbfbf9; }
h1 { margin-bottom: 0; }
section { background: #fff; border: 1px solid #e4e4e0; border-radius: 8px; padding: 4px 20px 16px; margin: 20px 0; }
section p, header p { color: #666; margin-top: -8px; }
header p { margin-top: 4px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 10px; border-bottom: 1px solid #e4e4e0; white-space: nowrap; }
summary { cursor: pointer; font-weight: 600; padding: 6px 0; }
</style>
<header><h1>wasmgrad: benchmark</h1><p>${escaped(headline(suites[0]))}. Medians; what one chart compares was measured in alternation.</p></header>
${sections.join("\n")}
<h2>All figures</h2>
${tables.join("\n")}
<script type="application/json" id="charts">${JSON.stringify(charts).replaceAll("<", "\\u003c")}</script>
<script>${await pageScript()}</script>
</html>
`;
}

function intoReadme(suites: readonly Suite[]): void {
  const peers = suites.find(({ suite }) => suite === "peers");
  if (!peers) throw new Error("bench: the README's table needs the peers' results, run `npm run bench peers` first");
  const startup = suites.find(({ suite }) => suite === "startup")?.results ?? [];
  const readme = readFileSync("README.md", "utf8");
  const [before, rest] = readme.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`bench: README.md must hold the marks ${BEGIN} and ${END}`);
  const summary = `${headline(peers)}; medians, one thread; results and losses were compared first.`;
  const tables = `${readmeTable(peers, startup)}\n\n${twoThreadsTable(peers)}`;
  writeFileSync("README.md", `${before}${BEGIN}\n${summary}\n\n${tables}\n${END}${after}`);
}

const suites = readSuites();
if (suites.length === 0) throw new Error("bench: bench/results must hold results, run `npm run bench` first");
writeFileSync("bench/results/results.md", markdown(suites));
writeFileSync("bench/results/results.html", await html(suites));
console.log("bench/results/results.md, bench/results/results.html");
if (process.argv.includes("--readme")) intoReadme(suites);
