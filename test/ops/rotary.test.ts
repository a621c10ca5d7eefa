import { describe, expect, test } from "vitest";
import { F, scope, tensor } from "../../src/index.js";
import golden from "../golden/attention.json" with { type: "json" };
import { checkOp, expectClose } from "../support/checkOp.js";
import { tensorsOf } from "../support/golden.js";
import { at, build, type Nd, nd, random } from "../support/reference.js";

const LENGTH = 24;

/** Independent of each other: the rule must not rely on cos² + sin² = 1. */
function tables(half: number): { cos: Nd; sin: Nd } {
  const next = random(half, -1, 1);
  const table = () => build([LENGTH, half], () => Math.fround(next()));
  return { cos: table(), sin: table() };
}

function rotary(x: Nd, positionOf: (b: number, t: number) => number): Nd {
  const half = x.shape[3] / 2;
  const { cos, sin } = tables(half);
  return build(x.shape, ([b, h, t, i]) => {
    const at_ = [positionOf(b, t), i % half];
    const other = at(x, [b, h, t, i < half ? i + half : i - half]);
    return at(x, [b, h, t, i]) * at(cos, at_) + (i < half ? -other : other) * at(sin, at_);
  });
}

const tensorsFor = (D: number) => {
  const { cos, sin } = tables(D / 2);
  return [tensor(cos.data, { shape: cos.shape }), tensor(sin.data, { shape: sin.shape })] as const;
};

const shapes = [2, 6, 8, 10, 14, 16, 32, 34].map((D) => [[2, 3, 5, D]]);

describe("rotaryEmbedding", () => {
  test("rows that follow one another, from an offset", () => {
    for (const offset of [0, 19]) {
      checkOp({
        op: (x) => F.rotaryEmbedding(x, ...tensorsFor(x.shape[3]), { offset }),
        reference: (x) => rotary(x, (_, t) => t + offset),
        shapes: [...shapes, [[0, 2, 3, 4]], [[1, 2, 0, 4]], [[1, 2, 3, 0]]],
      });
    }
  });

  test("positions of rows, shared or for each batch entry", () => {
    const shared = [4, 4, 0, 23, 7];
    const each = [shared, [1, 2, 3, 5, 8]];
    checkOp({
      op: (x) => F.rotaryEmbedding(x, ...tensorsFor(x.shape[3]), { positions: tensor(shared, { dtype: "int32" }) }),
      reference: (x) => rotary(x, (_, t) => shared[t]),
      shapes,
    });
    checkOp({
      op: (x) => F.rotaryEmbedding(x, ...tensorsFor(x.shape[3]), { positions: tensor(each, { dtype: "int32" }) }),
      reference: (x) => rotary(x, (b, t) => each[b][t]),
      shapes,
    });
  });

  test("values and gradients of transformers", async () => {
    const t = await tensorsOf(golden.rotary.tensors);
    scope(() => {
      const positions = tensor(golden.rotary.positions, { dtype: "int32" });
      const y = F.rotaryEmbedding(t.x.requiresGrad_(), t.cos, t.sin, { positions });
      y.backward(t.dy);
      expectClose(y.data(), t.y.data());
      expectClose(t.x.grad?.data() ?? [], t.dx.data());
    });
    for (const x of Object.values(t)) x.dispose();
  });

  test("a permuted projection is read in place, and the result lies as it does", () =>
    scope(() => {
      const next = random(1);
      const projected = tensor(Float32Array.from({ length: 2 * 5 * 3 * 8 }, next), { shape: [2, 5, 3, 8] });
      const x = F.permute(projected, [0, 2, 1, 3]);
      const y = F.rotaryEmbedding(x, ...tensorsFor(8));
      expect(F.permute(y, [0, 2, 1, 3]).isDense).toBe(true);
      expectClose(y.data(), rotary(nd(x.shape, x.data()), (_, t) => t).data);
    }));

  test("errors name what must hold", () =>
    scope(() => {
      const x = tensor(new Float32Array(2 * 3 * 4), { shape: [1, 2, 3, 4] });
      const [cos, sin] = tensorsFor(4);
      expect(() => F.rotaryEmbedding(F.reshape(x, [1, 2, 4, 3]), cos, sin)).toThrow("D must be even");
      expect(() => F.rotaryEmbedding(x, ...tensorsFor(6))).toThrow("cos and sin must be [positions, 2]");
      expect(() => F.rotaryEmbedding(x, cos, sin, { offset: 22 })).toThrow("from 0 to 23, got 24");
      const positions = tensor([0, -1, 2], { dtype: "int32" });
      expect(() => F.rotaryEmbedding(x, cos, sin, { positions })).toThrow("got -1");
    }));
});
