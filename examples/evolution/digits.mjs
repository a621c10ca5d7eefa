/** Handwritten digits of 8 × 8 pixels, told apart by a network of 2,410 weights of 4 bits that evolve. */
import { parseArgs } from "node:util";
import { evolve, init } from "wasmgrad";
import { accuracyOf, digits, lossOf, percent } from "./tasks.mjs";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "../shared/data/mnist10k-images.idx3-ubyte" },
    labels: { type: "string", default: "../shared/data/mnist10k-labels.idx1-ubyte" },
    train: { type: "string", default: "1000" },
    test: { type: "string", default: "2000" },
    generations: { type: "string", default: "1000" },
    seed: { type: "string", default: "0" },
  },
});
const train = Number(values.train);
const test = Number(values.test);
const generations = Number(values.generations);

await init();
const task = digits(values.images, values.labels, 0, train);
const unseen = digits(values.images, values.labels, 10000 - test, test);
const model = task.makeModel();
const population = new evolve.Population(model, {
  seed: Number(values.seed),
  selfAdaptingRate: true,
  parents: "tournament",
});

const begun = performance.now();
await evolve.fit(population, {
  generations,
  lossFn: lossOf(model, task),
  onGeneration({ generation, best, mean, worst }) {
    if (generation % Math.ceil(generations / 10) > 0) return;
    const losses = [best, mean, worst].map((loss) => loss.toFixed(3));
    console.log(
      `generation ${generation}: best ${losses[0]}, mean ${losses[1]}, worst ${losses[2]}, ` +
        `${percent(accuracyOf(model, unseen))} of ${test} unseen digits right`,
    );
  },
});
const seconds = (performance.now() - begun) / 1000;
console.log(
  `accuracy: ${percent(accuracyOf(model, unseen))} after ${seconds.toFixed(0)} s, ${(generations / seconds).toFixed(1)} generations a second`,
);
