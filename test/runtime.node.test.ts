import { afterEach, describe, expect, test, vi } from "vitest";
import type { Tensor } from "../src/index.js";

/** The library loaded anew, apart from the instance that the other tests share: in Node alone, vitest can do that. */
async function freshLibrary(): Promise<typeof import("../src/index.js")> {
  vi.resetModules();
  return import("../src/index.js");
}

afterEach(() => vi.unstubAllGlobals());

describe("init", () => {
  test("before it, every operation says to call it", async () => {
    const { tensor, zeros, runtimeInfo, nn } = await freshLibrary();
    for (const use of [() => tensor([1]), () => zeros([2]), () => runtimeInfo(), () => new nn.Linear(2, 2)]) {
      expect(use).toThrow(/await init\(\)/);
    }
  });

  test("it is idempotent; other options reject", async () => {
    const { init, runtimeInfo, shutdown } = await freshLibrary();
    const [first, second] = await Promise.all([
      init({ simd: "baseline", threads: 1 }),
      init({ simd: "baseline", threads: 1 }),
    ]);
    expect(second).toBe(first);
    expect(await init()).toBe(first);
    expect(runtimeInfo()).toEqual({ variant: "simd", threads: 1, sharedMemory: false, version: "0.1.0" });
    await expect(init({ simd: "auto" })).rejects.toThrow(/options of the first/);
    await shutdown();
  });

  test("options out of range are errors", async () => {
    const { init } = await freshLibrary();
    await expect(init({ threads: 0 })).rejects.toThrow(/threads must be "auto" or a whole number from 1, got 0/);
    await expect(init({ simd: "fast" as "auto" })).rejects.toThrow(
      /simd must be "auto", "baseline" or "relaxed", got fast/,
    );
    await expect(init({ maximumMemoryMiB: 5000 })).rejects.toThrow(/maximumMemoryMiB must be from 1 to 4096, got 5000/);
    await expect(init({ maximumMemoryMiB: "64" as never })).rejects.toThrow(/from 1 to 4096, got 64/);
    await expect(init({ threads: 2n as never })).rejects.toThrow(/whole number from 1, got 2/);
    await expect(init({ thread: 2 } as never)).rejects.toThrow(/init: options must be threads, .* got thread/);
  });

  test("an engine without WebAssembly is an error that says so", async () => {
    const { init, UnsupportedError } = await freshLibrary();
    vi.stubGlobal("WebAssembly", undefined);
    await expect(init()).rejects.toThrow(UnsupportedError);
    await expect(init()).rejects.toThrow(/must have WebAssembly/);
  });

  test("an engine that allows no memory is an error that says so", async () => {
    const { init, OutOfMemoryError } = await freshLibrary();
    class None {
      constructor() {
        throw new RangeError("could not allocate memory");
      }
    }
    vi.stubGlobal(
      "WebAssembly",
      new Proxy(WebAssembly, { get: (all, name) => (name === "Memory" ? None : all[name as "Memory"]) }),
    );
    await expect(init()).rejects.toThrow(OutOfMemoryError);
    await expect(init()).rejects.toThrow(/must allow a memory of 64 MiB, got could not allocate memory/);
  });

  test("shutdown while it starts ends what has started; init after it waits for that", async () => {
    const { init, shutdown, runtimeInfo, tensor } = await freshLibrary();
    const starting = init({ simd: "baseline", threads: 1 });
    const ending = shutdown();
    const next = init({ simd: "auto", threads: 1 });
    await Promise.all([starting, ending]);
    const info = await next;
    expect(runtimeInfo()).toBe(info);
    expect(tensor([1]).item()).toBe(1);
    await shutdown();
    expect(runtimeInfo).toThrow(/await init\(\)/);
  });

  test("a tensor of another copy of the library is an error", async () => {
    const [one, other] = [await freshLibrary(), await freshLibrary()];
    await one.init({ threads: 1 });
    await other.init({ threads: 1 });
    const foreign = other.tensor([5, 6]);
    expect(() => one.F.add(one.tensor([1, 2]), foreign)).toThrow(/add: inputs must be tensors of this copy/);
    expect([...foreign.data()]).toEqual([5, 6]);
    await Promise.all([one.shutdown(), other.shutdown()]);
  });

  test("a module is read from a file's URL", async () => {
    const { init, shutdown } = await freshLibrary();
    const url = new URL("../build/simd.wasm", import.meta.url);
    expect(await init({ wasm: url })).toMatchObject({ variant: "simd" });
    await shutdown();
  });

  test("an engine without SIMD is an error that says so", async () => {
    const { init, UnsupportedError } = await freshLibrary();
    vi.stubGlobal("WebAssembly", { ...WebAssembly, validate: () => false });
    await expect(init()).rejects.toThrow(UnsupportedError);
    await expect(init()).rejects.toThrow(/must support WebAssembly SIMD/);
  });

  test("relaxed SIMD that is asked for and missing is an error", async () => {
    const { init } = await freshLibrary();
    const { validate, compile, Module, Memory, instantiate, Instance } = WebAssembly;
    // the detector's module for relaxed SIMD is the one with opcode 0x100 and above: a two-byte LEB after 0xfd
    const hasRelaxed = (bytes: Uint8Array) => bytes.some((byte, i) => byte === 0xfd && bytes[i + 2] === 2);
    vi.stubGlobal("WebAssembly", {
      validate: (b: Uint8Array<ArrayBuffer>) => !hasRelaxed(b) && validate(b),
      compile,
      Module,
      Memory,
      instantiate,
      Instance,
    });
    await expect(init({ simd: "relaxed" })).rejects.toThrow(/relaxed.*use "auto" or "baseline"/);
  });

  test("after shutdown tensors are gone, and init starts anew", async () => {
    const { init, shutdown, tensor, memoryStats, UseAfterFreeError } = await freshLibrary();
    await init();
    const old = tensor([1, 2]);
    await shutdown();
    expect(() => tensor([1])).toThrow(/await init\(\)/);
    await init();
    expect(() => old.data()).toThrow(UseAfterFreeError);
    const { liveBytes } = memoryStats();
    old.dispose();
    expect(memoryStats().liveBytes).toBe(liveBytes);
    expect([...tensor([3]).data()]).toEqual([3]);
    await shutdown();
  });

  test("a module given by the user is run; bytes that are none are an error", async () => {
    const { init, shutdown } = await freshLibrary();
    const { inlined } = await import("../src/wasm/simd.gen.js");
    const bytes = Uint8Array.from(atob(inlined), (c) => c.charCodeAt(0));
    const inflated = await new Response(
      new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")),
    ).arrayBuffer();
    expect(await init({ wasm: await WebAssembly.compile(inflated) })).toMatchObject({ variant: "simd" });
    await shutdown();
    await expect(init({ wasm: new Uint8Array([1, 2, 3]) })).rejects.toThrow();
    expect(await init({ wasm: inflated })).toMatchObject({ variant: "simd" });
    await shutdown();
  });
});

describe("memory", () => {
  test("running out says what was asked, live and allowed, and leaves every tensor usable", async () => {
    const { init, shutdown, zeros, tensor, F, keep, memoryStats, OutOfMemoryError } = await freshLibrary();
    await init({ maximumMemoryMiB: 8 });
    const kept = keep(tensor([1, -2, 3]));
    const blocks: Tensor[] = [];
    const fill = () => {
      for (;;) blocks.push(zeros([65536]));
    };
    expect(fill).toThrow(OutOfMemoryError);
    expect(fill).toThrow(/256\.0 KiB must fit, got [\d.]+ MiB live of 8\.0 MiB allowed/);
    expect(blocks.length).toBeGreaterThan(20);
    expect([...F.relu(kept).data()]).toEqual([1, 0, 3]);
    for (const block of blocks) block.dispose();
    const whole = zeros([20 * 65536]);
    expect(whole.size).toBe(20 * 65536);
    expect(memoryStats().reservedBytes).toBeLessThanOrEqual(8 * 1024 * 1024);
    await shutdown();
  });

  test("free neighbours merge before the memory grows", async () => {
    const { init, shutdown, zeros, memoryStats } = await freshLibrary();
    await init();
    const small = Array.from({ length: 4096 }, () => zeros([1024]));
    const { reservedBytes } = memoryStats();
    for (const t of small) t.dispose();
    zeros([3 * 1024 * 1024]).dispose();
    expect(memoryStats().reservedBytes).toBe(reservedBytes);
    await shutdown();
  });
});
