/** Handwritten digits of 8 × 8 pixels, told apart by a network of 2,410 weights of 4 bits that evolve. */
import { Command } from "commander";
import { evolve, init } from "wasmgrad";
import { accuracyOf, digits, lossOf, percent } from "./tasks.mjs";

const flags = new Command("digits")
  .description("tells handwritten digits apart with 4-bit weights that evolve")
  .option("--images <idx>", "10,000 digits", "../shared/data/mnist10k-images.idx3-ubyte")
  .option("--labels <idx>", "which they are", "../shared/data/mnist10k-labels.idx1-ubyte")
  .option("--train <n>", "digits to learn from", Number, 1000)
  .option("--test <n>", "unseen digits to judge by", Number, 2000)
  .option("--generations <n>", "how many", Number, 1000)
  .option("--seed <n>", "of the evolution", Number, 0)
  .parse()
  .opts();
const { train, test, generations } = flags;

await init();
const task = digits(flags.images, flags.labels, 0, train);
const unseen = digits(flags.images, flags.labels, 10000 - test, test);
const model = task.makeModel();
const population = new evolve.Population(model, {
  seed: flags.seed,
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
