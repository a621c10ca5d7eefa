/** Layers of the form x Wᵀ + b. */
import { clone, dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { moveTo } from "../scope.js";
import { mergedDims, type Shape, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { type Matrices, multiply, product, transposed } from "./matmul.js";
import { sumTo } from "./reduce.js";

/** y = x Wᵀ + bias, with x [..., in], weight [out, in], bias [out] */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  checkLinear("linear", x, weight, bias);
  const y = affine(x, weight, bias);
  const saved = [...(weight.requiresGrad ? [x] : []), ...(x.requiresGrad ? [weight] : [])];
  return record("linear", y, [x, weight, bias], saved, [
    (dy) => timesRows(x.shape, dy, weight),
    (dy) => weightGrad(weight, dy, x),
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
  if (z === x && changesWeight(x, weight)) return loraThroughWeight(x, weight, bias, a, b, scale);
  const y = affine(x, weight, bias);
  const h = affine(z, a);
  addProductTo(y, h, transposed(b), scale);
  const gradH = oncePerGradient((dy) => timesRows(h.shape, dy, b, scale));
  const alone = z === x;
  const saved = [z, h, weight, a, b, ...(weight.requiresGrad && !alone ? [x] : [])];
  const recorded = record("loraLinear", y, [x, alone ? undefined : z, weight, bias, a, b], saved, [
    (dy) => {
      const dx = timesRows(x.shape, dy, weight);
      if (alone) addProductTo(dx, gradH(dy), a);
      return dx;
    },
    (dy) => timesRows(z.shape, gradH(dy), a),
    (dy) => weightGrad(weight, dy, x),
    (dy) => sumTo(dy, (bias as Tensor).shape),
    (dy) => weightGrad(a, gradH(dy), z),
    (dy) => weightGrad(b, dy, h, scale),
  ]);
  h.dispose();
  return recorded;
}

/**
 * Whether W + scale·B A, made each way for the moment, costs less than two thin products over all rows of x: from twice
 * as many rows as W has columns on (bench/lora-step).
 */
function changesWeight(x: Tensor, weight: Tensor): boolean {
  const inner = weight.shape[1];
  return x.size >= 2 * inner * inner;
}

/** x (W + scale·B A)ᵀ + bias */
function loraThroughWeight(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  a: Tensor,
  b: Tensor,
  scale: number,
): Tensor {
  const withChanged = (run: (weight: Tensor) => Tensor) => {
    const changed = clone(weight);
    addProductTo(changed, b, a, scale);
    const result = run(changed);
    changed.dispose();
    return result;
  };
  const inner = [...x.shape.slice(0, -1), a.shape[0]];
  const y = withChanged((changed) => affine(x, changed, bias));
  const saved = [x, weight, a, b];
  return record("loraLinear", y, [x, weight, bias, a, b], saved, [
    (dy) => withChanged((changed) => timesRows(x.shape, dy, changed)),
    (dy) => weightGrad(weight, dy, x),
    (dy) => sumTo(dy, (bias as Tensor).shape),
    (dy) => weightGrad(a, timesRows(inner, dy, b, scale), x),
    (dy) => weightGrad(b, dy, affine(x, a), scale),
  ]);
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
  addProductTo(sum, h, transposed(b), scale);
  y.storage.version++;
  return record(
    "addProduct",
    sum,
    [y, h, b],
    [h, b],
    [(dy) => dy, (dy) => timesRows(h.shape, dy, b, scale), (dy) => weightGrad(b, dy, h, scale)],
  );
}

/** x Wᵀ + bias */
function affine(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const y = empty([...x.shape.slice(0, -1), weight.shape[0]]);
  const add = bias && dense(bias);
  const [ys, xs] = matrices(y, x);
  multiply(ys, xs, transposed(weight), { bias: add?.ptr });
  if (add !== bias) add?.dispose();
  return y;
}

/** y += α·x b, for matrices in the rows of y and x. */
function addProductTo(y: Tensor, x: Tensor, b: Matrices, alpha = 1): void {
  const [ys, xs] = matrices(y, x);
  multiply(ys, xs, b, { alpha, accumulate: true });
}

/** α·dy W, the gradient of x Wᵀ: of the shape of x. */
function timesRows(shape: Shape, dy: Tensor, weight: Tensor, alpha = 1): Tensor {
  const dx = empty(shape);
  const [dxs, dys] = matrices(dx, dy);
  multiply(dxs, dys, weight, { alpha });
  return dx;
}

/** α·dyᵀx in the shape of `weight`: its gradient in x Wᵀ. */
function weightGrad(weight: Tensor, dy: Tensor, x: Tensor, alpha = 1): Tensor {
  const [dys, xs] = matrices(dy, x);
  return product(weight.shape, transposed(dys), xs, alpha);
}

/** Two tensors of the same leading dimensions as matrices: as one of all rows each, where their strides allow it. */
function matrices(x: Tensor, y: Tensor): [Matrices, Matrices] {
  if (x.ndim === 2 && y.ndim === 2) return [x, y];
  const [xs, ys] = [allRows(x), allRows(y)];
  return xs && ys ? [xs, ys] : [x, y];
}

/** All rows as one matrix (a vector is one row), or null where they don't lie at equal distances. */
function allRows(x: Tensor): Matrices | null {
  const d = x.ndim - 1;
  const rows = mergedDims(x, 0, d);
  return rows && { ptr: x.ptr, shape: [rows[0], x.shape[d]], strides: [rows[1], x.strides[d]] };
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
