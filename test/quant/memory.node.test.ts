import { expect, test, vi } from "vitest";
import type { quant as Quant } from "../../src/index.js";

test.each(["log4", "int8", "nf4", "int4"] as const)(
  "%s: no product makes a float32 copy of the weight",
  async (name) => {
    // A library of its own: its peak is what this test allocates.
    vi.resetModules();
    const { init, memoryStats, quant, randn, scope, shutdown, zeros } = await import("../../src/index.js");
    await init({ threads: 1 });
    const size = 2048;
    const blocks = (size * size) / 64;
    const scheme: Quant.Scheme = quant[name];
    const extras = {
      nf4: zeros([1 + blocks / 256]),
      int4: zeros([blocks], { dtype: "uint8" }),
      log4: null,
      int8: null,
    };
    const weight: Quant.QuantizedTensor = {
      scheme,
      shape: [size, size],
      blockSize: 64,
      codes: zeros([(size * size * scheme.bits) / 8], { dtype: "uint8" }),
      scales: zeros([blocks], { dtype: name === "nf4" ? "uint8" : "float32" }),
      extra: extras[name],
    };
    const layer = new quant.QuantizedLinear(weight);
    const held = memoryStats().liveBytes;
    for (const rows of [1, 32]) {
      scope(() => {
        const x = randn([rows, size], { requiresGrad: true });
        layer.forward(x).sum().backward();
        expect(x.grad?.shape).toEqual([rows, size]);
      });
    }
    expect(memoryStats().peakBytes - held).toBeLessThan((4 * size * size) / 2);
    await shutdown();
  },
);
