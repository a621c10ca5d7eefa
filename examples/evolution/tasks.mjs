/** What is learned here: inputs [rows, in], their classes, and a model. */
import { F, keep, manualSeed, nn, noGrad, randn, scope, tensor } from "wasmgrad";
import { readIdx } from "../mnist/idx.mjs";

/** Whether two bits differ. Tensors are kept. */
export function xor() {
  return {
    ...kept({
      points: [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ].flat(),
      columns: 2,
      classes: [0, 1, 1, 0],
    }),
    makeModel: () => new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 2)),
  };
}

const ARMS = 2;
const PER_ARM = 100;

/** Two arms: radius up to 1, one turn, noise in the angle. */
export function spiral() {
  manualSeed(1);
  const noise = scope(() => randn([ARMS * PER_ARM]).data());
  const points = [];
  const classes = [];
  for (let arm = 0; arm < ARMS; arm++) {
    for (let i = 0; i < PER_ARM; i++) {
      const radius = (i + 4) / (PER_ARM + 4);
      const angle = 2 * Math.PI * (arm / ARMS + radius) + 0.1 * noise[arm * PER_ARM + i];
      points.push(radius * Math.sin(angle), radius * Math.cos(angle));
      classes.push(arm);
    }
  }
  return {
    ...kept({ points, columns: 2, classes }),
    makeModel: () =>
      new nn.Sequential(
        new nn.Linear(2, 16),
        new nn.Tanh(),
        new nn.Linear(16, 16),
        new nn.Tanh(),
        new nn.Linear(16, ARMS),
      ),
  };
}

/** Digits of 28 × 28 pixels, pooled to 8 × 8: `count` rows from `start` on. */
export function digits(imagesPath, labelsPath, start, count) {
  const images = readIdx(imagesPath);
  const labels = readIdx(labelsPath);
  const [, height, width] = images.shape;
  const pixels = images.values.subarray(start * height * width, (start + count) * height * width);
  const pooled = scope(() => {
    const ink = tensor(
      Float32Array.from(pixels, (byte) => byte / 64 - 1),
      { shape: [count, 1, height, width] },
    );
    return F.adaptiveAvgPool2d(ink, 8).data();
  });
  return {
    ...kept({ points: pooled, columns: 64, classes: labels.values.subarray(start, start + count) }),
    makeModel: () => new nn.Sequential(new nn.Linear(64, 32), new nn.ReLU(), new nn.Linear(32, 10)),
  };
}

function kept({ points, columns, classes }) {
  return scope(() => ({
    x: keep(tensor(Float32Array.from(points), { shape: [classes.length, columns] })),
    y: keep(tensor(Int32Array.from(classes))),
  }));
}

/** The cross-entropy of the individual that the model holds. */
export function lossOf(model, { x, y }) {
  return () => F.crossEntropy(model.forward(x), y).item();
}

/** Of every individual: with `batched`, `forward` gives the outputs [individuals, rows, classes] of all at once. */
export function batchedLossOf({ x, y }) {
  return (forward) => {
    const outputs = forward(x);
    const [individuals, rows, classes] = outputs.shape;
    const targets = F.repeat(y, [individuals]);
    const each = F.crossEntropy(outputs.reshape([-1, classes]), targets, { reduction: "none" });
    return each.reshape([individuals, rows]).mean({ dim: 1 });
  };
}

/** The likeliest class of each row. */
export function predict(model, x) {
  return noGrad(() => scope(() => [...F.argmax(model.forward(x), { dim: 1 }).data()]));
}

/** The share of rows that the model puts into their class. */
export function accuracyOf(model, { x, y }) {
  const classes = y.data();
  return predict(model, x).filter((predicted, i) => predicted === classes[i]).length / classes.length;
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
