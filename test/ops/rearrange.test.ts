import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, tensor, zeros } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, type Nd } from "../support/reference.js";

const tails = [1, 3, 4, 5, 7, 16, 17].map((n) => [[2, n]]);

describe("pad, flip, roll, repeat, repeatInterleave", () => {
  test("pad", () => {
    checkOp({
      op: (x) => F.pad(x, [2, 1], { value: 3 }),
      reference: (x: Nd) =>
        build([2, x.shape[1] + 3], ([r, c]) => (c < 2 || c >= x.shape[1] + 2 ? 3 : at(x, [r, c - 2]))),
      shapes: [...tails, [[2, 0]]],
    });
    checkOp({
      op: (x) => F.pad(x, [-1, 1, 1, -1]),
      reference: (x: Nd) => build(x.shape, ([i, r, c]) => (r < 1 || c > 2 ? 0 : at(x, [i, r - 1, c + 1]))),
      shapes: [[[2, 3, 4]]],
    });
  });

  test("flip", () => {
    checkOp({
      op: (x) => F.flip(x, -1),
      reference: (x: Nd) => build(x.shape, ([r, c]) => at(x, [r, x.shape[1] - 1 - c])),
      shapes: [...tails, [[3, 0]]],
    });
    checkOp({
      op: (x) => F.flip(x, [0, 2]),
      reference: (x: Nd) => build(x.shape, ([i, r, c]) => at(x, [x.shape[0] - 1 - i, r, x.shape[2] - 1 - c])),
      shapes: [[[2, 3, 5]]],
    });
    scope(() => expect(F.flip(tensor([true, false]), 0).toArray()).toEqual([false, true]));
  });

  test("roll", () => {
    checkOp({
      op: (x) => F.roll(x, [-1, 2], { dims: [0, 1] }),
      reference: (x: Nd) => build(x.shape, ([r, c]) => at(x, [(r + 1) % 2, (c + 2 * x.shape[1] - 2) % x.shape[1]])),
      shapes: tails,
    });
    checkOp({
      op: (x) => F.roll(x, 1),
      reference: (x: Nd) => ({ shape: x.shape, data: x.data.map((_, i) => x.data.at(i - 1) as number) }),
      shapes: [[[]], [[0]], [[2, 3]], [[7]]],
    });
  });

  test("repeat", () => {
    checkOp({
      op: (x) => F.repeat(x, [2, 1, 3]),
      reference: (x: Nd) => build([2, x.shape[0], 3 * x.shape[1]], ([, r, c]) => at(x, [r, c % x.shape[1]])),
      shapes: [...tails, [[0, 2]]],
    });
    scope(() => expect(F.repeat(zeros([2, 3]), [0, 2]).shape).toEqual([0, 6]));
  });

  test("repeatInterleave", () => {
    checkOp({
      op: (x) => F.repeatInterleave(x, 3, { dim: 1 }),
      reference: (x: Nd) => build([2, 3 * x.shape[1]], ([r, c]) => at(x, [r, Math.floor(c / 3)])),
      shapes: tails,
    });
    checkOp({
      op: (x) => F.repeatInterleave(x, tensor(Int32Array.of(2, 0, 1)), { dim: -2 }),
      reference: (x: Nd) => build([3, 4], ([r, c]) => at(x, [[0, 0, 2][r], c])),
      shapes: [[[3, 4]]],
    });
  });

  test("errors", () => {
    scope(() => {
      const x = zeros([2, 3]);
      const misspelt = { vaule: 1 } as object;
      expect(() => F.pad(x, [1])).toThrow("pad: pads must be pairs of whole numbers for at most 2 dimensions, got [1]");
      expect(() => F.pad(x, [-2, -2])).toThrow("pad: extents must not become negative, got [2, -1] from [2, 3]");
      expect(() => F.pad(x, [1, 1], misspelt)).toThrow("pad: options must be value, got vaule");
      expect(() => F.flip(x, [0, 2])).toThrow("flip: dim must be from -2 to 1, got 2");
      expect(() => F.flip(x, [0, -2])).toThrow("flip: dims must differ");
      expect(() => F.roll(x, [1, 2])).toThrow("roll: shifts must be one number without dims, got [1, 2]");
      expect(() => F.roll(x, [1, 2], { dims: 0 })).toThrow("roll: shifts and dims must be as many, got [1, 2] and [0]");
      expect(() => F.repeat(x, [2])).toThrow("repeat: there must be a count for each dimension of [2, 3], got [2]");
      expect(() => F.repeat(x, [2, -1])).toThrow("repeat: counts must be whole numbers from 0, got [2, -1]");
      expect(() => F.repeatInterleave(x, tensor(Int32Array.of(1)), { dim: 0 })).toThrow(
        "repeatInterleave: repeats must have one count for each of 2, got [1]",
      );
      expect(() => F.repeatInterleave(x, tensor([1, 2]) as Tensor, { dim: 0 })).toThrow(
        'repeatInterleave: repeats must be "int32", got "float32"',
      );
    });
  });
});
