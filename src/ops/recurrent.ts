/**
 * Recurrent layers over whole sequences, in one direction: one node of the graph for all steps. The inputs' part of the
 * gates comes as a product over all steps; a step adds the state's part.
 */
import { clone, copyInto, dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { jointVjps, record } from "../graph.js";
import { scope } from "../scope.js";
import { type Shape, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { offsetBy, type Ptr } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";
import { type Matrices, multiply, transposed } from "./matmul.js";
import { sumTo } from "./reduce.js";
import { narrow, select } from "./view.js";

export interface DirectionOptions {
  /** Walk from the last step to the first. */
  reverse?: boolean;
}

/**
 * i, f, g, o = σ, σ, tanh, σ of gates[t] + h W_hhᵀ;  c ← f·c + i·g;  h ← o·tanh c. Hochreiter & Schmidhuber 1997;
 * torch.nn.LSTM
 *
 * @param gates x W_ihᵀ + b_ih + b_hh, [T, B, 4H]
 * @param weight W_hh [4H, H]
 * @param h0 [B, H]
 * @param c0 [B, H]
 * @returns h of every step [T, B, H], the last h and the last c [B, H]
 */
export function lstm(
  gates: Tensor,
  weight: Tensor,
  h0: Tensor,
  c0: Tensor,
  { reverse = false }: DirectionOptions = {},
): { output: Tensor; h: Tensor; c: Tensor } {
  const [T, B, H] = checkSequence("lstm", 4, { gates, weight, h0, c0 });
  return scope(() => {
    const activations = clone(gates);
    const w = dense(weight);
    const [hFirst, cFirst] = [dense(h0), dense(c0)];
    const cells = empty([T, B, H]);
    const states = empty([T + 1, B, H]); // every h, then the last c
    const order = steps(T, reverse);
    const before = (s: number, all: Tensor, first: Tensor) => (s === 0 ? first : rows(all, order[s - 1]));
    order.forEach((t, s) => {
      multiply(rows(activations, t), before(s, states, hFirst), transposed(w), { accumulate: true });
      const previous = before(s, cells, cFirst).ptr;
      kernels.lstm(at(states, t), at(cells, t), at(activations, t), previous, B, H);
    });
    copyInto(select(states, 0, T), select(cells, 0, order[T - 1]));
    const gradients = (dy: Tensor): [Tensor, Tensor, Tensor, Tensor] => {
      const dstates = dense(dy);
      const dgates = empty(activations.shape);
      const dh = empty([B, H]).fillWith(0);
      const dc = clone(select(dstates, 0, T));
      for (let s = T - 1; s >= 0; s--) {
        const t = order[s];
        const previous = before(s, cells, cFirst).ptr;
        const saved = [at(activations, t), at(cells, t), previous] as const;
        kernels.lstmGrad(at(dgates, t), dc.ptr, at(dstates, t), dh.ptr, ...saved, B, H);
        multiply(dh, rows(dgates, t), w);
      }
      return [dgates, weightGrad(dgates, states, hFirst, order), dh, dc];
    };
    const saved = [activations, w, cells, states, hFirst, cFirst];
    record("lstm", states, [gates, weight, h0, c0], saved, jointVjps([gates, weight, h0, c0], gradients));
    return { output: narrow(states, 0, 0, T), h: select(states, 0, order[T - 1]), c: select(states, 0, T) };
  });
}

/**
 * r, z = σ of gates[t] + hidden, n = tanh(gates[t] + r·hidden), hidden = h W_hhᵀ + b_hh;  h ← (1 − z)·n + z·h.
 * Cho et al. 2014; torch.nn.GRU
 *
 * @param gates x W_ihᵀ + b_ih, [T, B, 3H]
 * @param weight W_hh [3H, H]
 * @param bias b_hh [3H]
 * @param h0 [B, H]
 * @returns h of every step [T, B, H], and the last [B, H]
 */
export function gru(
  gates: Tensor,
  weight: Tensor,
  bias: Tensor,
  h0: Tensor,
  { reverse = false }: DirectionOptions = {},
): { output: Tensor; h: Tensor } {
  const [T, B, H] = checkSequence("gru", 3, { gates, weight, bias, h0 });
  return scope(() => {
    const activations = clone(gates);
    const [w, b, first] = [dense(weight), dense(bias), dense(h0)];
    const hidden = empty(activations.shape);
    const states = empty([T, B, H]);
    const order = steps(T, reverse);
    const before = (s: number) => (s === 0 ? first : rows(states, order[s - 1]));
    order.forEach((t, s) => {
      multiply(rows(hidden, t), before(s), transposed(w), { bias: b.ptr });
      kernels.gru(at(states, t), at(activations, t), at(hidden, t), before(s).ptr, B, H);
    });
    const gradients = (dy: Tensor): [Tensor, Tensor, Tensor, Tensor] => {
      const dstates = dense(dy);
      const dgates = empty(activations.shape);
      const dhidden = empty(activations.shape);
      const dh = empty([B, H]).fillWith(0);
      for (let s = T - 1; s >= 0; s--) {
        const t = order[s];
        const saved = [at(activations, t), at(hidden, t), before(s).ptr] as const;
        kernels.gruGrad(at(dgates, t), at(dhidden, t), dh.ptr, at(dstates, t), ...saved, B, H);
        multiply(dh, rows(dhidden, t), w, { accumulate: true });
      }
      return [dgates, weightGrad(dhidden, states, first, order), sumTo(dhidden, [3 * H]), dh];
    };
    const saved = [activations, w, hidden, states, first];
    record("gru", states, [gates, weight, bias, h0], saved, jointVjps([gates, weight, bias, h0], gradients));
    return { output: states, h: select(states, 0, order[T - 1]) };
  });
}

function steps(T: number, reverse: boolean): number[] {
  return Array.from({ length: T }, (_, s) => (reverse ? T - 1 - s : s));
}

/** Σ_t dgates[t]ᵀ h_{t−1}, all but the first step in one product. */
function weightGrad(dgates: Tensor, states: Tensor, h0: Tensor, order: readonly number[]): Tensor {
  const T = order.length;
  const dw = empty([dgates.shape[2], states.shape[2]]);
  multiply(dw, transposed(rows(dgates, order[0])), h0);
  const [to, from] = order[0] === 0 ? [1, 0] : [0, 1];
  const later = transposed(rows(dgates, to, T - 1));
  if (T > 1) multiply(dw, later, rows(states, from, T - 1), { accumulate: true });
  return dw;
}

/** Steps t to t + count − 1 of a dense [T, B, n] as one matrix [count·B, n]. */
function rows(x: Tensor, t: number, count = 1): Matrices {
  const [, B, n] = x.shape;
  return { ptr: at(x, t), shape: [count * B, n], strides: [n, 1] };
}

/** The address of step t. */
function at(x: Tensor, t: number): Ptr {
  return offsetBy(x.ptr, 4 * t * x.shape[1] * x.shape[2]);
}

/** [T, B, H] of gates [T, B, gates·H], where the other operands have the shapes that go with them. */
function checkSequence(op: string, gateCount: number, operands: Record<string, Tensor>): [number, number, number] {
  const { gates, weight } = operands;
  for (const [name, x] of Object.entries(operands)) checkDtype(op, name, x, "float32");
  const [T, B, G] = gates.shape;
  const H = weight.shape[1];
  const wanted: Record<string, Shape> = {
    gates: [T, B, gateCount * H],
    weight: [G, H],
    bias: [G],
    h0: [B, H],
    c0: [B, H],
  };
  for (const [name, x] of Object.entries(operands)) {
    if (gates.ndim !== 3 || weight.ndim !== 2 || !sameShape(x.shape, wanted[name])) {
      throw new ShapeError(
        `${op}: ${Object.keys(operands).join(", ")} must agree on [T, B, ${gateCount}H], got ${Object.values(operands)
          .map((t) => showShape(t.shape))
          .join(", ")}`,
      );
    }
  }
  if (T === 0) throw new ShapeError(`${op}: a sequence must have one step or more, got ${showShape(gates.shape)}`);
  return [T, B, H];
}
