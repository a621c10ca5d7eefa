/** The page's script: what it draws, and the page's own copy of uPlot. */
import type UPlot from "uplot";
import library from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import license from "uplot/LICENSE" with { type: "text" };
import type { Curve } from "./curve.js";
import { Markup } from "./html.js";

/** uPlot with its license in place of its banner, then `drawCharts` called on the curves in `#curves`. */
export function chartScripts(): Markup {
  const uPlot = `/*\nuPlot\n\n${license.trim()}\n*/\n${library.replace(/^\/\*!.*?\*\//, "").trim()}`;
  const draw = `(${drawCharts})(uPlot, JSON.parse(document.getElementById("curves").textContent));`;
  return new Markup(`<script>\n${uPlot}\n</script>\n<script>\n${draw}\n</script>`);
}

/** Runs in the page, from its own source text: it may refer to nothing outside itself. */
function drawCharts(uPlot: typeof UPlot, curves: Curve[]): void {
  const HEIGHT = 340;
  const root = document.documentElement;
  const places = Array.from(document.querySelectorAll<HTMLElement>(".chart"));
  const decimals = (value: number | null) => (value === null ? "–" : value.toFixed(3));
  let charts: UPlot[] = [];

  /** Colors come from the style sheet, so a chart follows the color scheme. */
  function color(name: string): string {
    return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  }

  function axis(label: string, size: number): UPlot.Axis {
    const line = { stroke: color("line"), width: 1 };
    const font = "12px system-ui, sans-serif";
    return { label, size, labelSize: 20, labelFont: font, font, stroke: color("muted"), grid: line, ticks: line };
  }

  function options(width: number): UPlot.Options {
    const value = (_: UPlot, y: number | null) => decimals(y);
    return {
      width,
      height: HEIGHT,
      scales: { x: { time: false } },
      axes: [axis("step", 34), axis("loss", 46)],
      legend: { markers: { fill: (_, i) => color(["card", "training-faint", "training", "card"][i]) } },
      cursor: { points: { size: 7 } },
      series: [
        { label: "Step", value: (_, step) => (step === null ? "–" : step.toLocaleString("en-US")) },
        {
          label: "Training",
          stroke: color("training-faint"),
          width: 1,
          spanGaps: true,
          points: { show: false },
          value,
        },
        { label: "Smoothed", stroke: color("training"), width: 2.5, spanGaps: true, points: { show: false }, value },
        {
          label: "Validation",
          stroke: color("validation"),
          // Points alone: between two of them nothing was measured.
          paths: () => null,
          points: { show: true, size: 9, width: 2, fill: color("card"), stroke: color("validation") },
          value,
        },
      ],
    };
  }

  function draw(): void {
    for (const chart of charts) chart.destroy();
    charts = places.map((place, i) => {
      const { steps, training, smoothed, validation } = curves[i];
      return new uPlot(options(place.clientWidth), [steps, training, smoothed, validation], place);
    });
  }

  function fit(): void {
    for (const [i, chart] of charts.entries()) chart.setSize({ width: places[i].clientWidth, height: HEIGHT });
  }

  /** Paper is white: charts are canvases, which a print style sheet does not reach. */
  function print(printing: boolean): void {
    root.classList.toggle("printing", printing);
    draw();
  }

  draw();
  addEventListener("resize", fit);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
