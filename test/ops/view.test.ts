import { describe, expect, test } from "vitest";
import { arange, F, memoryStats, scope, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd } from "../support/reference.js";

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

  test("flatten joins dims, squeeze drops extents of 1, view refuses a copy", () => {
    const reshaped = (shape: readonly number[]) => (x: Nd) => ({ shape, data: x.data });
    const shapes = [[[2, 1, 3, 1]]];
    checkOp({ op: (x) => F.flatten(x), reference: reshaped([6]), shapes });
    checkOp({ op: (x) => F.flatten(x, { startDim: 1, endDim: -2 }), reference: reshaped([2, 3, 1]), shapes });
    checkOp({ op: (x) => F.squeeze(x), reference: reshaped([2, 3]), shapes });
    checkOp({ op: (x) => F.squeeze(x, 1), reference: reshaped([2, 3, 1]), shapes });
    checkOp({ op: (x) => F.squeeze(x, 0), reference: (x) => x, shapes });
    checkOp({ op: (x) => F.view(F.clone(x), [3, -1]), reference: reshaped([3, 2]), shapes });
    scope(() => {
      const x = zeros([2, 3]);
      expect(() => F.flatten(x, { startDim: 1, endDim: 0 })).toThrow(
        "flatten: startDim must not exceed endDim, got 1 and 0",
      );
      expect(() => F.view(F.transpose(x, 0, 1), [6])).toThrow("view: the strides must allow [6] without a copy");
    });
  });

  test("slice reads like Python's", () => {
    for (const n of [1, 3, 4, 5, 7, 16, 17]) {
      checkOp({
        op: (x) => F.slice(x, [[1], 0, [-3, null, 2]]),
        reference: (x: Nd) => {
          const from = Math.max(n - 3, 0);
          return build([1, Math.ceil((n - from) / 2)], ([r, c]) => at(x, [r + 1, 0, from + 2 * c]));
        },
        shapes: [[[2, 3, n]]],
      });
    }
    scope(() => {
      const x = arange(0, 5);
      expect(F.slice(x, [[-9, 9]]).toArray()).toEqual([0, 1, 2, 3, 4]);
      expect(F.slice(x, [[3, 1]]).shape).toEqual([0]);
      expect(F.slice(x, [-1]).toArray()).toBe(4);
      expect(F.slice(x, []).toArray()).toEqual([0, 1, 2, 3, 4]);
      expect(F.slice(zeros([0, 2]), [null, [1]]).shape).toEqual([0, 1]);
      expect(() => F.slice(x, [5])).toThrow("slice: the index of dim 0 must be from -5 to 4, got 5");
      expect(() => F.slice(x, [null, null])).toThrow("slice: ranges must be 1 at most, got 2 for [5]");
      expect(() => F.slice(x, [[0, 2, -1]])).toThrow(
        "slice: bounds must be whole numbers and the step one from 1, got [0, 2, -1] in dim 0",
      );
    });
  });

  test("cat and stack: errors, empty parts, gradients", () => {
    const joined = (a: Nd, b: Nd) =>
      build([2, a.shape[1] + b.shape[1]], ([r, c]) =>
        at(c < a.shape[1] ? a : b, [r, c < a.shape[1] ? c : c - a.shape[1]]),
      );
    checkOp({
      op: (a, b) => F.cat([a, b], -1),
      reference: joined,
      shapes: [
        [
          [2, 3],
          [2, 4],
        ],
        [
          [2, 0],
          [2, 1],
        ],
      ],
    });
    checkOp({
      op: (a, b) => F.stack([a, b], -1),
      reference: (a, b) => build([2, 3, 2], ([r, c, k]) => at(k === 0 ? a : b, [r, c])),
      shapes: [
        [
          [2, 3],
          [2, 3],
        ],
      ],
    });
    scope(() => {
      expect(() => F.cat([])).toThrow("cat: at least one tensor must be given, got none");
      expect(() => F.stack([])).toThrow("stack: at least one tensor must be given, got none");
      expect(() => F.cat([zeros([2, 3]), zeros([2, 2])])).toThrow(
        "cat: shapes must agree outside dim 0, and dtypes, got [2, 3] float32 and [2, 2] float32",
      );
      expect(() => F.stack([zeros([2]), zeros([3])])).toThrow(
        "stack: shapes and dtypes must agree, got [2] float32 and [3] float32",
      );
      expect(() => F.stack([zeros([2]), zeros([2])], 2)).toThrow("stack: dim must be from -2 to 1, got 2");
      expect(() => F.cat([zeros([]), zeros([])])).toThrow("cat: tensors must have a dimension, got []");
      expect(F.stack([tensor(1), tensor(2)]).toArray()).toEqual([1, 2]);
    });
  });

  test("split and chunk", () => {
    scope(() => {
      const x = arange(0, 7);
      const shown = (parts: readonly { toArray(): unknown }[]) => parts.map((part) => part.toArray());
      expect(shown(F.split(x, 3))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
      expect(shown(F.split(x, [0, 6, 1]))).toEqual([[], [0, 1, 2, 3, 4, 5], [6]]);
      expect(shown(F.chunk(x, 3))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
      expect(shown(F.chunk(x, 9)).length).toBe(7);
      expect(shown(F.split(zeros([0]), 2))).toEqual([[]]);
      expect(() => F.split(x, 0)).toThrow("split: the size must be a whole number from 1, got 0");
      expect(() => F.split(x, [3, 3])).toThrow(
        "split: sizes must be whole numbers from 0 that add up to 7, got [3, 3]",
      );
      expect(() => F.split(x, [8, -1])).toThrow(
        "split: sizes must be whole numbers from 0 that add up to 7, got [8, -1]",
      );
      expect(() => F.chunk(x, 0)).toThrow("chunk: the number of chunks must be a whole number from 1, got 0");
    });
  });
});
