import { describe, expect, test } from "vitest";
import { F, memoryStats, scope, tensor } from "../../src/index.js";

describe("shape operations", () => {
  test("reshape copies a view whose strides cannot express the shape", () => {
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 24 }, (_, i) => i),
        { shape: [2, 3, 4] },
      );
      const swapped = F.permute(x, [0, 2, 1]);
      const before = memoryStats().liveTensors;
      const flat = F.reshape(swapped, [2, 12]);
      expect(flat.strides).toEqual([12, 1]);
      expect(flat.data()).toEqual(swapped.data());
      expect(memoryStats().liveTensors - before).toBe(1);
    });
  });
});
