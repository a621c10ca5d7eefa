/**
 * Linear regression where 5 of 20 features matter and the others are noise, under a growing penalty λ.
 * Ridge, λ/2·Σθ² (`weightDecay`), shrinks every weight; lasso, λ·Σ|θ| (`l1`, proximal), sets useless ones to zero.
 */
import { parseArgs } from "node:util";
import { F, init, manualSeed, nn, optim, randn, scope, tensor } from "wasmgrad";
import { axis, colors, legend, panelTitle, title, writeSvg } from "../chart.mjs";

const { values } = parseArgs({
  options: {
    penalties: { type: "string", default: "25" },
    out: { type: "string", default: "wasmgrad-out/ridge-lasso.svg" },
  },
});
const ROWS = 60;
const FEATURES = 20;
const USEFUL = [2, -1.5, 1.2, -0.9, 0.7];
const STEPS = 400;
const count = Number(values.penalties);
/** λ from 0.01 to 1, evenly on a logarithmic axis. */
const penalties = Array.from({ length: count }, (_, i) => 10 ** ((2 * i) / (count - 1) - 2));

await init();
manualSeed(3);
const x = randn([ROWS, FEATURES]);
const y = scope(() => {
  const truth = tensor([...USEFUL, ...new Array(FEATURES - USEFUL.length).fill(0)], { shape: [FEATURES, 1] });
  return F.add(F.matmul(x, truth), F.mul(randn([ROWS, 1]), 0.8));
});

/** The weights that minimize the mean of (xθ − y)²/2 plus the penalty: gradient descent on all rows. */
function weightsUnder(penalty) {
  const model = new nn.Linear(FEATURES, 1, { bias: false });
  nn.init.zeros_(model.weight);
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.2, ...penalty });
  for (let step = 0; step < STEPS; step++) {
    scope(() => {
      F.mul(F.mseLoss(model.forward(x), y), 0.5).backward();
      optimizer.step();
      optimizer.zeroGrad();
    });
  }
  const weights = [...model.weight.data()];
  model.dispose();
  return weights;
}

const ridge = penalties.map((lambda) => weightsUnder({ weightDecay: lambda }));
const lasso = penalties.map((lambda) => weightsUnder({ l1: { lambda, proximal: true } }));

const zeros = (weights) => weights.filter((w) => w === 0).length;
const norm = (weights) => Math.hypot(...weights);
for (const i of [0, Math.floor(count / 2), count - 1]) {
  console.log(
    `λ = ${penalties[i].toFixed(3)}: ridge ‖θ‖ ${norm(ridge[i]).toFixed(3)}, ${zeros(ridge[i])} zeros; ` +
      `lasso ‖θ‖ ${norm(lasso[i]).toFixed(3)}, ${zeros(lasso[i])} zeros`,
  );
}

const panels = [
  { left: 60, top: 95, width: 400, height: 340 },
  { left: 540, top: 95, width: 400, height: 340 },
];
const paths = (weights, panel) =>
  Array.from({ length: FEATURES }, (_, feature) => {
    const isUseful = feature < USEFUL.length;
    return {
      name: isUseful ? "useful feature" : "useless feature",
      type: "line",
      xAxisIndex: panel,
      yAxisIndex: panel,
      data: penalties.map((lambda, i) => [lambda, weights[i][feature]]),
      showSymbol: false,
      color: isUseful ? colors.first : colors.second,
      lineStyle: { width: isUseful ? 2.5 : 1.2, color: isUseful ? colors.first : colors.second },
      z: isUseful ? 3 : 2,
    };
  });

writeSvg(
  values.out,
  { width: 980, height: 500 },
  {
    title: [
      title("Twenty weights under a growing penalty"),
      panelTitle("ridge: all shrink, none is zero", panels[0].left, 70),
      panelTitle("lasso: the useless ones become zero first", panels[1].left, 70),
    ],
    legend: legend(["useful feature", "useless feature"], { icon: "rect", itemHeight: 3 }),
    grid: panels,
    xAxis: panels.map((_, i) => axis("penalty λ", 28, { gridIndex: i, type: "log", min: 0.01, max: 1 })),
    yAxis: panels.map((_, i) => axis("weight", 36, { gridIndex: i, min: -2, max: 2.5 })),
    series: [...paths(ridge, 0), ...paths(lasso, 1)],
  },
);
