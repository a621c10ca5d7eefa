/** Runs in the report's page: draws the charts. */
import { BarChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { Chart } from "./charts.js";

echarts.use([BarChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

/** A library has one color in all charts; the library itself has the strong ones. */
const colors: Record<string, string> = {
  "wasmgrad (relaxed-simd)": "#d1495b",
  "wasmgrad (relaxed-simd, 2 threads)": "#8c1c2e",
  "wasmgrad (relaxed-simd, Chromium, 2 threads)": "#b5436b",
  "wasmgrad (simd)": "#e79aa4",
  wasmgrad: "#d1495b",
  "TensorFlow.js wasm": "#edae49",
  "TensorFlow.js wasm (Chromium, 2 threads)": "#b87f1e",
  "TensorFlow.js cpu": "#f6d9a8",
  "jax-js wasm": "#66a182",
  "onnxruntime-web": "#2e7dab",
  "onnxruntime-web (2 threads)": "#8bbdd9",
  "onnxruntime-node": "#00798c",
  "onnxruntime-node (2 threads)": "#79b8c2",
  "js-pytorch": "#8d6a9f",
  PyTorch: "#30343f",
  "PyTorch (2 threads)": "#8a8f9c",
};

const charts: Chart[] = JSON.parse((document.getElementById("charts") as HTMLElement).textContent as string);

/** Below 1 three digits, above as many as the whole part has. */
const short = (value: number) => Number(value.toPrecision(3)).toLocaleString("en-US", { maximumSignificantDigits: 3 });

function draw(place: HTMLElement, { unit, logarithmic, rows, series }: Chart): void {
  const legend = series.length > 1;
  const barsPerRow = series.length;
  const lines = Math.ceil(series.length / 4);
  place.style.height = `${(legend ? 24 * lines + 16 : 0) + 48 + rows.length * (14 + 13 * barsPerRow)}px`;
  // Bars on a logarithmic axis would begin at 1: they begin at the power of ten below the least value.
  const least = Math.min(...series.flatMap(({ values }) => values.filter((value) => value !== null)));
  const floor = 10 ** Math.floor(Math.log10(least));
  const origin = logarithmic ? { min: floor, startValue: floor } : {};
  const drawn = echarts.init(place, null, { renderer: "svg" });
  drawn.setOption({
    animation: false,
    color: series.map(({ name }) => colors[name] ?? "#999"),
    textStyle: { fontFamily: "system-ui, sans-serif" },
    tooltip: { trigger: "item", valueFormatter: (value: number) => `${short(value)} ${unit}` },
    legend: { show: legend, top: 0, left: 0, itemWidth: 14, itemHeight: 10 },
    grid: { left: 8, right: 72, top: legend ? 24 * lines + 16 : 4, bottom: 8, containLabel: true },
    xAxis: {
      type: logarithmic ? "log" : "value",
      ...origin,
      axisLabel: { formatter: (value: number) => `${short(value)} ${unit}` },
      splitLine: { lineStyle: { color: "#e4e4e0" } },
    },
    yAxis: {
      type: "category",
      data: rows,
      inverse: true,
      axisTick: { show: false },
      axisLabel: { color: "#222", fontSize: 11 },
    },
    series: series.map(({ name, values }) => ({
      name,
      type: "bar",
      data: values,
      barMaxWidth: 16,
      barCategoryGap: 14,
      label: {
        show: true,
        position: "right",
        fontSize: 10,
        color: "#555",
        formatter: ({ value }: { value: number | null }) => (value === null ? "" : short(value)),
      },
    })),
  });
  window.addEventListener("resize", () => drawn.resize());
}

for (const [i, chart] of charts.entries()) draw(document.getElementById(`chart-${i}`) as HTMLElement, chart);
