import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, inject, test, vi } from "vitest";

import { Slot } from "../src/wasm/job.js";
import type { WorkerReport } from "../src/wasm/poolWorker.js";
import type { PoolWorker, Workers } from "../src/wasm/workers.js";

type Library = typeof import("../src/index.js");

/** The library loaded anew, cutting every call that can be cut. */
async function freshLibrary(): Promise<Library> {
  vi.resetModules();
  const { grain } = await import("../src/wasm/parallel.js");
  Object.assign(grain, { least: 0, chunk: 0 });
  return import("../src/index.js");
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.doUnmock("#workers");
});

/** The workers of the next library are made by `change` from how they are really started. */
async function changeWorkers(
  change: (start: Workers["start"]) => Workers["start"],
  members: Partial<Workers> = {},
): Promise<void> {
  const { workers } = await vi.importActual<{ workers: Workers }>("../src/wasm/workers.node.js");
  vi.doMock("#workers", () => ({ workers: { ...workers, start: change(workers.start), ...members } }));
}

/** The workers of the next library, and when the first of them takes part. */
async function watchWorkers(): Promise<{ crew: PoolWorker[]; ready: Promise<void> }> {
  const crew: PoolWorker[] = [];
  let tell = () => {};
  const ready = new Promise<void>((resolve) => {
    tell = resolve;
  });
  await changeWorkers((start) => (data, report, lost) => {
    const heard = (said: WorkerReport) => {
      report(said);
      tell();
    };
    crew.push(start(data, heard, lost));
    return crew[crew.length - 1];
  });
  return { crew, ready };
}

/** The module of the baseline kernels, as a user who gives it would have it. */
async function baselineBytes(): Promise<Uint8Array<ArrayBuffer>> {
  const { inlined } = await import("../src/wasm/simd.gen.js");
  const stream = new Blob([Buffer.from(inlined, "base64")]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** WebAssembly with other members. */
function patched(members: object): object {
  const names = Object.getOwnPropertyNames(WebAssembly) as (keyof typeof WebAssembly)[];
  return { ...Object.fromEntries(names.map((name) => [name, WebAssembly[name]])), ...members };
}

/** 50 steps of a small classifier; the bits of its parameters. */
function train({ manualSeed, nn, optim, F, randn, randint, scope }: Library): number[] {
  manualSeed(7);
  const model = new nn.Sequential(
    new nn.Linear(20, 33),
    new nn.GELU(),
    new nn.LayerNorm([33]),
    new nn.Dropout(0.1),
    new nn.Linear(33, 10),
  );
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  for (let step = 0; step < 50; step++) {
    scope(() => {
      optimizer.zeroGrad();
      F.crossEntropy(model.forward(randn([37, 20])), randint(0, 10, [37])).backward();
      nn.utils.clipGradNorm_(model.parameters(), 1);
      optimizer.step();
    });
  }
  return model.parameters().flatMap((p) => [...new Int32Array(p.data().buffer)]);
}

/** Steps of LoRA over quantized layers; the bits of the adapter. */
function trainQuantized({ manualSeed, nn, optim, quant, lora, F, randn, scope }: Library): number[] {
  manualSeed(8);
  const model = new nn.Sequential(new nn.Linear(40, 70), new nn.GELU(), new nn.Linear(70, 40));
  quant.quantizeModel(model, "nf4");
  const parameters = lora.apply(model, { r: 4, targetModules: "all-linear" }).trainableParameters();
  const optimizer = new optim.AdamW(parameters, { lr: 1e-2 });
  for (let step = 0; step < 10; step++) {
    scope(() => {
      optimizer.zeroGrad();
      F.mseLoss(model.forward(randn([37, 40])), randn([37, 40])).backward();
      optimizer.step();
    });
  }
  return parameters.flatMap((p) => [...new Int32Array(p.data().buffer)]);
}

/** Generations of 4-bit weights and steps of a strategy; their losses, and the bits of the weights. */
function evolveWeights({ manualSeed, nn, evolve, F, keep, randn, scope, tensor }: Library): number[] {
  manualSeed(9);
  const model = new nn.Sequential(new nn.Linear(20, 33), new nn.Tanh(), new nn.Linear(33, 10));
  const [x, y] = scope(() => [keep(randn([37, 20])), keep(tensor(Int32Array.from({ length: 37 }, (_, i) => i % 10)))]);
  const lossFn = () => F.crossEntropy(model.forward(x), y).item();
  const population = new evolve.Population(model, { size: 20, selfAdaptingRate: true });
  const strategy = new evolve.EvolutionStrategy(model, { size: 20 });
  const steps = [population, population, population, strategy, strategy];
  const losses = steps.map((evolution) => evolution.step(lossFn).mean);
  return [...losses, ...model.parameters().flatMap((p) => [...new Int32Array(p.data().buffer)])];
}

describe("threads", () => {
  test("50 steps of training and evolution end in the same bits with 1, 2 and 4 of them", async () => {
    const simd = inject("simd");
    const results: number[][] = [];
    for (const threads of [1, 2, 4]) {
      const library = await freshLibrary();
      expect(await library.init({ threads, simd })).toMatchObject({ threads, sharedMemory: threads > 1 });
      results.push([...train(library), ...trainQuantized(library), ...evolveWeights(library)]);
      await library.shutdown();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test("more than cores run, and the runtime's info says what that means", async () => {
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 64 })).toMatchObject({ threads: 64, reason: expect.stringMatching(/64 threads on/) });
    await shutdown();
  });

  test("shutdown ends them, and init starts others", async () => {
    const { init, shutdown, tensor, F, runtimeInfo } = await freshLibrary();
    for (let i = 0; i < 3; i++) {
      await init({ threads: 2 });
      expect(runtimeInfo()).toMatchObject({ threads: 2, sharedMemory: true });
      expect(F.relu(tensor(new Float32Array(100).fill(-1))).data()).toEqual(new Float32Array(100));
      await shutdown();
    }
  });

  test("an idle pool lets the process exit", async () => {
    const program = `import { init } from "./src/index.ts"; console.log((await init({ threads: 2 })).threads);`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", program];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(said).toBe("2\n");
  });

  test("a worker that died is an error once; the next operations run on one thread", async () => {
    const { crew, ready } = await watchWorkers();
    const { init, shutdown, tensor, F, runtimeInfo, WorkerLostError } = await freshLibrary();
    await init({ threads: 2 });
    await ready;
    const x = tensor(new Float32Array(100).fill(2));
    await crew[0].terminate();
    await vi.waitFor(() => expect(() => F.relu(x)).toThrow(WorkerLostError));
    expect(F.relu(x).data()).toEqual(x.data());
    expect(runtimeInfo()).toMatchObject({ threads: 1, reason: expect.stringMatching(/a worker was lost: it ended/) });
    await shutdown();
  });

  test("a worker that hangs in a chunk is an error, not a hang", async () => {
    await changeWorkers(() => ({ job }, report) => {
      Atomics.add(new Int32Array(job), Slot.INSIDE, 1); // enters and never leaves
      queueMicrotask(() => report({ ready: true }));
      return { terminate: () => undefined };
    });
    const { init, shutdown, tensor, F, runtimeInfo, WorkerLostError } = await freshLibrary();
    const { patience } = await import("../src/wasm/pool.js");
    patience.milliseconds = 50;
    await init({ threads: 2 });
    const x = tensor(new Float32Array(100).fill(2));
    expect(() => F.relu(x)).toThrow(WorkerLostError);
    expect(F.relu(x).data()).toEqual(x.data());
    expect(runtimeInfo()).toMatchObject({ threads: 1, reason: expect.stringMatching(/unfinished/) });
    await shutdown();
  });

  test("a kernel that traps in a worker is an error that says so", async () => {
    const { ready } = await watchWorkers();
    const { init, shutdown } = await freshLibrary();
    await init({ threads: 2 });
    await ready;
    const { kernels } = await import("../src/wasm/kernels.js");
    const { allocate, offsetBy, nullPtr } = await import("../src/wasm/memory.js");
    const ptr = allocate(64 * 1024);
    const far = offsetBy(nullPtr, 2 ** 32 - 32 * 1024);
    for (let i = 0; i < 20; i++) expect(() => kernels.relu(far, ptr, 16 * 1024)).toThrow(/out of bounds/);
    kernels.relu(ptr, ptr, 16 * 1024);
    await shutdown();
  });

  test("workers that may not start leave one thread and the reason", async () => {
    await changeWorkers(() => () => {
      throw new Error("Refused by the content security policy");
    });
    const { init, shutdown, tensor, F } = await freshLibrary();
    expect(await init({ threads: 2 })).toMatchObject({
      threads: 1,
      reason: expect.stringMatching(/one thread: workers must start, got Refused/),
    });
    expect(F.sum(tensor([1, 2])).item()).toBe(3);
    await shutdown();
  });

  test.each<[string, (report: (report: WorkerReport) => void, lost: (why: string) => void) => void, RegExp]>([
    [
      "whose kernels are wrong",
      (report) => report({ ready: false, error: "exp must give 1, got 2" }),
      /exp must give 1/,
    ],
    ["that ends before it is ready", (_, lost) => lost("it ended with code 1"), /it ended with code 1/],
  ])("a worker %s leaves one thread and the reason, and no operation fails", async (_, fail, reason) => {
    let failLater = () => {};
    await changeWorkers(() => (_, report, lost) => {
      failLater = () => fail(report, lost);
      return { terminate: () => undefined };
    });
    const { init, shutdown, tensor, F, runtimeInfo } = await freshLibrary();
    expect(await init({ threads: 2 })).toMatchObject({ threads: 2 });
    const x = tensor(new Float32Array(100).fill(2));
    expect(F.relu(x).data()).toEqual(x.data());
    failLater();
    expect(F.relu(x).data()).toEqual(x.data());
    await vi.waitFor(() => expect(runtimeInfo()).toMatchObject({ threads: 1, reason: expect.stringMatching(reason) }));
    expect(F.relu(x).data()).toEqual(x.data());
    await shutdown();
  });

  test("where the second of two workers is refused, one thread is left and the end of the first is no stray rejection", async () => {
    let started = 0;
    const stray = vi.fn();
    process.on("unhandledRejection", stray);
    await changeWorkers(() => (_data, _report, lost) => {
      if (started++ > 0) throw new Error("no more of them");
      return { terminate: async () => void lost("it ended with code 1") };
    });
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 3 })).toMatchObject({ threads: 1, reason: expect.stringMatching(/no more of them/) });
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", stray);
    expect(stray).not.toHaveBeenCalled();
    await shutdown();
  });

  test("where only an event tells that workers may not start, init waits for it", async () => {
    await changeWorkers(
      () => (_, report) => {
        setTimeout(() => report({ ready: false, error: "exp must give 1, got 2" }), 10);
        return { terminate: () => undefined };
      },
      { refusedAtOnce: false },
    );
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 2 })).toMatchObject({ threads: 1, reason: expect.stringMatching(/exp must give 1/) });
    await shutdown();
  });

  test("without shared memory there is one, and the reason", async () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 2 })).toMatchObject({
      threads: 1,
      sharedMemory: false,
      reason: expect.stringMatching(/the engine has no SharedArrayBuffer/),
    });
    await shutdown();
  });

  test("where the engine refuses shared memory there is one, and the reason", async () => {
    const { Memory } = WebAssembly;
    class Unshared extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (descriptor.shared) throw new RangeError("could not share memory");
        super(descriptor);
      }
    }
    vi.stubGlobal("WebAssembly", patched({ Memory: Unshared }));
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 2 })).toMatchObject({
      threads: 1,
      sharedMemory: false,
      reason: expect.stringMatching(/refuses shared memory: could not share memory/),
    });
    await shutdown();
  });

  test("shutdown while they start, and init while they end, leave none behind", async () => {
    let running = 0;
    await changeWorkers((start) => (data, report, lost) => {
      running++;
      const worker = start(data, report, lost);
      return { terminate: async () => worker.terminate()?.then(() => running--) };
    });
    const { init, shutdown } = await freshLibrary();
    const starting = init({ threads: 3 });
    await Promise.all([starting, shutdown()]);
    expect(running).toBe(0);
    await init({ threads: 2 });
    const ending = shutdown();
    await init({ threads: 3 });
    await ending;
    expect(running).toBe(2);
    await shutdown();
    expect(running).toBe(0);
  });

  test("a slow chunk is no lost worker: patience grows with what a call is estimated to take", async () => {
    await changeWorkers(() => ({ job }, report) => {
      const ints = new Int32Array(job);
      Atomics.add(ints, Slot.INSIDE, 1);
      queueMicrotask(() => report({ ready: true }));
      return { terminate: () => undefined };
    });
    const { init, shutdown, tensor, F, WorkerLostError } = await freshLibrary();
    const { patience } = await import("../src/wasm/pool.js");
    Object.assign(patience, { milliseconds: 0, times: 1e6 });
    await init({ threads: 2 });
    const x = tensor(new Float32Array(1000)); // 120 ns of work, a million times
    const begin = performance.now();
    expect(() => F.relu(x)).toThrow(WorkerLostError);
    expect(performance.now() - begin).toBeGreaterThan(100);
    await shutdown();
  });

  test("a module given as bytes has them; a compiled one has one thread and says why", async () => {
    const { init, shutdown } = await freshLibrary();
    const bytes = await baselineBytes();
    expect(await init({ wasm: bytes, threads: 2 })).toMatchObject({ variant: "simd", threads: 2 });
    await shutdown();
    expect(await init({ wasm: await WebAssembly.compile(bytes), threads: 2 })).toMatchObject({
      threads: 1,
      sharedMemory: false,
      reason: expect.stringMatching(/compiled module cannot be given shared memory/),
    });
    await shutdown();
  });
});

describe("starting", () => {
  test("an engine that refuses a large memory is asked for less", async () => {
    const { Memory } = WebAssembly;
    class Small extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (descriptor.maximum! > 20_000) throw new RangeError("could not allocate memory");
        super(descriptor);
      }
    }
    vi.stubGlobal("WebAssembly", patched({ Memory: Small }));
    const { init, shutdown, zeros, OutOfMemoryError } = await freshLibrary();
    expect(await init({ threads: 2 })).toMatchObject({
      threads: 2,
      reason: expect.stringMatching(/refuses 4096 MiB of memory, the most is 1024 MiB/),
    });
    expect(() => zeros([300 * 1024 * 1024])).toThrow(OutOfMemoryError);
    await shutdown();
  });

  /** Kernels of which `exp` does nothing or else, in the relaxed variant or in every one. */
  function breakExp(isBroken: (exports: { isRelaxed(): number }) => boolean, exp = () => {}): void {
    const { instantiate } = WebAssembly;
    vi.stubGlobal(
      "WebAssembly",
      patched({
        async instantiate(module: WebAssembly.Module, imports: WebAssembly.Imports) {
          const { exports } = await instantiate(module, imports);
          return { exports: isBroken(exports as never) ? { ...exports, exp } : exports };
        },
      }),
    );
  }

  test.skipIf(inject("simd") === "baseline")(
    "relaxed kernels with wrong results give way to baseline ones",
    async () => {
      breakExp((exports) => exports.isRelaxed() === 1);
      const { init, shutdown } = await freshLibrary();
      expect(await init({ threads: 1 })).toMatchObject({
        variant: "simd",
        reason: expect.stringMatching(/relaxed SIMD is not used: .*exp must give/),
      });
      await shutdown();
      await expect(init({ simd: "relaxed" })).rejects.toThrow(/must compute right numbers.*exp/);
    },
  );

  test.skipIf(inject("simd") === "baseline")("so do relaxed kernels that trap", async () => {
    const trap = () => {
      throw new WebAssembly.RuntimeError("unreachable");
    };
    breakExp((exports) => exports.isRelaxed() === 1, trap);
    const { init, shutdown } = await freshLibrary();
    expect(await init({ threads: 1 })).toMatchObject({
      variant: "simd",
      reason: expect.stringMatching(/relaxed SIMD is not used: unreachable/),
    });
    await shutdown();
  });

  test("a worker that cannot run the module says so", async () => {
    const { serve } = await import("../src/wasm/poolWorker.js");
    const module = await WebAssembly.compile(await baselineBytes());
    const memory = new WebAssembly.Memory({ initial: 0, maximum: 0 });
    const post = vi.fn();
    await serve({ module, memory, job: new SharedArrayBuffer(8), names: [], thread: 1, scratch: 0 }, post);
    expect(post.mock.calls).toEqual([[{ ready: false, error: expect.stringMatching(/memory/) }]]);
  });

  test("baseline kernels with wrong results are an error", async () => {
    breakExp(() => true);
    const { init } = await freshLibrary();
    await expect(init()).rejects.toThrow(/the simd kernels must compute right numbers on this engine: exp must give/);
  });
});
