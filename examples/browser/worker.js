/** The worker: it holds the model and does what the page commands. Commands come in as messages, events go out. */
import { createAdapter, createModel, heldOutLoss, Run, splitText, write } from "./training.js";
import { init, lora, manualSeed, memoryStats } from "./wasmgrad.js";

const SAMPLE_LENGTH = 120;

let model = null;
let adapter = null;
let run = null;
let training = Promise.resolve();
let trainingStop = new AbortController();
let writingStop = new AbortController();

const commands = {
  async init({ simd }) {
    post("ready", await init({ simd }));
  },

  async start({ phase, text, settings }) {
    trainingStop = new AbortController();
    training = train(phase, text, settings, trainingStop.signal);
    await training;
  },

  stop() {
    trainingStop.abort();
  },

  /** Writes between two steps of a training that goes on. */
  async generate({ prompt, temperature, maxNewTokens, withAdapter }) {
    writingStop = new AbortController();
    const options = { temperature, maxNewTokens, seed: randomSeed(), signal: writingStop.signal };
    const onText = (text) => post("text", { text });
    await inTurn(() => {
      if (!model) return;
      const writing = () => write(model, prompt, { ...options, onText });
      return adapter && !withAdapter ? adapter.disable(writing) : writing();
    });
    post("written");
  },

  stopGenerating() {
    writingStop.abort();
  },

  async reset() {
    trainingStop.abort();
    writingStop.abort();
    await training.catch(() => {});
    await inTurn(() => {
      run?.dispose();
      adapter?.detach();
      model?.dispose();
      run = adapter = model = null;
    });
    post("reset", { memory: memoryStats() });
  },

  async file({ name }) {
    const files = name.startsWith("adapter_") ? lora.saveAdapter(adapter) : await model.savePretrained();
    post("file", { name, content: files[name] });
  },
};

addEventListener("message", async ({ data: { command, ...details } }) => {
  try {
    await commands[command](details);
  } catch (error) {
    post("failed", { command, message: error.message });
  }
});

function post(event, details) {
  postMessage({ event, ...details });
}

/** Runs until the last step or a stop; a later start goes on from there. */
async function train(phase, text, settings, signal) {
  const { train: bytes, heldOut } = splitText(text, settings.context);
  await inTurn(() => prepare(phase, settings));
  post("started", { phase, step: run.step, steps: run.steps, parameters: parameterCount() });
  const sample = () => inTurn(() => writeSample(phase, settings, heldOut));
  if (run.step === 0) await sample();
  while (!run.finished && !signal.aborted) {
    await inTurn(() => trainStep(bytes));
    if (run.finished || run.step % settings.every === 0) await sample();
    await nextTask();
  }
  const { finished } = run;
  if (finished) endRun();
  post("ended", { phase, finished });
}

function prepare(phase, settings) {
  if (!model) manualSeed(settings.seed);
  model ??= createModel(settings);
  if (phase === "finetune") {
    if (!adapter) endRun();
    adapter ??= createAdapter(model, settings);
  }
  run ??= new Run(model, settings);
}

function endRun() {
  run?.dispose();
  run = null;
}

function parameterCount() {
  return { trainable: run.parameters.reduce((sum, p) => sum + p.size, 0), total: model.numParameters() };
}

function trainStep(bytes) {
  const began = performance.now();
  const loss = run.next(bytes);
  const seconds = (performance.now() - began) / 1000;
  const { step, steps, batch, context } = run;
  post("step", { step, steps, loss, tokens: batch * context, seconds, memory: memoryStats() });
}

async function writeSample(phase, { context, prompt, temperature }, heldOut) {
  post("sample", { phase, step: run.step, prompt, loss: heldOutLoss(model, heldOut, context) });
  const onText = (text) => post("sampleText", { text });
  await write(model, prompt, {
    maxNewTokens: SAMPLE_LENGTH,
    temperature,
    seed: 1,
    signal: trainingStop.signal,
    onText,
  });
}

let last = Promise.resolve();

/** One piece of work at a time, in the order of asking. */
function inTurn(work) {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}

const { port1, port2 } = new MessageChannel();

/** Lets waiting messages in; `setTimeout` would wait 4 ms for nothing. */
function nextTask() {
  return new Promise((resolve) => {
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
}

function randomSeed() {
  return Math.floor(Math.random() * 2 ** 31);
}
