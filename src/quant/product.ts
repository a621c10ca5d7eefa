/** Products with a matrix in codes. No float32 copy of it is ever made: the kernel decodes what it packs. */
import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { sumTo } from "../ops/reduce.js";
import { sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, type Ptr, workspace } from "../wasm/memory.js";
import { addressesOf, type QuantizedTensor } from "./quantize.js";

/**
 * y = x Wᵀ + bias, with x [..., in], W [out, in] in codes, bias [out]: the same bits as `F.linear` gives with the
 * weight dequantized. W gets no gradient; x and bias do.
 */
export function quantizedLinear(x: Tensor, weight: QuantizedTensor, bias?: Tensor): Tensor {
  check(x, weight, bias);
  const [out, inner] = weight.shape;
  const add = bias && dense(bias);
  const y = product(x, weight, { from: inner, to: out, row: 1, col: inner }, add?.ptr);
  if (add !== bias) add?.dispose();
  const { codes, scales, extra } = weight;
  const saved = x.requiresGrad ? [codes, scales, ...(extra ? [extra] : [])] : [];
  return record("quantizedLinear", y, [x, bias], saved, [
    (dy) => product(dy, weight, { from: out, to: inner, row: inner, col: 1 }),
    (dy) => sumTo(dy, (bias as Tensor).shape),
  ]);
}

/** x·B for x [..., from] and B [from, to], whose strides say how the codes are read. */
function product(
  x: Tensor,
  weight: QuantizedTensor,
  { from, to, row, col }: { from: number; to: number; row: number; col: number },
  bias: Ptr = nullPtr,
): Tensor {
  const y = empty([...x.shape.slice(0, -1), to]);
  if (y.size === 0) return y;
  const a = dense(x);
  const rows = y.size / to;
  const { codes, scales, extra } = addressesOf(weight);
  const work = workspace(kernels.matmulCodesWorkspace(rows, from, to));
  const { blockSize, scheme } = weight;
  kernels.matmulCodes(
    y.ptr,
    a.ptr,
    codes,
    scales,
    extra,
    bias,
    work,
    rows,
    from,
    to,
    to,
    from,
    1,
    row,
    col,
    blockSize,
    scheme.id,
    1,
    0,
  );
  if (a !== x) a.dispose();
  return y;
}

function check(x: Tensor, { shape }: QuantizedTensor, bias: Tensor | undefined): void {
  for (const { dtype } of [x, ...(bias ? [bias] : [])]) {
    if (dtype !== "float32") throw new Error(`QuantizedLinear: operands must be "float32", got "${dtype}"`);
  }
  if (x.ndim === 0 || x.shape[x.ndim - 1] !== shape[1]) {
    throw new ShapeError(
      `QuantizedLinear: x must have shape [..., ${shape[1]}] for a weight ${showShape(shape)}, got ${showShape(x.shape)}`,
    );
  }
  if (bias && !sameShape(bias.shape, [shape[0]])) {
    throw new ShapeError(
      `QuantizedLinear: bias must have shape ${showShape([shape[0]])}, got ${showShape(bias.shape)}`,
    );
  }
}
