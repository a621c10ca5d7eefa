import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  data,
  F,
  getRngState,
  io,
  lora,
  manualSeed,
  memoryStats,
  nn,
  optim,
  quant,
  randn,
  runtimeInfo,
  type StateDict,
  scope,
  setRngState,
  type Tensor,
  tensor,
} from "../../src/index.js";

const { loadCheckpoint, saveCheckpoint } = io;

/** A checkpoint in memory. */
async function saved(parts: io.CheckpointParts): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = new Uint8Array();
  await saveCheckpoint((written) => void (bytes = written), parts);
  return bytes;
}

class Net extends nn.Module {
  readonly first = new nn.Linear(3, 8);
  readonly norm = new nn.BatchNorm1d(8);
  readonly dropout = new nn.Dropout(0.3);
  readonly last = new nn.Linear(8, 2);

  override forward(x: Tensor): Tensor {
    return this.last.forward(this.dropout.forward(F.tanh(this.norm.forward(this.first.forward(x)))));
  }
}

const ROWS = 11;
const samples = () => scope(() => randn([ROWS, 3]).data());
let rows: Tensor;
let classes: Tensor;
beforeEach(() => {
  manualSeed(5);
  rows = tensor(samples(), { shape: [ROWS, 3] });
  classes = tensor(Int32Array.from({ length: ROWS }, (_, i) => i % 2));
});
afterEach(() => {
  rows.dispose();
  classes.dispose();
});

interface Case {
  optimizer: (parameters: nn.Parameter[]) => optim.Optimizer;
  scheduler: (optimizer: optim.Optimizer) => {
    step(metric: number): void;
    stateDict(): object;
    loadStateDict(state: never): void;
  };
  adapt?: (model: Net) => void;
}

/** One run's parts, all made from `seed`. */
class Run {
  readonly model: Net;
  readonly optimizer: optim.Optimizer;
  readonly scheduler: ReturnType<Case["scheduler"]>;
  readonly loader: data.DataLoader<Tensor[]>;
  readonly losses: number[] = [];

  constructor({ optimizer, scheduler, adapt }: Case, seed: number) {
    manualSeed(seed);
    this.model = new Net();
    adapt?.(this.model);
    this.optimizer = optimizer(this.model.parameters().filter((p) => p.requiresGrad));
    this.scheduler = scheduler(this.optimizer);
    const set = new data.TensorDataset(rows, classes);
    this.loader = new data.DataLoader(set, { batchSize: 4, shuffle: true, seed }) as Run["loader"];
  }

  get parts(): io.CheckpointParts {
    const { model, optimizer, scheduler, loader, losses } = this;
    return { model, optimizer, scheduler: scheduler as io.Stateful<object>, loader, extra: { losses } };
  }

  /** Trains until there are `steps` losses in all; `save` runs after the last step, with the epoch still open. */
  async train(steps: number, save?: () => Promise<void>): Promise<void> {
    while (this.losses.length < steps) {
      for (const [x, y] of this.loader) {
        scope(() => {
          const loss = F.crossEntropy(this.model.forward(x), y);
          loss.backward();
          this.optimizer.step();
          this.scheduler.step(loss.item());
          this.optimizer.zeroGrad();
          this.losses.push(loss.item());
        });
        if (this.losses.length < steps) continue;
        await save?.();
        break;
      }
    }
  }

  /** All that training changes. */
  get state(): object {
    return scope(() => {
      const values = (tensors: StateDict) => Object.fromEntries(Object.entries(tensors).map(([k, t]) => [k, t.data()]));
      const { tensors, ...options } = this.optimizer.stateDict();
      const parameters = Object.fromEntries(this.model.namedParameters());
      const buffers = Object.fromEntries(this.model.namedBuffers());
      return {
        losses: [...this.losses],
        model: values({ ...parameters, ...buffers }),
        optimizer: { ...options, tensors: values(tensors) },
        scheduler: this.scheduler.stateDict(),
        rng: getRngState(),
      };
    });
  }

  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
  }
}

const { schedulers } = optim;
const STEPS = 8; // 3 batches an epoch: two epochs and a part
const cosine = (o: optim.Optimizer) => new schedulers.WarmupCosine(o, { warmupSteps: 2, totalSteps: STEPS });
const plateau = (o: optim.Optimizer) => new schedulers.ReduceLROnPlateau(o, { patience: 0, factor: 0.5 });
const cases: Record<string, Case> = {
  "SGD with momentum, an average and l1": {
    optimizer: (p) =>
      new optim.SGD(p, { lr: 0.1, momentum: 0.9, weightDecay: 0.01, l1: { lambda: 1e-3, proximal: true } }),
    scheduler: (o) => new schedulers.SequentialLR(o, [new schedulers.LinearLR(o), cosine(o)], [3]),
  },
  "Adam with amsgrad": { optimizer: (p) => new optim.Adam(p, { lr: 0.05, amsgrad: true }), scheduler: plateau },
  "AdamW in two groups, one cycle": {
    optimizer: ([first, ...others]) => new optim.AdamW([{ params: [first], lr: 0.2 }, { params: others }], { lr: 0.1 }),
    scheduler: (o) => new schedulers.OneCycleLR(o, [0.1, 0.2], { totalSteps: STEPS }),
  },
  NAdam: { optimizer: (p) => new optim.NAdam(p, { lr: 0.05 }), scheduler: cosine },
  "RMSprop, centered": { optimizer: (p) => new optim.RMSprop(p, { momentum: 0.5, centered: true }), scheduler: cosine },
  Adagrad: { optimizer: (p) => new optim.Adagrad(p, { lr: 0.1, lrDecay: 0.1 }), scheduler: plateau },
  Adadelta: { optimizer: (p) => new optim.Adadelta(p), scheduler: cosine },
  Lion: { optimizer: (p) => new optim.Lion(p, { lr: 0.01, weightDecay: 0.1 }), scheduler: cosine },
  "LoRA with dropout over a frozen base": {
    adapt: (model) => void lora.apply(model, { r: 2, dropout: 0.4, targetModules: ["first", "last"] }),
    optimizer: (p) => new optim.AdamW(p, { lr: 0.1 }),
    scheduler: cosine,
  },
  "LoRA over a base in int8": {
    adapt: (model) => {
      quant.quantizeModel(model, "int8");
      lora.apply(model, { r: 2, targetModules: "all-linear" });
    },
    optimizer: (p) => new optim.AdamW(p, { lr: 0.1 }),
    scheduler: cosine,
  },
  "DoRA from PiSSA's start, a trained head and biases": {
    adapt: (model) =>
      void lora.apply(model, {
        r: 2,
        targetModules: ["first"],
        initWeights: "pissa",
        useDora: true,
        modulesToSave: ["last"],
        biasMode: "lora_only",
      }),
    optimizer: (p) => new optim.AdamW(p, { lr: 0.1 }),
    scheduler: cosine,
  },
};

describe("a run that was stopped at any step and resumed is the run that never stopped, bit for bit", () => {
  for (const [title, made] of Object.entries(cases)) {
    test(title, async () => {
      const whole = new Run(made, 1);
      await whole.train(STEPS);
      const expected = whole.state;
      whole.dispose();
      for (let stop = 1; stop < STEPS; stop++) {
        const first = new Run(made, 1);
        let bytes = new Uint8Array();
        await first.train(stop, async () => void (bytes = await saved(first.parts)));
        first.dispose();
        const second = new Run(made, 2);
        const extra = await loadCheckpoint<{ losses: number[] }>(bytes, second.parts);
        second.losses.push(...extra.losses);
        await second.train(STEPS);
        expect(second.state, `stopped after ${stop}`).toEqual(expected);
        second.dispose();
      }
    });
  }
});

describe("a checkpoint", () => {
  const made = cases["Adam with amsgrad"];
  let run: Run;
  beforeEach(async () => {
    run = new Run(made, 1);
    await run.train(2);
  });
  afterEach(() => run.dispose());

  test("is a safetensors file that others can read: tensors by name, the rest as JSON", async () => {
    const { tensors, metadata } = await io.safetensors.parse(
      await saved({ ...run.parts, extra: { note: "½", at: [1, null] } }),
    );
    expect(Object.keys(tensors).filter((name) => name.startsWith("model."))).toEqual([
      "model.first.bias",
      "model.first.weight",
      "model.last.bias",
      "model.last.weight",
      "model.norm.bias",
      "model.norm.running_mean",
      "model.norm.running_var",
      "model.norm.weight",
      "model.norm.num_batches_tracked",
    ]);
    expect(tensors["optimizer.0.exp_avg_sq"].shape).toEqual([8, 3]);
    expect(JSON.parse(metadata.rng)).toEqual(getRngState());
    expect(JSON.parse(metadata.loader)).toEqual(run.loader.stateDict());
    expect(JSON.parse(metadata.extra)).toEqual({ note: "½", at: [1, null] });
    expect(metadata.variant).toBe(JSON.stringify(runtimeInfo().variant));
    for (const t of Object.values(tensors)) t.dispose();
  });

  test("is the same file for the same state, also after a way through a model", async () => {
    const bytes = await saved(run.parts);
    expect(await saved(run.parts)).toEqual(bytes);
    const other = new Run(made, 9);
    await loadCheckpoint(new Blob([bytes]), other.parts);
    expect(await saved({ ...other.parts, extra: run.parts.extra })).toEqual(bytes);
    other.dispose();
  });

  test("holds what is asked for: parts may be left out of it, or in it", async () => {
    const { model, optimizer } = run.parts;
    const alone = await saved({ model });
    expect(await loadCheckpoint(alone, { model })).toBeUndefined();
    await expect(loadCheckpoint(alone, { model, optimizer })).rejects.toThrow(
      "loadCheckpoint: the checkpoint must hold the optimizer, got none (the given bytes)",
    );
    expect(await loadCheckpoint(await saved(run.parts), { model })).toEqual({ losses: run.losses });
  });

  test("takes the state at once: what follows is not in it", async () => {
    const before = run.state;
    const pending = saved(run.parts);
    const bytesLater = await run.train(4).then(() => pending);
    const other = new Run(made, 9);
    const { losses } = await loadCheckpoint<{ losses: number[] }>(bytesLater, other.parts);
    other.losses.push(...losses);
    expect(other.state).toEqual(before);
    other.dispose();
  });

  test("of an adapter's handle holds the adapter alone; a merged one is refused", async () => {
    const handle = lora.apply(run.model, { r: 2, targetModules: ["first", "last"] });
    for (const parameter of handle.trainableParameters()) nn.init.normal_(parameter);
    const values = handle.trainableParameters().map((p) => p.data());
    const bytes = await saved({ model: handle });
    const { tensors } = await io.safetensors.parse(bytes);
    expect(Object.keys(tensors)).toContain("model.base_model.model.first.lora_A.weight");
    expect(Object.keys(tensors)).toHaveLength(4);
    for (const t of Object.values(tensors)) t.dispose();
    for (const parameter of handle.trainableParameters()) nn.init.zeros_(parameter);
    await loadCheckpoint(bytes, { model: handle });
    expect(handle.trainableParameters().map((p) => p.data())).toEqual(values);
    handle.merge();
    await expect(saved({ model: run.model })).rejects.toThrow(
      "saveCheckpoint: adapters must be unmerged, got a merged one at first.delta",
    );
    await expect(loadCheckpoint(bytes, { model: run.model })).rejects.toThrow(
      "loadCheckpoint: adapters must be unmerged",
    );
    await expect(loadCheckpoint(bytes, { model: handle })).rejects.toThrow("must be called on an unmerged adapter");
    handle.unmerge();
    handle.detach();
  });

  test("of a model with several adapters goes into the one that it was made of", async () => {
    const targetModules = ["first", "last"];
    const handle = lora.apply(run.model, { r: 2, targetModules, adapterName: "poems" });
    handle.addAdapter("letters", { r: 2, targetModules });
    const poems = await saved({ model: run.model });
    handle.setAdapter("letters");
    const values = handle.trainableParameters().map((p) => p.data());
    await expect(loadCheckpoint(poems, { model: run.model })).rejects.toThrow(
      "loadCheckpoint: the active adapter must be poems, as in the checkpoint, got letters (the given bytes)",
    );
    expect(handle.trainableParameters().map((p) => p.data())).toEqual(values);
    handle.setAdapter("poems");
    await loadCheckpoint(poems, { model: run.model });
    handle.detach();
  });

  test("neither keeps tensors nor loses any", async () => {
    const other = new Run(made, 9);
    await loadCheckpoint(await saved(run.parts), other.parts);
    const before = memoryStats();
    await loadCheckpoint(await saved(run.parts), other.parts);
    expect(memoryStats()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
    other.dispose();
  });

  test("of other kernels is loaded with a warning", async () => {
    const bytes = await saved(run.parts);
    const other = runtimeInfo().variant === "simd" ? "relaxed-simd" : "simd";
    const { tensors, metadata } = await io.safetensors.parse(bytes);
    const changed = io.safetensors.serialize(tensors, { ...metadata, variant: JSON.stringify(other) });
    for (const t of Object.values(tensors)) t.dispose();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      await loadCheckpoint(bytes, run.parts);
      expect(warn).not.toHaveBeenCalled();
      await loadCheckpoint(resealed(changed), run.parts);
      expect(warn.mock.calls[0][0]).toMatch(
        `was saved with ${other} kernels and goes on with ${runtimeInfo().variant}`,
      );
    } finally {
      warn.mockRestore();
    }
  });
});

/** The file with the checksum of its present bytes, by a definition of CRC-32 of its own. */
function resealed(bytes: Uint8Array): Uint8Array {
  const at = new TextDecoder().decode(bytes.subarray(0, 100)).indexOf('"crc32":"') + 9;
  bytes.set(new TextEncoder().encode("00000000"), at);
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  bytes.set(new TextEncoder().encode((~crc >>> 0).toString(16).padStart(8, "0")), at);
  return bytes;
}

describe("what does not fit is an error, and everything is as it was", () => {
  const made = cases["AdamW in two groups, one cycle"];
  let run: Run;
  let bytes: Uint8Array<ArrayBuffer>;
  beforeEach(async () => {
    const other = new Run(made, 1);
    await other.train(3);
    bytes = await saved(other.parts);
    other.dispose();
    run = new Run(made, 2);
    await run.train(2);
  });
  afterEach(() => run.dispose());

  async function expectRefused(source: Uint8Array, message: string | RegExp, parts: Partial<io.CheckpointParts> = {}) {
    const before = run.state;
    const place = run.loader.stateDict();
    const memory = memoryStats();
    await expect(loadCheckpoint(source, { ...run.parts, ...parts })).rejects.toThrow(message);
    expect(run.state).toEqual(before);
    expect(run.loader.stateDict()).toEqual(place);
    expect(memoryStats()).toMatchObject({ liveTensors: memory.liveTensors, liveBytes: memory.liveBytes });
  }

  test("a file that was cut off anywhere", async () => {
    for (let length = 0; length < bytes.length; length += 97) {
      await expectRefused(bytes.subarray(0, length), /^(safetensors|loadCheckpoint): /);
    }
  });

  test("a file with any one bit changed", async () => {
    for (let at = 0; at < bytes.length; at += 53) {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << (at % 8);
      await expectRefused(damaged, /^(safetensors|loadCheckpoint): /);
    }
  });

  test("another file", async () => {
    const plain = scope(() => io.safetensors.serialize(run.model.stateDict(), { format: "pt" }));
    await expectRefused(plain, "loadCheckpoint: the file must be one that saveCheckpoint wrote");
    const text = new TextDecoder("latin1").decode(bytes).replace('checkpoint":"1"', 'checkpoint":"2"');
    const newer = Uint8Array.from(text, (c) => c.charCodeAt(0));
    expect(newer).not.toEqual(bytes);
    await expectRefused(newer, "the checkpoint's version must be 1, got 2");
  });

  test("another model", async () => {
    const other = new nn.Linear(3, 8);
    await expectRefused(bytes, /missing keys: model\.weight, model\.bias\n {2}unexpected keys: model\.first\.bias/, {
      model: other,
    });
    other.dispose();
  });

  test("another optimizer, or other groups of it", async () => {
    const parameters = run.model.parameters();
    const refuse = async (optimizer: optim.Optimizer, message: string) => {
      await expectRefused(bytes, message, { optimizer });
      optimizer.dispose();
    };
    await refuse(new optim.Adam(parameters), "loadCheckpoint: the optimizer must be Adam, got AdamW");
    await refuse(new optim.AdamW(parameters), "groups must have [6] parameters, got [1, 5]");
    const reversed = [...parameters].reverse();
    await refuse(new optim.AdamW([{ params: reversed.slice(0, 1) }, { params: reversed.slice(1) }]), "must have shape");
  });

  test("another scheduler or loader, found after the optimizer was loaded", async () => {
    await expectRefused(bytes, "ReduceLROnPlateau.loadStateDict", { scheduler: plateau(run.optimizer) });
    const shorter = new data.DataLoader(new data.TensorDataset(rows), { batchSize: ROWS });
    const state = { ...shorter.stateDict(), batch: 1 };
    const { loader: _, ...others } = run.parts;
    const midway = await saved({
      ...others,
      loader: { stateDict: () => ({ ...state, batch: 7 }), loadStateDict() {} },
    });
    await expectRefused(midway, "DataLoader.loadStateDict: the epoch must be", { loader: shorter });
  });

  test("what JSON does not keep, when it is saved", async () => {
    const save = (extra: unknown) => saved({ ...run.parts, extra });
    await expect(save({ a: [1, NaN] })).rejects.toThrow(
      "saveCheckpoint: extra.a[1] must be finite numbers, text, lists and plain objects, got NaN",
    );
    await expect(save({ seen: new Set() })).rejects.toThrow("extra.seen must be");
    const circle: { self?: object } = {};
    circle.self = circle;
    await expect(save(circle)).rejects.toThrow("circular");
  });

  test("options and targets that there are not", async () => {
    await expect(saved({ ...run.parts, optimiser: run.optimizer } as never)).rejects.toThrow("got optimiser");
    await expect(loadCheckpoint(bytes, { modell: run.model } as never)).rejects.toThrow("got modell");
    await expect(saved({} as never)).rejects.toThrow("saveCheckpoint: model must be given");
    await expect(loadCheckpoint(bytes, {} as never)).rejects.toThrow("loadCheckpoint: model must be given");
    await expect(saveCheckpoint(7 as never, run.parts)).rejects.toThrow(
      "saveCheckpoint: the target must be a path, a file handle or a function, got 7",
    );
  });

  test("a target that fails", async () => {
    const failing = () => Promise.reject(new Error("disk full"));
    await expect(saveCheckpoint(failing, run.parts)).rejects.toThrow("disk full");
  });
});

test("the state of the random numbers comes back", async () => {
  const model = new nn.Linear(1, 1);
  const bytes = await saved({ model });
  const drawn = scope(() => randn([5]).data());
  setRngState({ seed: 77, offset: 3 });
  await loadCheckpoint(bytes, { model });
  expect(scope(() => randn([5]).data())).toEqual(drawn);
  model.dispose();
});
