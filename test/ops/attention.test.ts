import { describe, expect, test } from "vitest";
import { type DType, F, manualSeed, memoryStats, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/attention.json" with { type: "json" };
import { checkOp, expectClose } from "../support/checkOp.js";
import { tensorsOf } from "../support/golden.js";
import { at, build, type Nd, nd, random, size } from "../support/reference.js";

interface Options {
  offset?: number;
  mask?: Nd;
  scale?: number;
}

/** softmax(scale · q kᵀ + mask) v, row by row. */
function attention(q: Nd, k: Nd, v: Nd, { offset = Number.POSITIVE_INFINITY, mask, scale }: Options = {}): Nd {
  const [B, H, Tq, D] = q.shape;
  const [, Hkv, Tk, E] = v.shape;
  const probabilities = build([B, H, Tq, Tk], () => 0);
  for (let row = 0; row < B * H * Tq; row++) {
    const [b, h, i] = [Math.floor(row / (H * Tq)), Math.floor(row / Tq) % H, row % Tq];
    const scores = Array.from({ length: Tk }, (_, j) => {
      if (j > i + offset) return Number.NEGATIVE_INFINITY;
      let dot = 0;
      for (let c = 0; c < D; c++) dot += at(q, [b, h, i, c]) * at(k, [b, Math.floor((h * Hkv) / H), j, c]);
      return dot * (scale ?? 1 / Math.sqrt(D)) + (mask ? at(mask, [b, h, i, j]) : 0);
    });
    const top = Math.max(...scores);
    const weights = scores.map((s) => (top === Number.NEGATIVE_INFINITY ? 0 : Math.exp(s - top)));
    const sum = weights.reduce((total, w) => total + w, 0);
    for (const [j, w] of weights.entries()) probabilities.data[row * Tk + j] = sum === 0 ? 0 : w / sum;
  }
  return build([B, H, Tq, E], ([b, h, i, c]) => {
    let y = 0;
    for (let j = 0; j < Tk; j++) y += at(probabilities, [b, h, i, j]) * at(v, [b, Math.floor((h * Hkv) / H), j, c]);
    return y;
  });
}

/** Shapes of q, k, v. */
const heads = (B: number, H: number, Hkv: number, Tq: number, Tk: number, D: number, E = D) => [
  [B, H, Tq, D],
  [B, Hkv, Tk, D],
  [B, Hkv, Tk, E],
];

function randomTensor(shape: number[], seed: number, requiresGrad = false, amplitude = 2): Tensor {
  const next = random(seed, -amplitude, amplitude);
  return tensor(Float32Array.from({ length: size(shape) }, next), { shape, requiresGrad });
}

describe("scaledDotProductAttention", () => {
  test("tails in every extent", () =>
    checkOp({
      op: (q, k, v) => F.scaledDotProductAttention(q, k, v),
      reference: (q, k, v) => attention(q, k, v),
      shapes: [
        heads(1, 1, 1, 1, 1, 1),
        heads(2, 1, 1, 1, 9, 5),
        heads(1, 2, 2, 4, 3, 8),
        heads(2, 2, 2, 5, 7, 3),
        heads(1, 1, 1, 16, 17, 4),
        heads(1, 1, 1, 17, 16, 12),
        heads(1, 1, 1, 19, 35, 20, 6),
      ],
    }));

  test("causal, with more queries or more keys", () =>
    checkOp({
      op: (q, k, v) => F.scaledDotProductAttention(q, k, v, { isCausal: true }),
      reference: (q, k, v) => attention(q, k, v, { offset: 0 }),
      shapes: [heads(1, 2, 2, 5, 5, 4), heads(1, 1, 1, 21, 21, 5), heads(1, 1, 1, 20, 6, 4), heads(1, 1, 1, 6, 20, 4)],
    }));

  test("causal, after cached keys", () =>
    checkOp({
      op: (q, k, v) => F.scaledDotProductAttention(q, k, v, { isCausal: true, causalOffset: k.shape[2] - q.shape[2] }),
      reference: (q, k, v) => attention(q, k, v, { offset: k.shape[2] - q.shape[2] }),
      shapes: [heads(2, 2, 1, 1, 7, 4), heads(1, 1, 1, 3, 21, 4), heads(1, 1, 1, 7, 37, 6), heads(1, 1, 1, 9, 4, 4)],
    }));

  test("grouped queries", () =>
    checkOp({
      op: (q, k, v) => F.scaledDotProductAttention(q, k, v, { isCausal: true, scale: 0.3 }),
      reference: (q, k, v) => attention(q, k, v, { offset: 0, scale: 0.3 }),
      shapes: [heads(2, 4, 2, 5, 5, 4), heads(1, 3, 1, 2, 2, 8), heads(2, 6, 2, 18, 18, 2)],
    }));

  test("nothing in, nothing or zeros out", () =>
    checkOp({
      op: (q, k, v) => F.scaledDotProductAttention(q, k, v),
      reference: (q, k, v) => attention(q, k, v),
      shapes: [
        heads(0, 2, 2, 3, 3, 4),
        heads(1, 0, 0, 3, 3, 4),
        heads(1, 2, 1, 0, 3, 4),
        heads(1, 2, 1, 3, 0, 4),
        heads(1, 1, 1, 7, 0, 4),
        heads(1, 1, 1, 7, 3, 4, 0),
      ],
    }));

  test("a mask of floats, where −∞ hides, broadcasts", () => {
    for (const shape of [
      [6, 20],
      [6, 1],
      [2, 1, 1, 20],
      [2, 2, 6, 20],
    ]) {
      const next = random(5, -3, 2);
      const mask = build(shape, () => Math.fround(next())).data.map((m) => (m < -2 ? Number.NEGATIVE_INFINITY : m));
      if (shape.join() === "6,20") mask.fill(Number.NEGATIVE_INFINITY, 40, 60);
      checkOp({
        op: (q, k, v) => F.scaledDotProductAttention(q, k, v, { attnMask: tensor(mask, { shape }) }),
        reference: (q, k, v) => attention(q, k, v, { mask: nd(shape, mask) }),
        shapes: [heads(2, 2, 1, 6, 20, 4)],
      });
    }
  });

  test("a boolean mask says who takes part, together with the causal one", () => {
    const next = random(6, 0, 1);
    const seen = Array.from({ length: 4 }, () => Array.from({ length: 9 }, () => next() > 0.4));
    const mask = nd(
      [4, 9],
      seen.flat().map((s) => (s ? 0 : Number.NEGATIVE_INFINITY)),
    );
    checkOp({
      op: (q, k, v) =>
        F.scaledDotProductAttention(q, k, v, { attnMask: tensor(seen), isCausal: true, causalOffset: 3 }),
      reference: (q, k, v) => attention(q, k, v, { mask, offset: 3 }),
      shapes: [heads(1, 2, 2, 4, 9, 4)],
    });
  });

  test.each(golden.attention)("PyTorch's values and gradients: $name", async ({ options, tensors }) => {
    const { is_causal: isCausal, scale } = options as { is_causal?: boolean; scale?: number };
    const t = await tensorsOf(tensors);
    scope(() => {
      for (const x of [t.q, t.k, t.v]) x.requiresGrad_();
      const y = F.scaledDotProductAttention(t.q, t.k, t.v, { attnMask: t.mask, isCausal, scale });
      y.backward(t.dy);
      expectClose(y.data(), t.y.data());
      for (const name of ["q", "k", "v"]) expectClose(t[name].grad?.data() ?? [], t[`d${name}`].data(), {}, `d${name}`);
    });
    for (const x of Object.values(t)) x.dispose();
  });

  test("more keys than one round of the softmax, for one query and for many", () => {
    for (const Tq of [2, 20]) {
      scope(() => {
        const [q, k, v] = heads(1, 2, 1, Tq, 600, 8).map((shape, i) => randomTensor(shape, 70 + i));
        const expected = attention(...([q, k, v].map((x) => nd(x.shape, x.data())) as [Nd, Nd, Nd]));
        expectClose(F.scaledDotProductAttention(q, k, v).data(), expected.data);
      });
    }
  });

  test("permuted projections are read in place, and the result lies as they do", () =>
    scope(() => {
      const [B, T, H, D] = [2, 33, 4, 8];
      const projected = [1, 2, 3].map((seed) => randomTensor([B, T, H, D], seed, true));
      const [q, k, v] = projected.map((x) => F.permute(x, [0, 2, 1, 3]));
      const before = memoryStats().liveBytes;
      const y = F.scaledDotProductAttention(q, k, v, { isCausal: true });
      expect(memoryStats().liveBytes - before).toBeLessThan(2 * 4 * y.size);
      expect(F.permute(y, [0, 2, 1, 3]).isDense).toBe(true);
      const dense = projected.map((x) =>
        tensor(F.permute(x, [0, 2, 1, 3]).data(), { shape: [B, H, T, D], requiresGrad: true }),
      );
      const same = F.scaledDotProductAttention(dense[0], dense[1], dense[2], { isCausal: true });
      expect(y.data()).toEqual(same.data());
      const dy = randomTensor(y.shape as number[], 4);
      y.backward(dy);
      same.backward(dy);
      projected.forEach((x, i) => {
        const back = F.permute(dense[i].grad as Tensor, [0, 2, 1, 3]);
        expect(x.grad?.data()).toEqual(back.data());
      });
    }));

  test("large scores choose the largest, without overflow", () =>
    scope(() => {
      const T = 40;
      const q = randomTensor([1, 1, T, 4], 1, true, 100);
      const k = randomTensor([1, 1, T, 4], 2, true, 200);
      const v = randomTensor([1, 1, T, 4], 3, true);
      const y = F.scaledDotProductAttention(q, k, v, { isCausal: true });
      const expected = attention(nd(q.shape, q.data()), nd(k.shape, k.data()), nd(v.shape, v.data()), { offset: 0 });
      // scores up to 4e4 have a spacing of 4e-3, which is the relative error of a probability
      expectClose(y.data(), expected.data, { absolute: 1e-2, relative: 0 });
      y.backward(randomTensor([1, 1, T, 4], 4));
      for (const x of [q, k, v]) expect(x.grad?.data().every(Number.isFinite)).toBe(true);
    }));

  test("a probability below 2⁻⁶³ is 0, and its products are not denormal", () =>
    scope(() => {
      const key = [0, -50, -70, -120];
      const q = tensor([[[[Math.LN2, 0, 0, 0]]]], { requiresGrad: true });
      const k = tensor([[key.map((bits) => [bits, 0, 0, 0])]], { requiresGrad: true });
      const v = tensor(new Float32Array(16).fill(1), { shape: [1, 1, 4, 4], requiresGrad: true });
      for (const Tq of [1, 6]) {
        const y = F.scaledDotProductAttention(F.expand(q, [1, 1, Tq, 4]), k, v, { scale: 1 });
        y.backward(tensor(new Float32Array(Tq * 4).fill(2 ** -30), { shape: [1, 1, Tq, 4] }));
        const dv = F.narrow(v.grad as Tensor, 3, 0, 1).data();
        expectClose(
          [...dv].map((value) => value * 2 ** 30),
          [Tq, Tq * 2 ** -50, 0, 0],
          { absolute: 0, relative: 1e-5 },
        );
        v.grad = null;
      }
    }));

  test("NaN reaches the queries that see it, and no others", () =>
    scope(() => {
      const [q, k, v] = heads(1, 1, 1, 8, 8, 4).map((shape, i) => randomTensor(shape, i));
      k.set(k.data().map((value, i) => (i === 5 * 4 ? Number.NaN : value)));
      const y = F.scaledDotProductAttention(q, k, v, { isCausal: true }).data();
      expect([...y].map(Number.isNaN)).toEqual(Array.from({ length: 32 }, (_, i) => i >= 20));
    }));

  test("memory grows with T, not with T²", () =>
    scope(() => {
      const [T, D] = [2048, 8];
      const [q, k, v] = heads(1, 1, 1, T, T, D).map((shape, i) => randomTensor(shape, i, true));
      const before = memoryStats();
      const y = F.scaledDotProductAttention(q, k, v, { isCausal: true });
      expect(memoryStats().liveBytes - before.liveBytes).toBeLessThan(2 * 4 * y.size);
      y.backward(randomTensor([1, 1, T, D], 9));
      // the peak counts scratch memory, too; a [T, T] matrix would be 2048 / 8 times y
      expect(memoryStats().peakBytes - before.peakBytes).toBeLessThan(20 * 4 * y.size);
    }));

  test("a mask that wants a gradient gets one", () =>
    checkOp({
      op: (q, k, v, attnMask) => F.scaledDotProductAttention(q, k, v, { attnMask, isCausal: true, causalOffset: -1 }),
      reference: (q, k, v, mask) => attention(q, k, v, { mask, offset: -1 }),
      shapes: [[...heads(2, 4, 2, 4, 5, 3, 6), [4, 4, 5]]],
    }));

  test("dropout drops probabilities, not queries", () =>
    scope(() => {
      const shapes = heads(2, 4, 2, 5, 7, 4, 6);
      const [q, k] = shapes.map((shape, i) => randomTensor(shape, i));
      const v = tensor(new Float32Array(size(shapes[2])).fill(1), { shape: shapes[2] });
      const seen = tensor([[1, 1, 1, 1, 1, 0, 0]].concat(Array(4).fill([0, 0, 0, 0, 0, 0, 0])), { dtype: "bool" });
      manualSeed(3);
      const kept = F.dropout(tensor(new Float32Array(2 * 4 * 5 * 7).fill(1), { shape: [2, 4, 5, 7] }), { p: 0.25 });
      manualSeed(3);
      const y = F.scaledDotProductAttention(q, k, v, { dropoutP: 0.25 });
      const weights = nd([2, 4, 5, 7], kept.data());
      const scores = F.mul(
        F.matmul(
          q,
          F.transpose(
            F.cat(
              [0, 0, 1, 1].map((h) => F.narrow(k, 1, h, 1)),
              1,
            ),
            2,
            3,
          ),
        ),
        0.5,
      );
      const p = nd([2, 4, 5, 7], F.softmax(scores).data());
      const expected = build([2, 4, 5, 6], ([b, h, i]) => {
        let sum = 0;
        for (let j = 0; j < 7; j++) sum += at(p, [b, h, i, j]) * at(weights, [b, h, i, j]);
        return sum;
      });
      expectClose(y.data(), expected.data);
      const masked = F.scaledDotProductAttention(q, k, v, { dropoutP: 0.25, attnMask: seen });
      expect([...F.narrow(masked, 2, 1, 4).data()].every((value) => value === 0)).toBe(true);
    }));

  test("frozen inputs get no gradient", () =>
    scope(() => {
      const [q, k, v] = heads(1, 1, 1, 5, 5, 4).map((shape, i) => randomTensor(shape, i, i === 2));
      F.scaledDotProductAttention(q, k, v).backward(randomTensor([1, 1, 5, 4], 9));
      expect([q.grad, k.grad, v.grad?.shape]).toEqual([null, null, [1, 1, 5, 4]]);
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = (...shape: number[]) => randomTensor(shape, 1);
      const q = x(1, 4, 3, 8);
      expect(() => F.scaledDotProductAttention(x(3, 8), q, q)).toThrow("q must be [B, H, T, D], got [3, 8]");
      expect(() => F.scaledDotProductAttention(q, x(1, 3, 3, 8), x(1, 3, 3, 8))).toThrow("H a multiple of Hkv");
      expect(() => F.scaledDotProductAttention(q, x(1, 4, 5, 8), x(1, 4, 3, 8))).toThrow("must agree");
      expect(() => F.scaledDotProductAttention(q, q, q, { dropoutP: 2 })).toThrow("p must be from 0 to 1");
      expect(() => F.scaledDotProductAttention(q, q, q, { attnMask: x(2, 3) })).toThrow("broadcast");
      const ints = tensor([1], { dtype: "int32" as DType });
      expect(() => F.scaledDotProductAttention(q, q, q, { attnMask: ints })).toThrow('"bool" or "float32"');
    }));
});
