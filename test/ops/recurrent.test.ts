import { describe, expect, test } from "vitest";
import { F, scope, type Tensor, zeros } from "../../src/index.js";
import { type DirectionOptions, gru, lstm } from "../../src/ops/recurrent.js";
import { checkOp } from "../support/checkOp.js";
import { at, build, map, matmul, type Nd, nd, transpose, zip } from "../support/reference.js";

const sigmoid = (x: Nd): Nd => map(x, (v) => 1 / (1 + Math.exp(-v)));
const tanh = (x: Nd): Nd => map(x, Math.tanh);
const add = (a: Nd, b: Nd): Nd => zip(a, b, (x, y) => x + y);
const mul = (a: Nd, b: Nd): Nd => zip(a, b, (x, y) => x * y);

/** Step t of [T, B, n]. */
function step(x: Nd, t: number): Nd {
  return build(x.shape.slice(1), (index) => at(x, [t, ...index]));
}

/** Part i of `count` of the last dimension. */
function part(x: Nd, i: number, count: number): Nd {
  const n = x.shape[1] / count;
  return build([x.shape[0], n], ([row, col]) => at(x, [row, i * n + col]));
}

/** h of every step, then the other tensors, in one [T + …, B, H]. */
function joined(steps: Nd[]): Nd {
  return nd(
    [steps.length, ...steps[0].shape],
    steps.flatMap((s) => [...s.data]),
  );
}

function order(T: number, reverse = false): number[] {
  return Array.from({ length: T }, (_, s) => (reverse ? T - 1 - s : s));
}

function lstmReference(gates: Nd, weight: Nd, h0: Nd, c0: Nd, reverse?: boolean): Nd {
  let [h, c] = [h0, c0];
  const output: Nd[] = [];
  for (const t of order(gates.shape[0], reverse)) {
    const all = add(step(gates, t), matmul(h, transpose(weight)));
    const [i, f, o] = [0, 1, 3].map((k) => sigmoid(part(all, k, 4)));
    c = add(mul(f, c), mul(i, tanh(part(all, 2, 4))));
    h = mul(o, tanh(c));
    output[t] = h;
  }
  return joined([...output, h, c]);
}

function gruReference(gates: Nd, weight: Nd, bias: Nd, h0: Nd, reverse?: boolean): Nd {
  let h = h0;
  const output: Nd[] = [];
  for (const t of order(gates.shape[0], reverse)) {
    const x = step(gates, t);
    const hidden = add(matmul(h, transpose(weight)), bias);
    const [r, z] = [0, 1].map((k) => sigmoid(add(part(x, k, 3), part(hidden, k, 3))));
    const n = tanh(add(part(x, 2, 3), mul(r, part(hidden, 2, 3))));
    h = zip(
      mul(z, h),
      mul(
        map(z, (v) => 1 - v),
        n,
      ),
      (a, b) => a + b,
    );
    output[t] = h;
  }
  return joined([...output, h]);
}

function joinedLstm(options?: DirectionOptions): (...inputs: Tensor[]) => Tensor {
  return (gates, weight, h0, c0) =>
    scope(() => {
      const { output, h, c } = lstm(gates, weight, h0, c0, options);
      return F.cat([output, F.unsqueeze(h, 0), F.unsqueeze(c, 0)]);
    });
}

function joinedGru(options?: DirectionOptions): (...inputs: Tensor[]) => Tensor {
  return (gates, weight, bias, h0) =>
    scope(() => {
      const { output, h } = gru(gates, weight, bias, h0, options);
      return F.cat([output, F.unsqueeze(h, 0)]);
    });
}

const lstmShapes = (T: number, B: number, H: number) => [
  [T, B, 4 * H],
  [4 * H, H],
  [B, H],
  [B, H],
];
const gruShapes = (T: number, B: number, H: number) => [[T, B, 3 * H], [3 * H, H], [3 * H], [B, H]];
const sizes = [1, 3, 4, 5, 7].map((H) => [2, 2, H] as const);

// Steps follow on each other: rounding of one is carried into the next.
const tolerance = { absolute: 1e-5, relative: 2e-5 };

describe("recurrent operations", () => {
  test("lstm", () =>
    checkOp({
      op: joinedLstm(),
      reference: (...x) => lstmReference(...(x as [Nd, Nd, Nd, Nd])),
      shapes: [...sizes.map((s) => lstmShapes(...s)), lstmShapes(1, 1, 3), lstmShapes(4, 0, 2)],
      domain: [-1, 1],
      tolerance,
    }));

  test("lstm from the last step to the first", () =>
    checkOp({
      op: joinedLstm({ reverse: true }),
      reference: (...x) => lstmReference(...(x as [Nd, Nd, Nd, Nd]), true),
      shapes: [lstmShapes(3, 2, 5), lstmShapes(1, 2, 2)],
      domain: [-1, 1],
      tolerance,
    }));

  test("gru", () =>
    checkOp({
      op: joinedGru(),
      reference: (...x) => gruReference(...(x as [Nd, Nd, Nd, Nd])),
      shapes: [...sizes.map((s) => gruShapes(...s)), gruShapes(1, 1, 3), gruShapes(4, 0, 2)],
      domain: [-1, 1],
      tolerance,
    }));

  test("gru from the last step to the first", () =>
    checkOp({
      op: joinedGru({ reverse: true }),
      reference: (...x) => gruReference(...(x as [Nd, Nd, Nd, Nd]), true),
      shapes: [gruShapes(3, 2, 5), gruShapes(1, 2, 2)],
      domain: [-1, 1],
      tolerance,
    }));

  test("saturated gates and NaN", () =>
    scope(() => {
      const gates = zeros([1, 1, 8]).set([1e4, 1e4, 1e4, 1e4, 1e4, 1e4, -1e4, Number.NaN]);
      const { h, c } = lstm(gates, zeros([8, 2]), zeros([1, 2]), zeros([1, 2]));
      expect([...c.data()]).toEqual([1, 1]);
      expect([...h.data()]).toEqual([0, Number.NaN]);
    }));

  test("shapes that do not fit are errors", () =>
    scope(() => {
      const state = zeros([1, 2]);
      expect(() => lstm(zeros([1, 1, 6]), zeros([8, 2]), state, state)).toThrow(/lstm: gates.*4H.*\[1, 1, 6\]/);
      expect(() => gru(zeros([0, 1, 6]), zeros([6, 2]), zeros([6]), state)).toThrow(/gru: a sequence.*\[0, 1, 6\]/);
    }));
});
