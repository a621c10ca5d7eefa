/** What the options do: each run has the same number of losses to take, from seeds 0, 1, 2, … */
import { parseArgs } from "node:util";
import { evolve, init, optim } from "wasmgrad";
import { accuracyOf, batchedLossOf, digits, lossOf, percent, spiral, xor } from "./tasks.mjs";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "../shared/data/mnist10k-images.idx3-ubyte" },
    labels: { type: "string", default: "../shared/data/mnist10k-labels.idx1-ubyte" },
    tasks: { type: "string", default: "xor,spiral,digits" },
  },
});

const variants = {
  "plain algorithm": {},
  "no crossover": { crossover: "none" },
  "two children a pair": { children: 2 },
  "parents: uniform": { parents: "uniform" },
  "parents: tournament of 3": { parents: "tournament" },
  "mutation rate 0.2 %": { mutationRate: 0.002 },
  "5 islands": { islands: 5, elites: 1 },
  "self-adapting rate": { selfAdaptingRate: true },
  "self-adapting rate, tournament": { selfAdaptingRate: true, parents: "tournament" },
  "self-adapting rate, tournament, 5 islands": { selfAdaptingRate: true, parents: "tournament", islands: 5, elites: 1 },
};
const strategies = {
  EvolutionStrategy: () => undefined,
  "EvolutionStrategy with Adam": (model) => new optim.Adam(model.parameters(), { lr: 0.05 }),
};

await init();
const files = [values.images, values.labels];
const tasks = {
  xor: { make: xor, generations: 300, seeds: 10, unseen: null },
  spiral: { make: spiral, generations: 600, seeds: 5, unseen: null },
  digits: {
    make: () => digits(...files, 0, 1000),
    generations: 400,
    seeds: 1,
    unseen: () => digits(...files, 8000, 2000),
  },
};

/** Loss and accuracy at the end of one run. */
async function run(evolution, model, lossFn, generations, judged) {
  const history = await evolve.fit(evolution, { generations, lossFn });
  return { loss: history.generations.at(-1).best, accuracy: accuracyOf(model, judged) };
}

async function population(task, options, seed, generations, judged) {
  const model = task.makeModel();
  const evolving = new evolve.Population(model, { ...options, seed, batched: 10 });
  const result = await run(evolving, model, batchedLossOf(task), generations, judged);
  evolving.dispose();
  model.dispose();
  return result;
}

async function strategy(task, optimizerFor, seed, generations, judged) {
  const model = task.makeModel();
  const optimizer = optimizerFor(model);
  const estimating = new evolve.EvolutionStrategy(model, { seed, optimizer });
  const result = await run(estimating, model, lossOf(model, task), generations, judged);
  optimizer?.dispose();
  model.dispose();
  return result;
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

for (const name of values.tasks.split(",")) {
  const { make, generations, seeds, unseen } = tasks[name];
  const task = make();
  const judged = unseen?.() ?? task;
  console.log(
    `\n| ${name}, ${generations} generations of 100 | loss | ${unseen ? "unseen " : ""}right |\n|---|---|---|`,
  );
  const all = [
    ...Object.entries(variants).map(([label, options]) => [label, population, options]),
    ...Object.entries(strategies).map(([label, optimizerFor]) => [label, strategy, optimizerFor]),
  ];
  for (const [label, evolveOnce, how] of all) {
    const results = [];
    for (let seed = 0; seed < seeds; seed++) results.push(await evolveOnce(task, how, seed, generations, judged));
    const [loss, right] = ["loss", "accuracy"].map((key) => median(results.map((result) => result[key])));
    console.log(`| ${label} | ${loss.toFixed(4)} | ${percent(right)} |`);
  }
}
