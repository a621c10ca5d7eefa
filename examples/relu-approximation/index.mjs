/**
 * y = x² on [0, 2] by a sum of n shifted ReLUs, f(x) = Σ aₖ·max(0, x − tₖ): each unit bends the line once, so n units
 * give n straight pieces, and the largest error falls as 1/n². Weights in closed form, and trained ones.
 */
import { parseArgs } from "node:util";
import { F, init, linspace, nn, optim, scope, tensor } from "wasmgrad";
import { axis, colors, legend, panelTitle, title, writeSvg } from "../chart.mjs";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "6000" },
    out: { type: "string", default: "wasmgrad-out/relu-approximation.svg" },
  },
});
const steps = Number(values.steps);
const END = 2;
const UNITS = [1, 2, 5, 100];

class ShiftedReLUs extends nn.Module {
  constructor(shifts, weights) {
    super();
    this.shifts = new nn.Parameter(tensor(shifts));
    this.weights = new nn.Parameter(tensor(weights));
  }

  /** [N] → [N] */
  forward(x) {
    return F.matmul(F.relu(F.sub(F.unsqueeze(x, 1), this.shifts)), this.weights);
  }
}

/** The polyline through (kh, (kh)²), h = 2/n: the first slope is h, and every bend adds 2h. Largest error h²/4 = 1/n². */
function closedForm(n) {
  const h = END / n;
  return new ShiftedReLUs(
    Array.from({ length: n }, (_, k) => k * h),
    Array.from({ length: n }, (_, k) => (k === 0 ? h : 2 * h)),
  );
}

/**
 * From evenly spread bends of equal size, all four times too small: full batches, Adam, cosine decay. Moving a bend
 * changes f everywhere behind it, so the bends learn ten times slower than the weights.
 */
function trained(n) {
  const model = new ShiftedReLUs(
    Array.from({ length: n }, (_, k) => (k * END) / n),
    Array.from({ length: n }, () => 1 / n),
  );
  const groups = [{ params: [model.weights] }, { params: [model.shifts], lr: 1e-3 }];
  const optimizer = new optim.Adam(groups, { lr: 1e-2, betas: [0.9, 0.99] });
  const schedule = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps: 50, totalSteps: steps });
  scope(() => {
    const x = linspace(0, END, 401);
    const y = F.square(x);
    for (let step = 0; step < steps; step++) {
      scope(() => {
        F.mseLoss(model.forward(x), y).backward();
        optimizer.step();
        schedule.step();
        optimizer.zeroGrad();
      });
    }
  });
  optimizer.dispose();
  return model;
}

/** What the picture needs of a model: its line, its bends, its largest error. */
function drawn(model) {
  const at = (xs) => scope(() => [...model.forward(tensor(xs)).data()]);
  const xs = Array.from({ length: 2001 }, (_, i) => (i * END) / 2000);
  const ys = at(xs);
  const bends = [...model.shifts.data()].filter((t) => t > 0 && t < END).sort((a, b) => a - b);
  const bendYs = at(bends.length > 0 ? bends : [0]);
  return {
    line: xs.map((x, i) => [x, ys[i]]),
    bends: bends.map((t, k) => [t, bendYs[k]]),
    error: Math.max(...xs.map((x, i) => Math.abs(ys[i] - x * x))),
  };
}

await init();
const results = UNITS.map((n) => {
  const [closed, learnt] = [closedForm, trained].map((make) => {
    const model = make(n);
    const result = drawn(model);
    model.dispose();
    return result;
  });
  console.log(
    `n = ${n}: largest error ${closed.error.toExponential(2)} closed form, ${learnt.error.toExponential(2)} trained`,
  );
  return { n, closed, learnt };
});

const panels = [
  { left: 55, top: 95 },
  { left: 355, top: 95 },
  { left: 55, top: 405 },
  { left: 355, top: 405 },
];
const size = { width: 235, height: 215 };
const errorPanel = { left: 690, top: 95, width: 330, height: 525 };
const line = (name, i, color, data, more = {}) => ({
  name,
  type: "line",
  xAxisIndex: i,
  yAxisIndex: i,
  data,
  showSymbol: false,
  color,
  lineStyle: { width: 2, color },
  ...more,
});
const bends = (name, i, color, data) => ({
  name,
  type: "scatter",
  xAxisIndex: i,
  yAxisIndex: i,
  data,
  symbolSize: data.length > 20 ? 4 : 8,
  itemStyle: { color, borderColor: "#ffffff", borderWidth: data.length > 20 ? 0.5 : 1, opacity: 1 },
  z: 3,
});

writeSvg(
  values.out,
  { width: 1060, height: 680 },
  {
    title: [
      title("x² as a sum of shifted ReLUs: n units, n straight pieces"),
      ...results.map(({ n }, i) => panelTitle(`n = ${n}`, panels[i].left, panels[i].top - 26)),
      panelTitle("largest error against n: the slope is −2", errorPanel.left, errorPanel.top - 26),
    ],
    legend: legend(["x²", "closed form", "trained", "1/n²"]),
    grid: [...panels.map((panel) => ({ ...panel, ...size })), errorPanel],
    xAxis: [
      ...panels.map((_, i) => axis("x", 24, { gridIndex: i, min: 0, max: END })),
      axis("units n", 26, { gridIndex: 4, type: "log", min: 1, max: 100 }),
    ],
    yAxis: [
      ...panels.map((_, i) => axis("", 0, { gridIndex: i, min: 0, max: 4 })),
      axis("largest |f(x) − x²|", 52, {
        gridIndex: 4,
        type: "log",
        min: 1e-5,
        max: 1,
        axisLabel: { formatter: (v) => v.toExponential(0) },
      }),
    ],
    series: [
      ...results.flatMap(({ closed, learnt }, i) => [
        line(
          "x²",
          i,
          colors.truth,
          closed.line.map(([x]) => [x, x * x]),
          { lineStyle: { width: 5, color: colors.truth, opacity: 0.6 } },
        ),
        line("closed form", i, colors.first, closed.line),
        line("trained", i, colors.second, learnt.line, {
          lineStyle: { width: 2, type: "dashed", color: colors.second },
        }),
        bends("closed form", i, colors.first, closed.bends),
        bends("trained", i, colors.second, learnt.bends),
      ]),
      line(
        "1/n²",
        4,
        colors.truth,
        UNITS.map((n) => [n, 1 / (n * n)]),
        { lineStyle: { width: 5, color: colors.truth, opacity: 0.6 } },
      ),
      line(
        "closed form",
        4,
        colors.first,
        results.map(({ n, closed }) => [n, closed.error]),
        { showSymbol: true, symbolSize: 8 },
      ),
      line(
        "trained",
        4,
        colors.second,
        results.map(({ n, learnt }) => [n, learnt.error]),
        { showSymbol: true, symbolSize: 8, lineStyle: { width: 2, type: "dashed", color: colors.second } },
      ),
    ],
  },
);
