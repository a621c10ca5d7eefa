/** Layers of the form x Wᵀ + b. */
import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { moveTo } from "../scope.js";
import { type Shape, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { type Matrices, multiply, product, transposed } from "./matmul.js";
import { sumTo } from "./reduce.js";

/** y = x Wᵀ + bias, with x [..., in], weight [out, in], bias [out] */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  checkLinear("linear", x, weight, bias);
  const y = affine(x, weight, bias);
  const saved = [...(weight.requiresGrad ? [x] : []), ...(x.requiresGrad ? [weight] : [])];
  return record("linear", y, [x, weight, bias], saved, [
    (dy) => timesRows(x, dy, weight),
    (dy) => product(weight.shape, transposed(matrices(dy)), matrices(x)),
    (dy) => sumTo(dy, (bias as Tensor).shape),
  ]);
}

/**
 * y = x Wᵀ + bias + scale·(z Aᵀ) Bᵀ, with weight [out, in], A [r, in], B [out, r]: a linear layer and its low-rank
 * change. The change's input `z` is `x` itself or its dropout. Hu et al. 2021
 */
export function loraLinear(
  x: Tensor,
  z: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  a: Tensor,
  b: Tensor,
  scale: number,
): Tensor {
  checkLora(x, z, weight, bias, a, b);
  const y = affine(x, weight, bias);
  const h = affine(z, a);
  multiply(matrices(y), matrices(h), transposed(b), { alpha: scale, accumulate: true });
  const gradH = oncePerGradient((dy) => timesRows(h, dy, b, scale));
  const alone = z === x;
  const saved = [z, h, weight, a, b, ...(weight.requiresGrad && !alone ? [x] : [])];
  const recorded = record("loraLinear", y, [x, alone ? undefined : z, weight, bias, a, b], saved, [
    (dy) => {
      const dx = timesRows(x, dy, weight);
      if (alone) multiply(matrices(dx), matrices(gradH(dy)), a, { accumulate: true });
      return dx;
    },
    (dy) => timesRows(z, gradH(dy), a),
    (dy) => product(weight.shape, transposed(matrices(dy)), matrices(x)),
    (dy) => sumTo(dy, (bias as Tensor).shape),
    (dy) => product(a.shape, transposed(matrices(gradH(dy))), matrices(z)),
    (dy) => product(b.shape, transposed(matrices(dy)), matrices(h), scale),
  ]);
  h.dispose();
  return recorded;
}

/**
 * y + scale·h Bᵀ, written over `y`, which is the caller's own and dense: y [..., out], h [..., r], B [out, r]. The result
 * shares its storage; a `y` whose gradient needs its values makes backward throw.
 */
export function addProduct(y: Tensor, h: Tensor, b: Tensor, scale: number): Tensor {
  const [out, r] = b.shape;
  const lead = y.shape.slice(0, -1);
  if (b.ndim !== 2 || !y.isDense || !sameShape(y.shape, [...lead, out]) || !sameShape(h.shape, [...lead, r])) {
    throw new ShapeError(
      `addProduct: y [..., out] (dense), h [..., r] and B [out, r] must agree, got ${showShape(y.shape)}, ${showShape(h.shape)} and ${showShape(b.shape)}`,
    );
  }
  const sum = alias(y);
  multiply(matrices(sum), matrices(h), transposed(b), { alpha: scale, accumulate: true });
  y.storage.version++;
  return record(
    "addProduct",
    sum,
    [y, h, b],
    [h, b],
    [
      (dy) => dy,
      (dy) => timesRows(h, dy, b, scale),
      (dy) => product(b.shape, transposed(matrices(dy)), matrices(h), scale),
    ],
  );
}

/** x Wᵀ + bias */
function affine(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const y = empty([...x.shape.slice(0, -1), weight.shape[0]]);
  const add = bias && dense(bias);
  multiply(matrices(y), matrices(x), transposed(weight), { bias: add?.ptr });
  if (add !== bias) add?.dispose();
  return y;
}

/** α·dy W in the shape of `x`: the gradient of x Wᵀ. */
function timesRows(x: Tensor, dy: Tensor, weight: Tensor, alpha = 1): Tensor {
  const dx = empty(x.shape);
  multiply(matrices(dx), matrices(dy), weight, { alpha });
  return dx;
}

/** `x` as matrices: a vector is one row. */
function matrices(x: Tensor): Matrices {
  return x.ndim > 1 ? x : { ptr: x.ptr, shape: [1, ...x.shape], strides: [0, ...x.strides] };
}

/** `vjp`, computed once for all that ask with one gradient; the result lives as long as that gradient's scope. */
function oncePerGradient(vjp: (dy: Tensor) => Tensor): (dy: Tensor) => Tensor {
  let last: { dy: Tensor; result: Tensor } | null = null;
  return (dy) => {
    if (last?.dy === dy) return last.result;
    const result = vjp(dy);
    moveTo(dy.owner, result);
    last = { dy, result };
    return result;
  };
}

function checkLinear(op: string, x: Tensor, weight: Tensor, bias: Tensor | undefined): void {
  for (const { dtype } of [x, weight, ...(bias ? [bias] : [])]) {
    if (dtype !== "float32") throw new Error(`${op}: operands must be "float32", got "${dtype}"`);
  }
  if (x.ndim === 0 || weight.ndim !== 2 || x.shape[x.ndim - 1] !== weight.shape[1]) {
    throw new ShapeError(
      `${op}: x [..., in] and weight [out, in] must agree, got ${showShape(x.shape)} and ${showShape(weight.shape)}`,
    );
  }
  if (bias && !sameShape(bias.shape, [weight.shape[0]])) {
    throw new ShapeError(`${op}: bias must have shape ${showShape([weight.shape[0]])}, got ${showShape(bias.shape)}`);
  }
}

function checkLora(x: Tensor, z: Tensor, weight: Tensor, bias: Tensor | undefined, a: Tensor, b: Tensor): void {
  checkLinear("loraLinear", x, weight, bias);
  checkLinear("loraLinear", z, a, undefined);
  const [out, inner] = weight.shape;
  const wanted: [string, Tensor, Shape][] = [
    ["z", z, x.shape],
    ["A", a, [a.shape[0], inner]],
    ["B", b, [out, a.shape[0]]],
  ];
  for (const [name, { shape }, expected] of wanted) {
    if (!sameShape(shape, expected)) {
      throw new ShapeError(`loraLinear: ${name} must have shape ${showShape(expected)}, got ${showShape(shape)}`);
    }
  }
}
