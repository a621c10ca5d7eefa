/** Fused attention: neither pass keeps a [Tq, Tk] matrix. */
import { ShapeError, showShape } from "../errors.js";
import { jointVjps, record } from "../graph.js";
import { broadcastShapes, broadcastStrides, type Shape, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, workspace } from "../wasm/memory.js";
import { checkHeads, emptyHeads, rowStrides, withRows } from "./heads.js";

export interface AttentionOptions {
  /** Broadcasts to [B, H, Tq, Tk]: bool, true where a key takes part, or float32, added to the scores. */
  attnMask?: Tensor;
  /** Query i sees the keys j ≤ i + causalOffset. */
  isCausal?: boolean;
  /** Tk − Tq for queries that continue a key-value cache. */
  causalOffset?: number;
  /** 1/√D if left out. */
  scale?: number;
  /** Must be 0 in this version. */
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
  if (dropoutP !== 0) throw new Error(`${op}: dropoutP must be 0 in this version, got ${dropoutP}`);
  if (!Number.isInteger(causalOffset))
    throw new Error(`${op}: causalOffset must be a whole number, got ${causalOffset}`);
  const x: Operands = {
    q: withRows(q),
    k: withRows(k),
    v: withRows(v),
    mask: attnMask && additive(attnMask, [q.shape[0], q.shape[1], q.shape[2], k.shape[2]]),
    offset: isCausal ? causalOffset : k.shape[2],
    scale,
  };
  const y = emptyHeads([...q.shape.slice(0, 3), v.shape[3]], x.q);
  const lse = empty(q.shape.slice(0, 3));
  forward(y, lse, x);
  const saved = [x.q, x.k, x.v, y, lse, ...(x.mask ? [x.mask] : [])];
  return record(
    op,
    y,
    [q, k, v],
    saved,
    jointVjps([q, k, v], (dy) => gradients(withRows(dy), y, lse, x)),
  );
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

/** The mask as floats to add, read as `shape`. */
function additive(mask: Tensor, shape: Shape): Tensor {
  if (mask.dtype !== "bool" && mask.dtype !== "float32") {
    throw new Error(`${op}: attnMask must be "bool" or "float32", got "${mask.dtype}"`);
  }
  if (mask.requiresGrad) throw new Error(`${op}: attnMask must not require a gradient, got one that does`);
  if (!sameShape(broadcastShapes(op, mask.shape, shape), shape)) {
    throw new ShapeError(`${op}: attnMask must broadcast to ${showShape(shape)}, got ${showShape(mask.shape)}`);
  }
  const added = mask.dtype === "bool" ? hiding(mask) : mask;
  return alias(added, shape, broadcastStrides(added.shape, added.strides, shape));
}

/** 0 where `mask` is true, −∞ elsewhere. */
function hiding(mask: Tensor): Tensor {
  return empty(mask.shape).set(Float32Array.from(mask.data(), (seen) => (seen ? 0 : -Infinity)));
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
