/** Pictures for the examples: Apache ECharts draws SVG without a browser. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { init } from "echarts";

export const colors = {
  truth: "#9aa5b1",
  first: "#2563eb",
  second: "#ea580c",
  third: "#059669",
  useless: "#b0b7c3",
  text: "#1f2933",
};

/** Writes a chart as SVG; `option` is ECharts' own (https://echarts.apache.org/en/option.html). */
export function writeSvg(path, { width, height }, option) {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: "Arial, Helvetica, sans-serif", color: colors.text },
    ...option,
  });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, chart.renderToSVGString());
  chart.dispose();
  console.log(`picture: ${path}`);
}

/** The picture's title, in its upper left corner. */
export function title(text) {
  return { text, left: 20, top: 16, padding: 0, textStyle: { fontSize: 17, color: colors.text } };
}

/** A title over one of several plots. */
export function panelTitle(text, left, top) {
  return { text, left, top, padding: 0, textStyle: { fontSize: 13, fontWeight: 600, color: colors.text } };
}

/** A legend in the upper right corner. */
export function legend(data, more = {}) {
  return { data, top: 14, right: 24, itemGap: 24, textStyle: { color: colors.text }, ...more };
}

/** A plain axis with its name below or beside it. */
export function axis(name, gap, more = {}) {
  return {
    type: "value",
    name,
    nameLocation: "middle",
    nameGap: gap,
    nameTextStyle: { color: colors.text },
    axisLine: { show: true, lineStyle: { color: "#cbd2d9" } },
    axisLabel: { color: "#52606d" },
    splitLine: { lineStyle: { color: "#eef1f4" } },
    ...more,
  };
}
