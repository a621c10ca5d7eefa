import { createContext, runInContext, Script } from "node:vm";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { curveOf, smoothedAt } from "../../src/cli/report/curve.js";
import {
  formatBytes,
  formatCount,
  formatDate,
  formatDuration,
  formatLoss,
  formatPercent,
  formatPower,
} from "../../src/cli/report/format.js";
import { escapeHtml, html, scriptJson } from "../../src/cli/report/html.js";
import type * as report from "../../src/cli/report.js";

type RunReport = report.RunReport;

/** The report as it ships: bundled, minified, with what it imports as text. */
async function bundledReport(): Promise<typeof report> {
  const { outputFiles } = await build({
    entryPoints: ["src/cli/report.ts"],
    bundle: true,
    minify: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "es2022",
  });
  const module = { exports: {} as typeof report };
  new Function("module", outputFiles[0].text)(module);
  return module.exports;
}

let reportHtml: typeof report.reportHtml;

beforeAll(async () => {
  ({ reportHtml } = await bundledReport());
});

const run: RunReport = {
  title: "Two phases",
  summary: "A summary.",
  model: "Llama, 4 layers",
  data: ["fables.txt", "logbook.txt"],
  runtime: { version: "0.1.0", variant: "relaxed-simd", threads: 2, platform: "Node 20.20.2" },
  date: new Date("2026-11-20T21:57:31Z"),
  seed: 1337,
  command: "wasmgrad --seed 1337",
  options: { rank: 8, "learning-rate": 0.004, rslora: false },
  phases: [
    {
      title: "Training from scratch",
      description: "Random weights.",
      losses: [5.5, 4.25, 3.125, 2.5].map((loss, i) => ({ step: i + 1, loss })),
      validation: [
        { step: 0, loss: 5.5625 },
        { step: 4, loss: 2.375 },
      ],
      samples: [{ prompt: "The fox ", before: "\nzzxx", after: "said the owl." }],
      facts: [
        { label: "Parameters", value: 824448 },
        { label: "Time", value: 72, unit: "seconds" },
        { label: "Schedule", value: "cosine" },
      ],
    },
    {
      title: "LoRA fine-tuning",
      losses: [
        { step: 1, loss: 4.75 },
        { step: 2, loss: 3.0625 },
      ],
      validation: [],
      samples: [{ prompt: "Day ", after: "12. Wind SW, fresh." }],
      facts: [{ label: "Trained share", value: 9.47, unit: "percent" }],
    },
  ],
  merge: { maxDifference: 4.77e-7, tolerance: 1e-4 },
  files: [{ name: "out/adapter/adapter_model.safetensors", bytes: 151200, description: "the adapter" }],
};

const HOSTILE = `</script></style></pre><script>alert(1)</script><img src=http://evil.example/x onerror="a"> ' & <!-- \u0000\u202e\ud800`;

const hostileRun: RunReport = {
  title: HOSTILE,
  summary: HOSTILE,
  model: HOSTILE,
  data: [HOSTILE],
  runtime: { ...run.runtime, version: HOSTILE, platform: HOSTILE },
  date: run.date,
  seed: 1,
  command: HOSTILE,
  options: { [HOSTILE]: HOSTILE },
  phases: [
    {
      title: HOSTILE,
      description: HOSTILE,
      losses: run.phases[0].losses,
      validation: run.phases[0].validation,
      samples: [{ prompt: HOSTILE, before: HOSTILE, after: HOSTILE }],
      facts: [{ label: HOSTILE, value: HOSTILE }],
    },
  ],
  files: [{ name: HOSTILE, bytes: 1, description: HOSTILE }],
};

interface Element {
  name: string;
  attributes: Record<string, string>;
  text: string;
}

const VOID = new Set(["meta", "polyline"]);
const RAW = new Set(["script", "style"]);
const TAG = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"<>]*")?)*)\s*\/?>/y;

/** A strict reader of the HTML that the report writes: throws where tags do not nest or a `<` opens no tag. */
function parse(page: string): Element[] {
  const elements: Element[] = [];
  const open: Element[] = [];
  let at = page.match(/^<!doctype html>/)![0].length;
  while (at < page.length) {
    const parent = open.at(-1);
    const end = page.indexOf(parent && RAW.has(parent.name) ? `</${parent.name}` : "<", at);
    const text = page.slice(at, end < 0 ? page.length : end);
    if (parent) parent.text += text;
    else if (text.trim()) throw new Error(`text outside of the document: ${text}`);
    if (end < 0) break;
    TAG.lastIndex = end;
    const [whole, closing, name, attributes] = TAG.exec(page) ?? fail(`no tag: ${page.slice(end, end + 60)}`);
    if (closing) {
      if (open.pop()?.name !== name) fail(`</${name}> closes <${parent?.name}>`);
    } else {
      const element = { name, attributes: attributesOf(attributes), text: "" };
      elements.push(element);
      if (!VOID.has(name)) open.push(element);
    }
    at = end + whole.length;
  }
  if (open.length > 0) fail(`still open: ${open.map(({ name }) => name)}`);
  return elements;
}

function attributesOf(source: string): Record<string, string> {
  return Object.fromEntries(
    [...source.matchAll(/([a-zA-Z:-]+)(?:="([^"]*)")?/g)].map(([, name, value]) => [name, value ?? ""]),
  );
}

function fail(message: string): never {
  throw new Error(message);
}

function textsOf(elements: Element[], name: string): string[] {
  return elements.filter((element) => element.name === name).map(({ text }) => text);
}

describe("reportHtml", () => {
  test("parses as one document with a language, a title, a heading and unique ids", () => {
    const elements = parse(reportHtml(run));
    for (const name of ["html", "head", "body", "main", "title", "h1"])
      expect(textsOf(elements, name), name).toHaveLength(1);
    expect(elements[0]).toMatchObject({ name: "html", attributes: { lang: "en" } });
    expect(textsOf(elements, "title")).toEqual(["Two phases"]);
    const ids = elements.flatMap(({ attributes }) => attributes.id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { attributes } of elements) {
      if (attributes.href) expect(ids).toContain(attributes.href.slice(1));
      if (attributes["aria-labelledby"]) expect(ids).toContain(attributes["aria-labelledby"]);
    }
  });

  test("hostile text adds no element and no attribute", () => {
    const shape = (page: string) => parse(page).map(({ name, attributes }) => [name, Object.keys(attributes)]);
    const plain: RunReport = JSON.parse(
      JSON.stringify(hostileRun).replaceAll(JSON.stringify(HOSTILE).slice(1, -1), "plain"),
    );
    expect(shape(reportHtml(hostileRun))).toEqual(shape(reportHtml({ ...plain, date: run.date })));
  });

  test("hostile text can be read on the page, but for what has no shape", () => {
    const [heading] = textsOf(parse(reportHtml(hostileRun)), "h1");
    expect(heading).toContain("&lt;/script&gt;&lt;/style&gt;");
    expect(heading).toContain("onerror=&quot;a&quot;&gt; &#39; &amp; &lt;!-- \ufffd\ufffd\ufffd");
  });

  test("contains every phase's data", () => {
    const page = reportHtml(run);
    const elements = parse(page);
    expect(textsOf(elements, "h2")).toEqual(["Training from scratch", "LoRA fine-tuning", "Results", "The run"]);
    expect(textsOf(elements, "dt")).toEqual([
      "Parameters",
      "Time",
      "Schedule",
      "Trained share",
      "rank",
      "learning-rate",
      "rslora",
    ]);
    expect(textsOf(elements, "dd")).toEqual(["824,448", "1 min 12 s", "cosine", "9.5%", "8", "0.004", "false"]);
    expect(textsOf(elements, "h4")).toEqual(["Before", "After", "After"]);
    expect(textsOf(elements, "mark")).toEqual(["The fox ", "The fox ", "Day "]);
    for (const sample of ["\nzzxx", "said the owl.", "12. Wind SW, fresh."])
      expect(textsOf(elements, "span")).toContain(sample);
    expect(page).toContain('5.563<span class="arrow"> → </span>2.375');
    expect(page).toContain('4.750<span class="arrow"> → </span>3.063');
    const charts = elements
      .filter(({ attributes }) => attributes.class === "chart")
      .map(({ attributes }) => attributes["aria-label"]);
    expect(charts).toEqual([
      "Loss over 4 steps: training loss from 5.500 to 2.500, validation loss from 5.563 to 2.375",
      "Loss over 2 steps: training loss from 4.750 to 3.063",
    ]);
  });

  test("contains the facts of the run, its files and the merge", () => {
    const elements = parse(reportHtml(run));
    const cells = textsOf(elements, "td");
    for (const fact of [
      "Llama, 4 layers",
      "fables.txt\nlogbook.txt",
      "relaxed-simd, 2 threads",
      "Node 20.20.2",
      "20 November 2026, 21:57 UTC",
      "1337",
      "147.7 KiB",
    ]) {
      expect(cells).toContain(fact);
    }
    expect(textsOf(elements, "pre")).toContain("wasmgrad --seed 1337");
    expect(textsOf(elements, "code")).toEqual(["out/adapter/adapter_model.safetensors"]);
    expect(textsOf(elements, "b")).toContain("4.8 × 10⁻⁷");
  });

  test("marks a merge that differs by more than rounding", () => {
    expect(reportHtml(run)).toContain("verdict good");
    expect(reportHtml({ ...run, merge: { maxDifference: 0.5, tolerance: 1e-4 } })).toContain("verdict poor");
    expect(reportHtml({ ...run, merge: { maxDifference: 0.5 } })).toContain("verdict good");
    expect(reportHtml({ ...run, merge: undefined })).not.toContain("verdict good");
  });

  test("refers to nothing outside of the page, and forbids loading it", () => {
    const page = reportHtml(run);
    expect(page).not.toMatch(/https?:|\bimport\b\s*[("']|@import|url\(|XMLHttpRequest|\bfetch\(|sendBeacon|WebSocket/);
    for (const { name, attributes } of parse(page)) {
      expect(["link", "iframe", "img", "base", "object", "embed"]).not.toContain(name);
      expect(attributes).not.toHaveProperty("src");
      if (attributes.href) expect(attributes.href).toMatch(/^#/);
    }
    expect(page).toContain("default-src &#39;none&#39;");
  });

  test("keeps the license of the chart library", () => {
    expect(reportHtml(run)).toMatch(
      /uPlot[\s\S]*MIT License[\s\S]*Copyright \(c\) \d+ Leon Sorokin[\s\S]*WITHOUT WARRANTY/,
    );
  });

  test("its scripts compile, and draw one chart for each phase", () => {
    const elements = parse(reportHtml(run));
    const scripts = textsOf(elements, "script");
    expect(scripts).toHaveLength(3);
    const [curves, library, draw] = scripts;
    new Script(library);
    const drawn: { data: unknown[]; series: string[] }[] = [];
    class FakePlot {
      constructor({ series }: { series: { label: string }[] }, data: unknown[]) {
        drawn.push({ data, series: series.map(({ label }) => label) });
      }
    }
    const place = { clientWidth: 600 };
    const page = {
      uPlot: FakePlot,
      document: {
        documentElement: {},
        querySelectorAll: () => [place, place],
        getElementById: () => ({ textContent: curves }),
      },
      getComputedStyle: () => ({ getPropertyValue: () => " red " }),
      addEventListener: () => {},
      matchMedia: () => ({ addEventListener: () => {} }),
    };
    runInContext(draw, createContext(page));
    expect(drawn).toHaveLength(2);
    expect(drawn[0].series).toEqual(["Step", "Training", "Smoothed", "Validation"]);
    expect(drawn[0].data[0]).toEqual([0, 1, 2, 3, 4]);
    expect(drawn[0].data[1]).toEqual([null, 5.5, 4.25, 3.125, 2.5]);
    expect(drawn[0].data[3]).toEqual([5.5625, null, null, null, 2.375]);
  });

  test("a run without losses, samples, facts or files is still a page", () => {
    const empty = { title: "Nothing", losses: [], validation: [], samples: [], facts: [] };
    const elements = parse(reportHtml({ ...run, phases: [empty], files: [], merge: undefined, options: {} }));
    expect(textsOf(elements, "h2")).toEqual(["Nothing", "The run"]);
    const [chart] = elements.filter(({ attributes }) => attributes.class === "chart");
    expect(chart.attributes["aria-label"]).toBe("Loss over 0 steps: no losses recorded");
  });

  test("says how many losses were not finite", () => {
    const losses = [2, Number.NaN, Number.POSITIVE_INFINITY].map((loss, i) => ({ step: i + 1, loss }));
    const elements = parse(reportHtml({ ...run, phases: [{ ...run.phases[0], losses }] }));
    expect(textsOf(elements, "p")).toContain("2 training losses of 3 not finite.");
    expect(JSON.parse(textsOf(elements, "script")[0])[0].training).toEqual([null, 2, null, null, null]);
  });
});

describe("curveOf", () => {
  const points = (losses: number[]) => losses.map((loss, i) => ({ step: i + 1, loss }));

  test("smoothing leaves a straight line alone, but for its last points", () => {
    const line = points(Array.from({ length: 600 }, (_, i) => 600 - i));
    for (const i of [0, 1, 5, 100, 300, 560]) expect(smoothedAt(line, i)).toBeCloseTo(line[i].loss, 9);
  });

  test("smoothing takes most of the noise away", () => {
    const noisy = points(Array.from({ length: 600 }, (_, i) => 2 + (i % 2 ? 0.5 : -0.5)));
    for (const i of [100, 300, 599]) expect(Math.abs(smoothedAt(noisy, i) - 2)).toBeLessThan(0.05);
  });

  test("smoothing passes over losses that are not finite", () => {
    const broken = points(Array.from({ length: 600 }, (_, i) => (i === 300 ? Number.NaN : 3)));
    expect(smoothedAt(broken, 300)).toBeCloseTo(3, 12);
  });

  test("a long run is thinned to 2000 points, first and last among them", () => {
    const { steps, training, smoothed } = curveOf(points(Array.from({ length: 50_000 }, () => 1)), []);
    expect(steps).toHaveLength(2000);
    expect([steps[0], steps[1999]]).toEqual([1, 50_000]);
    expect(new Set([...training, ...smoothed])).toEqual(new Set([1]));
  });
});

describe("numbers for people", () => {
  test.each([
    [formatCount(824448), "824,448"],
    [formatCount(0.125), "0.13"],
    [formatCount(Number.NaN), "NaN"],
    [formatBytes(0), "0 bytes"],
    [formatBytes(1), "1 byte"],
    [formatBytes(1023), "1,023 bytes"],
    [formatBytes(1024), "1.0 KiB"],
    [formatBytes(1024 * 1024 - 1), "1.0 MiB"],
    [formatBytes(3.25 * 1024 ** 3), "3.3 GiB"],
    [formatDuration(0), "0 ms"],
    [formatDuration(0.82), "820 ms"],
    [formatDuration(0.9996), "1.0 s"],
    [formatDuration(8.24), "8.2 s"],
    [formatDuration(9.97), "10 s"],
    [formatDuration(59.6), "1 min"],
    [formatDuration(72), "1 min 12 s"],
    [formatDuration(3599.6), "1 h"],
    [formatDuration(7500), "2 h 5 min"],
    [formatPercent(100), "100%"],
    [formatPercent(9.47), "9.5%"],
    [formatPercent(0.0312), "0.03%"],
    [formatLoss(1.31849), "1.318"],
    [formatLoss(0), "0.000"],
    [formatLoss(0.00012), "1.2 × 10⁻⁴"],
    [formatLoss(Number.POSITIVE_INFINITY), "Infinity"],
    [formatPower(4.77e-7), "4.8 × 10⁻⁷"],
    [formatPower(2.5e12), "2.5 × 10¹²"],
    [formatPower(0), "0"],
    [formatDate(new Date("2026-01-02T03:04:05Z")), "2 January 2026, 03:04 UTC"],
  ])("%s", (formatted, expected) => {
    expect(formatted).toBe(expected);
  });
});

describe("html", () => {
  test("escapes text, keeps markup, joins lists and leaves out undefined", () => {
    const markup = html`<i>${"<b>"}</i>`;
    expect(html`<p>${markup}${[markup, "&"]}${undefined}${7}</p>`.text).toBe(
      "<p><i>&lt;b&gt;</i><i>&lt;b&gt;</i>&amp;7</p>",
    );
  });

  test("what cannot be printed becomes U+FFFD, characters of two units stay", () => {
    expect(escapeHtml("a\u0000\u001b[0m\u007f\u0085\u2028\udc00😀\tb\r\nc\rd")).toBe(
      "a\ufffd\ufffd[0m\ufffd\ufffd\u2028\ufffd😀\tb\nc\nd",
    );
  });

  test("JSON in a script element cannot end it", () => {
    const value = { text: "</script><!--<script>" };
    expect(scriptJson(value).text).not.toContain("<");
    expect(JSON.parse(scriptJson(value).text)).toEqual(value);
  });
});
