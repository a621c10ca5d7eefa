/**
 * A Kolmogorov–Arnold network learns e^(sin πx + y²) from samples. It has a function on each of its three edges and
 * nothing else, so that one can look at what it found: a sine, a parabola, an exponential. After Liu et al. 2024.
 */
import { parseArgs } from "node:util";
import { F, init, manualSeed, nn, optim, scope, tensor } from "wasmgrad";
import { axis, colors, legend, panelTitle, title, writeSvg } from "../chart.mjs";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "3000" },
    out: { type: "string", default: "wasmgrad-out/kan.svg" },
  },
});
const steps = Number(values.steps);
const SIDE = 32;

await init();
manualSeed(0);

const ticks = Array.from({ length: SIDE }, (_, i) => -1 + (2 * (i + 0.5)) / SIDE);
const points = ticks.flatMap((x) => ticks.map((y) => [x, y]));
const sums = points.map(([x, y]) => Math.sin(Math.PI * x) + y * y);
const inner = new nn.KANLinear(2, 1, { gridSize: 8 });
const outer = new nn.KANLinear(1, 1, { gridSize: 12, gridRange: [-2, 3] });
const model = new nn.Sequential(inner, outer);

const optimizer = new optim.Adam(model.parameters(), { lr: 2e-2 });
const schedule = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps: steps / 20, totalSteps: steps });
const loss = scope(() => {
  const inputs = tensor(points);
  const target = tensor(sums.map((sum) => [Math.exp(sum)]));
  let last = Number.NaN;
  for (let step = 0; step < steps; step++) {
    last = scope(() => {
      const loss = F.mseLoss(model.forward(inputs), target);
      loss.backward();
      optimizer.step();
      schedule.step();
      optimizer.zeroGrad();
      return loss.item();
    });
  }
  return last;
});
console.log(`root mean square error: ${Math.sqrt(loss).toExponential(2)} (values go from 0.4 to 7.4)`);

/** A layer's single output for each input. */
const outputs = (layer, inputs) => scope(() => [...layer.forward(tensor(inputs)).data()]);
const mean = (numbers) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

// The hidden number is sin πx + y² only up to a scale and an offset, which the outer function undoes: take them out.
const hidden = outputs(inner, points);
const covariance = mean(hidden.map((h, i) => h * sums[i])) - mean(hidden) * mean(sums);
const scale = covariance / (mean(sums.map((s) => s * s)) - mean(sums) ** 2);
const offset = mean(hidden) - scale * mean(sums);

const even = (from, to) => Array.from({ length: 201 }, (_, i) => from + ((to - from) * i) / 200);
/** A function of the first layer, at the height of `truth`. */
function edge(place, truth) {
  const xs = even(-1, 1);
  const ys = outputs(inner, xs.map(place)).map((h) => h / scale);
  const lift = mean(xs.map((x, i) => truth(x) - ys[i]));
  return { truth: xs.map((x) => [x, truth(x)]), learnt: xs.map((x, i) => [x, ys[i] + lift]) };
}

const us = even(-1, 2);
const outs = outputs(
  outer,
  us.map((u) => [scale * u + offset]),
);
const edges = [
  {
    name: "first edge: sin πx",
    variable: "x",
    ...edge(
      (x) => [x, 0],
      (x) => Math.sin(Math.PI * x),
    ),
  },
  {
    name: "second edge: y²",
    variable: "y",
    ...edge(
      (y) => [0, y],
      (y) => y * y,
    ),
  },
  {
    name: "third edge: eᵘ",
    variable: "u",
    truth: us.map((u) => [u, Math.exp(u)]),
    learnt: us.map((u, i) => [u, outs[i]]),
  },
];
for (const { name, truth, learnt } of edges) {
  const error = Math.max(...truth.map(([, y], i) => Math.abs(y - learnt[i][1])));
  console.log(`${name}, learned with an error of ${error.toFixed(3)} at the most`);
}

const lefts = [55, 385, 715];
writeSvg(
  values.out,
  { width: 1030, height: 400 },
  {
    title: [
      title("What a network of learned functions found in e^(sin πx + y²)"),
      ...edges.map(({ name }, i) => panelTitle(name, lefts[i], 70)),
    ],
    legend: legend(["true", "learned"], { icon: "rect", itemHeight: 3 }),
    grid: lefts.map((left) => ({ left, top: 95, width: 270, height: 245 })),
    xAxis: edges.map(({ variable, truth }, i) =>
      axis(variable, 26, { gridIndex: i, min: truth[0][0], max: truth[truth.length - 1][0] }),
    ),
    yAxis: edges.map((_, i) => axis("", 0, { gridIndex: i })),
    series: edges.flatMap(({ truth, learnt }, i) => {
      const line = { type: "line", xAxisIndex: i, yAxisIndex: i, showSymbol: false };
      return [
        { ...line, name: "true", data: truth, color: colors.truth, lineStyle: { width: 6, opacity: 0.6 } },
        { ...line, name: "learned", data: learnt, color: colors.first, lineStyle: { width: 2 } },
      ];
    }),
  },
);
