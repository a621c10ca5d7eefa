/** Three interleaved spiral arms, told apart by a small network; the picture shows where it draws the lines. */
import { parseArgs } from "node:util";
import { data, F, init, manualSeed, nn, optim, randn, scope, tensor, train } from "wasmgrad";
import { axis, colors, legend, title, writeSvg } from "../chart.mjs";

const { values } = parseArgs({
  options: {
    epochs: { type: "string", default: "150" },
    out: { type: "string", default: "wasmgrad-out/spiral.svg" },
  },
});
const ARMS = 3;
const PER_ARM = 150;
const palette = [colors.first, colors.second, colors.third];

/** Arm c: radius from 0 to 1, one and a quarter turns, noise in the angle. */
function spiral() {
  const points = [];
  const classes = [];
  const noise = scope(() => randn([ARMS * PER_ARM]).data());
  for (let arm = 0; arm < ARMS; arm++) {
    for (let i = 0; i < PER_ARM; i++) {
      const radius = i / PER_ARM;
      const angle = 2 * Math.PI * (arm / ARMS + 0.65 * radius) + 0.17 * noise[arm * PER_ARM + i];
      points.push([radius * Math.sin(angle), radius * Math.cos(angle)]);
      classes.push(arm);
    }
  }
  return { points, classes };
}

await init();
manualSeed(1);
const { points, classes } = spiral();
const samples = new data.TensorDataset(tensor(points), tensor(classes, { dtype: "int32" }));
const model = new nn.Sequential(
  new nn.Linear(2, 32),
  new nn.Tanh(),
  new nn.Linear(32, 32),
  new nn.Tanh(),
  new nn.Linear(32, ARMS),
);
await train.fit(model, new data.DataLoader(samples, { batchSize: 32, shuffle: true }), {
  epochs: Number(values.epochs),
  optimizer: new optim.AdamW(model.parameters(), { lr: 1e-2 }),
  loss: (model, [x, y]) => F.crossEntropy(model.forward(x), y),
  callbacks: [new train.ProgressBar({ title: "spiral" })],
});

/** The likeliest class of each point. */
function predict(xs) {
  return scope(() => [...F.argmax(model.forward(tensor(xs)), { dim: 1 }).data()]);
}

const predicted = predict(points);
const right = predicted.filter((c, i) => c === classes[i]).length;
console.log(`accuracy: ${((100 * right) / points.length).toFixed(1)} %`);

// The plane as a grid of small squares; neighbours in a row of one class are one bar, half a pixel over the next row.
const EDGE = 1.15;
const CELLS = 160;
const cell = (2 * EDGE) / CELLS;
const center = (i) => -EDGE + (i + 0.5) * cell;
const grid = predict(
  Array.from({ length: CELLS * CELLS }, (_, i) => [center(i % CELLS), center(Math.floor(i / CELLS))]),
);
const bars = [];
for (let row = 0; row < CELLS; row++) {
  for (let from = 0, to = 1; from < CELLS; from = to++) {
    const winner = grid[row * CELLS + from];
    while (to < CELLS && grid[row * CELLS + to] === winner) to++;
    bars.push([-EDGE + from * cell, -EDGE + to * cell, -EDGE + row * cell, winner]);
  }
}

writeSvg(
  values.out,
  { width: 640, height: 680 },
  {
    title: title("Three spirals and the decision boundary"),
    legend: legend(palette.map((_, arm) => `arm ${arm + 1}`)),
    grid: { left: 55, right: 25, top: 60, bottom: 55 },
    xAxis: axis("x₁", 26, { min: -EDGE, max: EDGE, axisLabel: { showMinLabel: false, showMaxLabel: false } }),
    yAxis: axis("x₂", 34, { min: -EDGE, max: EDGE, axisLabel: { showMinLabel: false, showMaxLabel: false } }),
    series: [
      {
        type: "custom",
        silent: true,
        data: bars,
        renderItem(_, api) {
          const [left, top] = api.coord([api.value(0), api.value(2) + cell]);
          const [right, bottom] = api.coord([api.value(1), api.value(2)]);
          return {
            type: "rect",
            shape: { x: left, y: top, width: right - left, height: bottom - top + 0.5 },
            style: { fill: ["#dbe7fd", "#fde3d3", "#d3f1e6"][api.value(3)] },
          };
        },
      },
      ...palette.map((color, arm) => ({
        name: `arm ${arm + 1}`,
        type: "scatter",
        data: points.filter((_, i) => classes[i] === arm),
        symbolSize: 6,
        itemStyle: { color, borderColor: "#ffffff", borderWidth: 0.5, opacity: 1 },
      })),
    ],
  },
);
