/** The page: commands to the worker, and what its events show. Nothing here computes. */
import { LossChart } from "./chart.js";
import { fillTexts } from "./texts.js";

const $ = (selector) => document.querySelector(selector);
const panels = Object.fromEntries(
  [...document.querySelectorAll(".panel")].map((panel) => [panel.dataset.phase, panel]),
);
const parameters = new URLSearchParams(location.search);

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const send = (command, details) => worker.postMessage({ command, ...details });

const chart = new LossChart($("#chart"), showReading);

/** What the buttons depend on. */
const state = {
  ready: false,
  training: false,
  stopping: false,
  writing: false,
  /** The phase whose run has steps left, if any. */
  unfinished: null,
  hasModel: false,
  hasAdapter: false,
};

let sample = null;
let secondsPerToken = null;

const events = {
  ready({ variant, threads }) {
    state.ready = true;
    show("#variant", `${variant} kernels, ${threads} ${threads === 1 ? "thread" : "threads"}`);
    say("Ready.");
  },

  started({ phase, step, steps, parameters: { trainable, total } }) {
    state.hasModel = true;
    state.hasAdapter ||= phase === "finetune";
    if (phase === "finetune") $("#prompt-text").value = settingsOf("finetune").prompt;
    state.unfinished = phase;
    secondsPerToken = null;
    chart.begin(phase, steps - step, step === 0);
    show("#parameters", count(trainable), trainable < total ? `of ${count(total)}` : "all of them");
    say(phase === "scratch" ? "Training from scratch …" : "Fine-tuning the adapter …");
    countFrames();
  },

  step({ step, steps, loss, tokens, seconds, memory }) {
    const rate = seconds / tokens;
    secondsPerToken = secondsPerToken === null ? rate : 0.9 * secondsPerToken + 0.1 * rate;
    chart.add(state.unfinished, loss);
    show("#step", count(step), `of ${count(steps)}`);
    show("#loss", loss.toFixed(3), $("#loss small")?.textContent);
    show("#rate", count(Math.round(1 / secondsPerToken)), `${count(tokens)} a step`);
    showMemory(memory);
  },

  sample({ phase, step, prompt, loss }) {
    chart.addHeldOut(loss);
    show("#loss", $("#loss").firstChild.textContent, `held out ${loss.toFixed(3)}`);
    sample = addSample(phase, step, prompt, loss);
  },

  sampleText({ text }) {
    sample?.append(text);
  },

  ended({ phase, finished }) {
    Object.assign(state, { training: false, stopping: false, unfinished: finished ? null : phase });
    if (!finished) {
      say("Stopped. Everything learned so far is kept.");
    } else if (phase === "scratch") {
      say("Done. Next, fine-tune it on a second text.");
      choosePhase("finetune");
    } else {
      say("Done. Try the model with and without its adapter, or take the adapter with you.");
    }
  },

  text({ text }) {
    $("#written span").append(text);
  },

  written() {
    state.writing = false;
  },

  reset({ memory }) {
    Object.assign(state, { training: false, stopping: false, unfinished: null, hasModel: false, hasAdapter: false });
    chart.clear();
    $("#samples").replaceChildren();
    $("#written").hidden = true;
    for (const id of ["#step", "#loss", "#rate", "#parameters"]) show(id, "–");
    showMemory(memory);
    choosePhase("scratch");
    say("Reset. The memory is empty again.");
  },

  file({ name, content }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  },

  failed({ command, message }) {
    if (command === "start") state.training = state.stopping = false;
    if (command === "generate") state.writing = false;
    const help = "Current versions of Chrome, Edge, Firefox and Safari can run it.";
    showProblem(command === "init" ? `The library cannot start here. ${help} What went wrong: ${message}` : message);
    say(command === "init" ? "Not started." : "Stopped by an error.");
  },
};

worker.onmessage = ({ data: { event, ...details } }) => {
  events[event](details);
  update();
};

worker.onerror = ({ message }) => {
  showProblem(
    `The worker could not start: ${message ?? "wasmgrad.js or a file it needs is missing; has the package been built?"}`,
  );
  say("Not started.");
};

$("#controls").addEventListener("submit", (event) => {
  event.preventDefault();
  const { text, ...settings } = settingsOf(phase());
  $("#problem").hidden = true;
  state.training = true;
  send("start", { phase: phase(), text, settings });
  update();
});

$("#controls").addEventListener("change", update);

/** A field that must be corrected must be seen. */
$("#controls").addEventListener("invalid", ({ target }) => (target.closest("details").open = true), true);

$("#stop").addEventListener("click", () => {
  state.stopping = true;
  send("stop");
  say("Stopping after this step …");
  update();
});

$("#reset").addEventListener("click", () => {
  state.stopping = true;
  send("reset");
  update();
});

$("#prompt").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.writing) return send("stopGenerating");
  const { prompt, temperature, bytes, withAdapter } = event.target.elements;
  state.writing = true;
  $("#written").hidden = false;
  $("#written b").textContent = prompt.value;
  $("#written span").textContent = "";
  send("generate", {
    prompt: prompt.value,
    temperature: temperature.valueAsNumber,
    maxNewTokens: bytes.valueAsNumber,
    withAdapter: withAdapter.checked,
  });
  update();
});

$("#prompt").addEventListener("input", ({ currentTarget }) =>
  show("#temperature-value", currentTarget.elements.temperature.value),
);

for (const button of document.querySelectorAll("[data-file]")) {
  button.addEventListener("click", () => send("file", { name: button.dataset.file }));
}

/** Buttons and fields say what can be done now. */
function update() {
  const { ready, training, stopping, hasModel, hasAdapter } = state;
  const chosen = phase();
  const outOfOrder = chosen === "finetune" ? !hasModel : hasAdapter;
  $("#controls").dataset.phase = chosen;
  $("#start").disabled = !ready || training || outOfOrder;
  $("#start").textContent = startLabel(chosen);
  $("#reason").hidden = !outOfOrder;
  $("#reason").textContent = reasonFor(chosen);
  $("#stop").disabled = !training || stopping;
  $("#reset").disabled = !hasModel;
  $("#generate").disabled = !hasModel;
  $("#generate").textContent = state.writing ? "Stop" : "Generate";
  $("#adapter").hidden = !hasAdapter;
  $("#no-samples").hidden = $("#samples").children.length > 0;
  for (const button of document.querySelectorAll("[data-file]")) {
    button.disabled = !(button.dataset.file.startsWith("adapter_") ? hasAdapter : hasModel);
  }
  for (const [name, panel] of Object.entries(panels)) {
    panel.hidden = name !== chosen;
    for (const field of panel.elements) field.disabled = training || panel.hidden || isSettled(field.name, name);
  }
}

/** Settings that a model, an adapter or an unfinished run already has. */
function isSettled(name, panel) {
  if (["width", "layers", "seed"].includes(name)) return state.hasModel;
  if (["rank", "alpha"].includes(name)) return state.hasAdapter;
  return ["steps", "batch", "context", "learningRate", "weightDecay"].includes(name) && state.unfinished === panel;
}

function startLabel(phase) {
  if (state.stopping) return "Stopping …";
  if (state.training) return "Training …";
  if (state.unfinished === phase) return "Continue";
  if (phase === "finetune") return state.hasAdapter ? "Fine-tune further" : "Start fine-tuning";
  return state.hasModel ? "Train further" : "Start training";
}

function reasonFor(phase) {
  return phase === "finetune"
    ? "There is no model to fine-tune yet. Train one from scratch first, for any number of steps."
    : "The model is frozen since it has an adapter. Reset to start over.";
}

function phase() {
  return $("#controls").elements.phase.value;
}

function choosePhase(name) {
  $("#controls").elements.phase.value = name;
}

function settingsOf(phase) {
  const fields = [...panels[phase].elements].filter(({ name }) => name);
  return Object.fromEntries(
    fields.map((field) => [field.name, field.type === "number" ? field.valueAsNumber : field.value]),
  );
}

/** `aside` stands smaller after the text. */
function show(selector, text, aside = "") {
  const small = document.createElement("small");
  small.textContent = aside;
  $(selector).replaceChildren(text, ...(aside ? [" ", small] : []));
}

function say(text) {
  show("#status", text);
}

function showProblem(text) {
  show("#problem", text);
  $("#problem").hidden = false;
}

function showMemory({ liveBytes, reservedBytes }) {
  const mebibytes = (bytes) => (bytes / 1024 / 1024).toFixed(1);
  show("#memory", `${mebibytes(liveBytes)} MiB`, `${mebibytes(reservedBytes)} reserved`);
}

function showReading(point) {
  const part = (name, value) => (value == null ? "" : ` · ${name} ${value.toFixed(3)}`);
  show("#reading", point ? `step ${point.step}${part("loss", point.loss)}${part("held out", point.heldOut)}` : "");
}

/** An empty sample at the top of the list; returns the place of its text. */
function addSample(phase, step, prompt, loss) {
  const item = document.createElement("li");
  item.className = phase;
  const title = document.createElement("h3");
  title.textContent = `${phase === "scratch" ? "From scratch" : "LoRA"}, step ${count(step)}`;
  const heldOut = document.createElement("small");
  heldOut.textContent = `held-out loss ${loss.toFixed(3)}`;
  const text = document.createElement("p");
  text.className = "written";
  const beginning = document.createElement("b");
  beginning.textContent = prompt;
  const rest = document.createElement("span");
  text.append(beginning, rest);
  item.append(title, heldOut, text);
  $("#samples").prepend(item);
  return rest;
}

/** Frames that the page draws in a second while the worker trains. */
function countFrames() {
  let frames = 0;
  let since = performance.now();
  const frame = (now) => {
    frames++;
    if (now - since >= 1000) {
      show("#frames", `page at ${Math.round((1000 * frames) / (now - since))} frames a second`);
      frames = 0;
      since = now;
    }
    if (state.training) requestAnimationFrame(frame);
    else show("#frames", "");
  };
  requestAnimationFrame(frame);
}

function count(n) {
  return n.toLocaleString("en-US");
}

/** `?steps=20&batch=4` sets every field of these names. */
for (const [name, value] of parameters) {
  for (const field of document.querySelectorAll(`input[name="${CSS.escape(name)}"]`)) field.value = value;
}
await Promise.all(Object.values(panels).map(fillTexts));
send("init", { simd: parameters.get("simd") ?? "auto" });
update();
