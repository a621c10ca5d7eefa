/**
 * Handwritten digits, told apart by a network of plain layers (MLP) and by a small convolutional one (CNN) with batch
 * normalization. The first rows of the files are trained on, the last are tested on.
 */
import { parseArgs } from "node:util";
import { data, F, init, manualSeed, nn, noGrad, optim, randint, scope, tensor, train } from "wasmgrad";
import { axis, colors, legend, panelTitle, title, writeSvg } from "../chart.mjs";
import { readIdx } from "./idx.mjs";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "../shared/data/mnist10k-images.idx3-ubyte" },
    labels: { type: "string", default: "../shared/data/mnist10k-labels.idx1-ubyte" },
    train: { type: "string", default: "8000" },
    test: { type: "string", default: "2000" },
    epochs: { type: "string", default: "8" },
    out: { type: "string", default: "wasmgrad-out/mnist.svg" },
  },
});
const epochs = Number(values.epochs);

await init();
manualSeed(0);

const images = readIdx(values.images);
const labels = readIdx(values.labels);
const [count, height, width] = images.shape;
const PIXELS = height * width;
const trainCount = Number(values.train);
const testCount = Number(values.test);
if (trainCount + testCount > count) throw new Error(`mnist: --train and --test must be at most ${count} together`);

const BLACK = -0.1307 / 0.3081;

/** Rows from `start`: images [n, 1, 28, 28] of mean 0 and deviation 1 (over MNIST), and their digits. */
function digits(start, n) {
  const pixels = Float32Array.from(
    images.values.subarray(start * PIXELS, (start + n) * PIXELS),
    (byte) => BLACK + byte / 255 / 0.3081,
  );
  return new data.TensorDataset(
    tensor(pixels, { shape: [n, 1, height, width] }),
    tensor(Int32Array.from(labels.values.subarray(start, start + n))),
  );
}

const trainingSet = digits(0, trainCount);
const testSet = digits(count - testCount, testCount);
const batches = (samples, shuffle) => new data.DataLoader(samples, { batchSize: 64, shuffle, seed: 1 });

const mlp = () =>
  new nn.Sequential(
    new nn.Flatten(),
    new nn.Linear(PIXELS, 128),
    new nn.ReLU(),
    new nn.Dropout(0.2),
    new nn.Linear(128, 10),
  );

const cnn = () =>
  new nn.Sequential(
    new nn.Conv2d(1, 16, 3, { padding: 1, bias: false }), // [N, 16, 28, 28]
    new nn.BatchNorm2d(16),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(16, 32, 3, { padding: 1, bias: false }), // [N, 32, 14, 14]
    new nn.BatchNorm2d(32),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(32, 64, 3, { padding: 1, bias: false }), // [N, 64, 7, 7]
    new nn.BatchNorm2d(64),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Dropout(0.3),
    new nn.Linear((64 * height * width) / 16, 10),
  );

const truth = [...labels.values.subarray(count - testCount)];
const accuracyOf = (predicted) => predicted.filter((digit, i) => digit === truth[i]).length / testCount;

const SHIFT = 2;

/** A batch moved by up to two pixels, so that no network learns where exactly a stroke lies. */
function shifted(x) {
  const [down, right] = randint(0, 2 * SHIFT + 1, [2]).data();
  const padded = F.pad(x, [SHIFT, SHIFT, SHIFT, SHIFT], { value: BLACK });
  return F.narrow(F.narrow(padded, 2, down, height), 3, right, width);
}

/** The digit that `model` takes each test image for. */
function predict(model) {
  const predicted = [];
  model.eval();
  for (const [x] of batches(testSet, false)) {
    predicted.push(...noGrad(() => scope(() => F.argmax(model.forward(x), { dim: 1 }).data())));
  }
  model.train();
  return predicted;
}

/** Trains; the accuracy on the test images after each epoch, and what the model takes them for at the end. */
async function learn(name, model) {
  const loader = batches(trainingSet, true);
  const optimizer = new optim.AdamW(model.parameters(), { lr: 2e-3, weightDecay: 0.02 });
  const totalSteps = epochs * loader.length;
  const warmupSteps = Math.round(totalSteps / 10);
  const scheduler = new optim.schedulers.WarmupCosine(optimizer, { warmupSteps, totalSteps });
  const accuracies = [];
  const predicted = [];
  await train.fit(model, loader, {
    epochs,
    optimizer,
    scheduler: { scheduler, interval: "step" },
    loss: (model, [x, digit]) => F.crossEntropy(model.forward(shifted(x)), digit),
    callbacks: [
      new train.ProgressBar({ title: name }),
      {
        onEpoch() {
          predicted.splice(0, testCount, ...predict(model));
          accuracies.push(accuracyOf(predicted));
        },
      },
    ],
  });
  console.log(
    `${name}: ${(100 * accuracies[epochs - 1]).toFixed(2)} % of ${testCount} test images right ` +
      `(${model.numParameters().toLocaleString("en-US")} parameters)`,
  );
  optimizer.dispose();
  model.dispose();
  return { name, accuracies, predicted };
}

const results = [await learn("MLP", mlp()), await learn("CNN", cnn())];

const COLUMNS = 6;
const wrong = truth.flatMap((digit, i) => (results[1].predicted[i] === digit ? [] : i)).slice(0, 4 * COLUMNS);

/** One image as bars of equal pixels, with what it is and what it was taken for below. */
function drawing(image, at) {
  const left = (at % COLUMNS) * 62;
  const top = Math.floor(at / COLUMNS) * 84;
  const pixels = images.values.subarray((count - testCount + image) * PIXELS);
  const bars = [];
  for (let y = 0; y < height; y++) {
    for (let from = 0, to = 1; from < width; from = to++) {
      const ink = pixels[y * width + from] >> 5;
      while (to < width && pixels[y * width + to] >> 5 === ink) to++;
      if (ink === 0) continue;
      bars.push({
        type: "rect",
        shape: { x: left + 2 * from, y: top + 2 * y, width: 2 * (to - from), height: 2.2 },
        style: { fill: colors.text, opacity: (ink + 1) / 8 },
      });
    }
  }
  const caption = `${truth[image]}, not ${results[1].predicted[image]}`;
  return [
    ...bars,
    {
      type: "text",
      x: left + 28,
      y: top + 60,
      style: { text: caption, align: "center", fill: colors.text, fontSize: 12 },
    },
  ];
}

const palette = [colors.second, colors.first];
const lowest = Math.min(...results.flatMap(({ accuracies }) => accuracies));
writeSvg(
  values.out,
  { width: 1000, height: 480 },
  {
    title: [
      title("Handwritten digits: a plain network and a convolutional one"),
      panelTitle("right on unseen digits", 75, 70),
      panelTitle(wrong.length > 0 ? "digits that the CNN took for others" : "", 590, 70),
    ],
    legend: legend(results.map(({ name }) => name)),
    grid: { left: 75, top: 95, width: 440, height: 325 },
    xAxis: axis("epoch", 28, { min: 1, max: Math.max(epochs, 2), minInterval: 1 }),
    yAxis: axis("accuracy", 48, {
      min: Math.floor(20 * lowest) / 20,
      max: 1,
      interval: 0.05,
      axisLabel: { formatter: (share) => `${Math.round(100 * share)} %` },
    }),
    graphic: [{ type: "group", left: 590, top: 95, children: wrong.flatMap(drawing) }],
    series: results.map(({ name, accuracies }, i) => ({
      name,
      type: "line",
      data: accuracies.map((accuracy, epoch) => [epoch + 1, accuracy]),
      color: palette[i],
      symbolSize: 7,
    })),
  },
);
