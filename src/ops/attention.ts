/** Fused attention: neither pass keeps a [Tq, Tk] matrix. */
import { ShapeError, showShape } from "../errors.js";
import { jointVjps, noGrad, record } from "../graph.js";
import { scope } from "../scope.js";
import { broadcastShapes, type Shape, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, workspace } from "../wasm/memory.js";
import { add, maximum, mul } from "./binary.js";
import { dropout } from "./dropout.js";
import { checkHeads, emptyHeads, rowStrides, withRows } from "./heads.js";
import { matmul } from "./matmul.js";
import { amax } from "./reduce.js";
import { softmax } from "./softmax.js";
import { expand, reshape, transpose, unsqueeze } from "./view.js";

export interface AttentionOptions {
  /** Broadcasts to [B, H, Tq, Tk]: bool, true where a key takes part, or float32, added to the scores. */
  attnMask?: Tensor;
  /** Query i sees the keys j ≤ i + causalOffset. */
  isCausal?: boolean;
  /** Tk − Tq for queries that continue a key-value cache. */
  causalOffset?: number;
  /** 1/√D if left out. */
  scale?: number;
  /** The probability of a probability to become 0; above 0, [Tq, Tk] matrices are kept. */
  dropoutP?: number;
}

/** What both passes read. */
interface Operands {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  /** [B, H, Tq, Tk], float32 */
  mask?: Tensor;
  offset: number;
  scale: number;
}

const op = "scaledDotProductAttention";

/** The least finite float32. */
const LOWEST = -3.4028234663852886e38;

/**
 * y = softmax(scale · q kᵀ + mask) v; a query that sees no key gives 0. Dao et al. 2022; PyTorch's function of this name
 *
 * @param q [B, H, Tq, D]
 * @param k [B, Hkv, Tk, D], where H is a multiple of Hkv (grouped queries)
 * @param v [B, Hkv, Tk, E]
 * @returns [B, H, Tq, E], in memory ordered as q is
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  {
    attnMask,
    isCausal = false,
    causalOffset = 0,
    scale = 1 / Math.sqrt(q.shape[3]),
    dropoutP = 0,
  }: AttentionOptions = {},
): Tensor {
  checkInputs(q, k, v);
  if (!Number.isInteger(causalOffset))
    throw new Error(`${op}: causalOffset must be a whole number, got ${causalOffset}`);
  const offset = isCausal ? causalOffset : k.shape[2];
  return scope(() => {
    const mask = attnMask && additive(attnMask, [q.shape[0], q.shape[1], q.shape[2], k.shape[2]]);
    if (dropoutP !== 0 || mask?.requiresGrad) return composed({ q, k, v, mask, offset, scale }, dropoutP);
    return fused(q, k, v, { q: withRows(q), k: withRows(k), v: withRows(v), mask, offset, scale });
  });
}

function fused(q: Tensor, k: Tensor, v: Tensor, x: Operands): Tensor {
  const y = emptyHeads([...q.shape.slice(0, 3), v.shape[3]], x.q);
  const lse = empty(q.shape.slice(0, 3));
  forward(y, lse, x);
  const saved = [x.q, x.k, x.v, y, lse, ...(x.mask ? [x.mask] : [])];
  const vjps = jointVjps([q, k, v], (dy) => gradients(withRows(dy), y, lse, x));
  return record(op, y, [q, k, v], saved, vjps);
}

function forward(y: Tensor, lse: Tensor, x: Operands): void {
  const { q, k, v, mask } = x;
  if (y.size === 0) return;
  const [, , Tk, E] = v.shape;
  const outputs = [y.ptr, lse.ptr] as const;
  const inputs = [q.ptr, k.ptr, v.ptr, mask?.ptr ?? nullPtr] as const;
  const scratch = workspace(kernels.attentionWorkspace(Tk, q.shape[3], E));
  kernels.attention(...outputs, ...inputs, scratch, ...extents(x), ...rowStrides(y), ...strides(x), x.offset, x.scale);
}

function gradients(dy: Tensor, y: Tensor, lse: Tensor, x: Operands): [Tensor, Tensor, Tensor] {
  const { q, k, v, mask } = x;
  const [, H, Tq, D] = q.shape;
  const [, Hkv, , E] = v.shape;
  const dq = emptyHeads(q.shape, q);
  const dk = emptyHeads(k.shape, k);
  const dv = emptyHeads(v.shape, v);
  if (Hkv === 0) return [dq, dk, dv];
  const outputs = [dq.ptr, dk.ptr, dv.ptr] as const;
  const inputs = [dy.ptr, y.ptr, lse.ptr, q.ptr, k.ptr, v.ptr, mask?.ptr ?? nullPtr] as const;
  const scratch = workspace(kernels.attentionGradWorkspace(H / Hkv, Tq, D, E));
  const outputStrides = [...rowStrides(dq), ...rowStrides(dk), ...rowStrides(dv)] as const;
  const inputStrides = [...rowStrides(dy), ...rowStrides(y), ...strides(x)] as const;
  const sizes = extents(x);
  kernels.attentionGrad(...outputs, ...inputs, scratch, ...sizes, ...outputStrides, ...inputStrides, x.offset, x.scale);
  return [dq, dk, dv];
}

/** All key-value heads of all batch entries, then H, Hkv, Tq, Tk, D, E. */
function extents({ q, v }: Operands): readonly [number, number, number, number, number, number, number, number] {
  const [B, H, Tq, D] = q.shape;
  const [, Hkv, Tk, E] = v.shape;
  return [0, B * Hkv, H, Hkv, Tq, Tk, D, E];
}

type Three = readonly [number, number, number];

function strides({ q, k, v, mask }: Operands): readonly [...Three, ...Three, ...Three, ...Three, number] {
  const [batch, head, row, key] = mask?.strides ?? [0, 0, 0, 0];
  return [...rowStrides(q), ...rowStrides(k), ...rowStrides(v), batch, head, row, key];
}

/** The same from its parts, which keep [Tq, Tk] matrices: for dropout, and for a mask that wants a gradient. */
function composed({ q, k, v, mask, offset, scale }: Operands, dropoutP: number): Tensor {
  const [B, H, Tq, D] = q.shape;
  const [, Hkv, Tk, E] = v.shape;
  const group = Hkv && H / Hkv;
  const grouped = (x: Tensor, width: number) => reshape(x, [B, Hkv, group, Tq, width]);
  const scores = reshape(mul(matmul(grouped(q, D), transpose(unsqueeze(k, 2), -2, -1)), scale), [B, H, Tq, Tk]);
  const hidden = mask ? add(mask, hiding(Tq, Tk, offset)) : hiding(Tq, Tk, offset);
  // A row of −∞ alone would give NaN: it is made finite, and its probabilities 0.
  const probabilities = mul(softmax(add(scores, maximum(hidden, LOWEST))), seeing(hidden));
  const kept = dropout(probabilities, { p: dropoutP });
  return reshape(matmul(grouped(kept, Tk), unsqueeze(v, 2)), [B, H, Tq, E]);
}

/** [Tq, Tk]: 0 where query i sees key j ≤ i + offset, −∞ elsewhere. */
export function hiding(Tq: number, Tk: number, offset: number): Tensor {
  return empty([Tq, Tk]).set(
    Float32Array.from({ length: Tq * Tk }, (_, at) => (at % Tk <= Math.floor(at / Tk) + offset ? 0 : -Infinity)),
  );
}

/** Per row: 1 if something in it is not −∞, else 0. */
function seeing(hidden: Tensor): Tensor {
  const top = noGrad(() => amax(hidden, { dim: -1, keepdim: true }));
  return top.set(top.data().map((value) => (value === -Infinity ? 0 : 1)));
}

/** The mask as floats to add, read as `shape`. */
function additive(mask: Tensor, shape: Shape): Tensor {
  if (mask.dtype !== "bool" && mask.dtype !== "float32") {
    throw new Error(`${op}: attnMask must be "bool" or "float32", got "${mask.dtype}"`);
  }
  if (!sameShape(broadcastShapes(op, mask.shape, shape), shape)) {
    throw new ShapeError(`${op}: attnMask must broadcast to ${showShape(shape)}, got ${showShape(mask.shape)}`);
  }
  if (mask.dtype === "float32") return expand(mask, shape);
  return expand(empty(mask.shape).set(Float32Array.from(mask.data(), (seen) => (seen ? 0 : -Infinity))), shape);
}

function checkInputs(q: Tensor, k: Tensor, v: Tensor): void {
  checkHeads(op, "q", q);
  checkHeads(op, "k", k);
  checkHeads(op, "v", v);
  const [B, H, , D] = q.shape;
  const [, Hkv, Tk] = v.shape;
  const fits = sameShape([B, Hkv, Tk, D], k.shape) && v.shape[0] === B && (H === Hkv || H % Hkv === 0);
  if (!fits) {
    throw new ShapeError(
      `${op}: q [B, H, Tq, D], k [B, Hkv, Tk, D] and v [B, Hkv, Tk, E] must agree, H a multiple of Hkv, got ${[q, k, v].map((t) => showShape(t.shape)).join(", ")}`,
    );
  }
}
