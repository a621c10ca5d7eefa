/** What is particular to the model: its shape, its loss, a step of its training. */
import { F, lora, models, nn, noGrad, optim, randint, scope, tensor } from "./wasmgrad.js";

/** A Llama over bytes: 256 tokens, and no tokenizer. */
export function createModel({ width, layers }) {
  return new models.Llama({
    vocab_size: 256,
    hidden_size: width,
    intermediate_size: Math.ceil((8 * width) / 3 / 32) * 32,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-5,
  });
}

/** The layers that get an adapter. The output head is one of them: the second text may have bytes that the first lacks. */
const targetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"];

/** Freezes the model and gives its linear layers a trainable product of two thin matrices each. */
export function createAdapter(model, { rank, alpha }) {
  return lora.apply(model, { r: rank, alpha, targetModules });
}

/** Nine tenths to train on, one tenth held out. */
export function splitText(text, context) {
  const bytes = new TextEncoder().encode(text);
  const cut = Math.floor(bytes.length * 0.9);
  const needed = 10 * (context + 2);
  if (bytes.length < needed) {
    throw new Error(`The text is too short: ${bytes.length} bytes, and rows of ${context} need ${needed} or more.`);
  }
  return { train: bytes.subarray(0, cut), heldOut: bytes.subarray(cut) };
}

/** How well the model predicts each next byte of the rows that begin at `starts`. */
function lossAt(model, bytes, starts, context) {
  const rows = (shift) => {
    const ids = new Int32Array(starts.length * context);
    for (const [row, start] of starts.entries()) {
      ids.set(bytes.subarray(start + shift, start + shift + context), row * context);
    }
    return tensor(ids, { shape: [starts.length, context] });
  };
  const logits = model.forward(rows(0)); // (batch, context, 256)
  return F.crossEntropy(logits.flatten({ endDim: 1 }), rows(1).flatten());
}

/** Mean loss over up to 16 rows, spread evenly. */
export function heldOutLoss(model, bytes, context) {
  const last = bytes.length - context - 1;
  const rows = Math.max(1, Math.min(16, Math.floor(last / context)));
  const starts = Array.from({ length: rows }, (_, i) => Math.floor((i * last) / rows));
  model.eval();
  return noGrad(() => scope(() => lossAt(model, bytes, starts, context).item()));
}

/** A number of training steps: warm-up, then a cosine that ends at zero. */
export class Run {
  step = 0;

  constructor(model, { steps, batch, context, learningRate, weightDecay }) {
    Object.assign(this, { model, steps, batch, context });
    this.parameters = model.parameters().filter((parameter) => parameter.requiresGrad);
    this.optimizer = new optim.AdamW(this.parameters, { lr: learningRate, weightDecay });
    this.schedule = new optim.schedulers.WarmupCosine(this.optimizer, {
      warmupSteps: Math.min(20, Math.floor(steps / 10)),
      totalSteps: steps,
    });
  }

  get finished() {
    return this.step >= this.steps;
  }

  /** One batch of random rows; what it computes is released when the scope ends. */
  next(bytes) {
    this.model.train();
    const loss = scope(() => {
      const starts = randint(0, bytes.length - this.context, [this.batch]).data();
      const loss = lossAt(this.model, bytes, starts, this.context);
      loss.backward();
      nn.utils.clipGradNorm_(this.parameters, 1);
      this.optimizer.step();
      this.schedule.step();
      this.optimizer.zeroGrad();
      return loss.item();
    });
    this.step++;
    if (!Number.isFinite(loss))
      throw new Error("The loss is no longer a number. Reset, and try a lower learning rate.");
    return loss;
  }

  dispose() {
    this.optimizer.dispose();
  }
}

/** Continues `prompt`, handing over the text as its bytes come. */
export async function write(model, prompt, { onText, ...options }) {
  model.eval();
  const decoder = new TextDecoder(); // a character's bytes may come in several tokens
  await model.generate(new TextEncoder().encode(prompt || "\n"), {
    ...options,
    onToken: (byte) => onText(decoder.decode(Uint8Array.of(byte), { stream: true })),
  });
  onText(decoder.decode());
}
