/**
 * Two interleaved spiral arms, told apart by a network whose weights are 4-bit codes and evolve: nothing computes a
 * gradient. The picture shows the losses of each generation, and the decision boundary of its best individual as it
 * evolves.
 */
import { Command } from "commander";
import { evolve, init, scope, tensor } from "wasmgrad";
import { axis, colors, legend, panelTitle, title, writeSvg } from "../chart.mjs";
import { accuracyOf, batchedLossOf, percent, predict, spiral } from "./tasks.mjs";

const flags = new Command("evolution")
  .description("tells two spirals apart with 4-bit weights that evolve")
  .option("--generations <n>", "how many", Number, 600)
  .option("--size <n>", "individuals in each", Number, 100)
  .option("--seed <n>", "of the evolution", Number, 0)
  .option("--out <file>", "where the picture goes", "wasmgrad-out/evolution.svg")
  .parse()
  .opts();
const { generations } = flags;
const palette = [colors.first, colors.second];

await init();
const task = spiral();
const model = task.makeModel();
const population = new evolve.Population(model, {
  size: flags.size,
  seed: flags.seed,
  selfAdaptingRate: true,
  parents: "tournament",
  batched: true,
});

// The plane as a grid of small squares; neighbours in a row of one class are one bar.
const EDGE = 1.15;
const CELLS = 72;
const cell = (2 * EDGE) / CELLS;
const center = (i) => -EDGE + (i + 0.5) * cell;
const grid = Array.from({ length: CELLS * CELLS }, (_, i) => [center(i % CELLS), center(Math.floor(i / CELLS))]);

/** Where the best individual draws the line now. */
function boundary() {
  const winners = scope(() => predict(model, tensor(grid)));
  const bars = [];
  for (let row = 0; row < CELLS; row++) {
    for (let from = 0, to = 1; from < CELLS; from = to++) {
      const winner = winners[row * CELLS + from];
      while (to < CELLS && winners[row * CELLS + to] === winner) to++;
      bars.push([-EDGE + from * cell, -EDGE + to * cell, -EDGE + row * cell, winner]);
    }
  }
  return bars;
}

const FRAMES = 6;
const shown = Array.from({ length: FRAMES }, (_, i) =>
  Math.max(i + 1, Math.round(generations * (i / (FRAMES - 1)) ** 2)),
);
const frames = [];
const begun = performance.now();
const history = await evolve.fit(population, {
  generations,
  lossFn: batchedLossOf(task),
  onGeneration({ generation, best, mean, worst }) {
    if (!shown.includes(generation)) return;
    frames.push({ generation, bars: boundary(), accuracy: accuracyOf(model, task) });
    const losses = [best, mean, worst].map((loss) => loss.toFixed(3));
    console.log(
      `generation ${generation}: best ${losses[0]}, mean ${losses[1]}, worst ${losses[2]}, ${percent(accuracyOf(model, task))} right`,
    );
  },
});
const seconds = (performance.now() - begun) / 1000;
console.log(`accuracy: ${percent(accuracyOf(model, task))}`);
console.log(`${(history.generations.length / seconds).toFixed(0)} generations of ${population.size} a second`);

const points = task.x.toArray();
const classes = task.y.data();
const curves = [
  { name: "worst", color: colors.truth },
  { name: "mean", color: colors.third },
  { name: "best", color: colors.text },
];
const SIDE = 190;
const left = (i) => 520 + (i % 3) * (SIDE + 22);
const top = (i) => 100 + Math.floor(i / 3) * (SIDE + 48);
const plane = { type: "value", min: -EDGE, max: EDGE, show: false };

writeSvg(
  flags.out,
  { width: 1170, height: 555 },
  {
    title: [
      title("Weights of 4 bits that evolve: two spirals, no gradient"),
      panelTitle(`cross-entropy in each generation of ${population.size}`, 70, 72),
      ...frames.map(({ generation, accuracy }, i) =>
        panelTitle(`generation ${generation}: ${percent(accuracy)}`, left(i), top(i) - 22),
      ),
    ],
    legend: legend(curves.map(({ name }) => name).reverse(), { icon: "rect", itemHeight: 3 }),
    grid: [
      { left: 70, top: 100, width: 390, height: 400 },
      ...frames.map((_, i) => ({ left: left(i), top: top(i), width: SIDE, height: SIDE })),
    ],
    xAxis: [
      axis("generation", 28, { min: 1, max: generations }),
      ...frames.map((_, i) => ({ ...plane, gridIndex: i + 1 })),
    ],
    yAxis: [
      axis("loss", 46, { type: "log", axisLabel: { color: "#52606d", formatter: (loss) => `${loss}` } }),
      ...frames.map((_, i) => ({ ...plane, gridIndex: i + 1 })),
    ],
    series: [
      ...curves.map(({ name, color }) => ({
        name,
        type: "line",
        color,
        showSymbol: false,
        lineStyle: { width: name === "best" ? 2.5 : 1 },
        data: history.generations.map((generation) => [generation.generation, generation[name]]),
      })),
      ...frames.flatMap(({ bars }, i) => {
        const place = { xAxisIndex: i + 1, yAxisIndex: i + 1, silent: true };
        return [
          {
            ...place,
            type: "custom",
            data: bars,
            renderItem(_, api) {
              const [x0, y0] = api.coord([api.value(0), api.value(2) + cell]);
              const [x1, y1] = api.coord([api.value(1), api.value(2)]);
              return {
                type: "rect",
                shape: { x: x0, y: y0, width: x1 - x0, height: y1 - y0 + 0.5 },
                style: { fill: ["#dbe7fd", "#fde3d3"][api.value(3)] },
              };
            },
          },
          ...palette.map((color, arm) => ({
            ...place,
            type: "scatter",
            data: points.filter((_, at) => classes[at] === arm),
            symbolSize: 4,
            itemStyle: { color, opacity: 1 },
          })),
        ];
      }),
    ],
  },
);
population.dispose();
