/** Rotary position embedding in Hugging Face's half-rotated convention. */
import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr } from "../wasm/memory.js";
import { checkHeads, emptyHeads, rowStrides, withRows } from "./heads.js";

export interface RotaryOptions {
  /** The position of row 0, where rows follow one another. */
  offset?: number;
  /** The position of each row: int32, [T] or [B, T]. */
  positions?: Tensor;
}

/**
 * y[i] = x[i] · cos[i] − x[i + D/2] · sin[i], y[i + D/2] = x[i + D/2] · cos[i] + x[i] · sin[i], at each row's position.
 * Su et al. 2021
 *
 * @param x [B, H, T, D] with D even
 * @param cos, sin tables [positions, D/2]; no gradient flows to them
 */
export function rotaryEmbedding(
  x: Tensor,
  cos: Tensor,
  sin: Tensor,
  { offset = 0, positions }: RotaryOptions = {},
): Tensor {
  check(x, cos, sin, offset, positions);
  return scope(() => rotate(x, dense(cos), dense(sin), offset, positions && dense(positions)));
}

function rotate(x: Tensor, cos: Tensor, sin: Tensor, offset: number, positions: Tensor | undefined): Tensor {
  const [B, H, T, D] = x.shape;
  const positionBatch = positions?.ndim === 2 ? T : 0;
  const turn = (input: Tensor, sign: number): Tensor => {
    const a = withRows(input);
    const y = emptyHeads(x.shape, a);
    const inputs = [a.ptr, cos.ptr, sin.ptr, positions?.ptr ?? nullPtr] as const;
    const strides = [...rowStrides(y), ...rowStrides(a)] as const;
    kernels.rotary(y.ptr, ...inputs, B, H, T, D, ...strides, positionBatch, offset, sign);
    return y;
  };
  const saved = positions ? [cos, sin, positions] : [cos, sin];
  return record("rotaryEmbedding", turn(x, 1), [x], saved, [(dy) => turn(dy, -1)]);
}

function check(x: Tensor, cos: Tensor, sin: Tensor, offset: number, positions: Tensor | undefined): void {
  checkHeads("rotaryEmbedding", "x", x);
  const [B, , T, D] = x.shape;
  if (D % 2 !== 0) throw new ShapeError(`rotaryEmbedding: D must be even, got ${showShape(x.shape)}`);
  if (cos.ndim !== 2 || cos.shape[1] !== D / 2 || !sameShape(cos.shape, sin.shape)) {
    throw new ShapeError(
      `rotaryEmbedding: cos and sin must be [positions, ${D / 2}], got ${showShape(cos.shape)} and ${showShape(sin.shape)}`,
    );
  }
  if (positions && (positions.dtype !== "int32" || ![`${T}`, `${B},${T}`].includes(positions.shape.join()))) {
    throw new ShapeError(
      `rotaryEmbedding: positions must be int32, [${T}] or [${B}, ${T}], got ${positions.dtype} ${showShape(positions.shape)}`,
    );
  }
  const used = positions ? positions.data() : [offset, offset + Math.max(T, 1) - 1];
  const outside = used.find((p) => !(Number.isInteger(p) && p >= 0 && p < cos.shape[0]));
  if (outside !== undefined && x.size > 0) {
    throw new ShapeError(
      `rotaryEmbedding: positions must be whole numbers from 0 to ${cos.shape[0] - 1}, got ${outside}`,
    );
  }
}
