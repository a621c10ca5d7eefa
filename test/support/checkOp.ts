/**
 * One line per operation: forward and gradients against a float64 reference, on dense, permuted, narrowed and expanded
 * inputs, with a leak check. The reference's gradient is a central difference, so it needs no derivative of its own.
 */
import { expect } from "vitest";
import { F, memoryStats, scope, type Tensor, tensor } from "../../src/index.js";
import { type Nd, nd, random, size } from "./reference.js";

export interface OpCheck {
  /** The operation on tensors of one case's shapes. */
  op: (...inputs: Tensor[]) => Tensor;
  /** The same on float64 arrays. */
  reference: (...inputs: Nd[]) => Nd;
  /** Each case lists the inputs' shapes. */
  shapes: readonly (readonly (readonly number[])[])[];
  /** The inputs' values are uniform in it. */
  domain?: readonly [number, number];
  /** False for operations without a gradient. */
  gradient?: boolean;
  /** |a − b| ≤ absolute + relative · |b|; state the cause of a wider one where it is used. */
  tolerance?: Tolerance;
}

export interface Tolerance {
  absolute?: number;
  relative?: number;
}

type Layout = "dense" | "permuted" | "narrowed" | "expanded";
const layouts: readonly Layout[] = ["dense", "permuted", "narrowed", "expanded"];

/** Above this, gradients are compared at as many positions, spread over the input. */
const GRADIENT_SAMPLES = 20;

export function checkOp(check: OpCheck): void {
  check.shapes.forEach((shapes, i) => {
    for (const layout of layouts) checkCase(check, shapes, layout, 1000 + i);
  });
}

function checkCase(check: OpCheck, shapes: OpCheck["shapes"][number], layout: Layout, seed: number): void {
  const { op, reference, domain = [-2, 2], gradient = true, tolerance } = check;
  const label = `${layout} ${JSON.stringify(shapes)}`;
  const next = random(seed, ...domain);
  const before = memoryStats();
  scope(() => {
    const leaves = shapes.map((shape) => leafFor(layout, shape, next, gradient));
    const inputs = leaves.map((leaf, i) => viewOf(layout, leaf, shapes[i]));
    const values = inputs.map((x) => nd(x.shape, x.data()));
    const y = op(...inputs);
    const expected = reference(...values);
    expect(y.shape, `shape, ${label}`).toEqual([...expected.shape]);
    expectClose(y.data(), expected.data, tolerance, `forward, ${label}`);
    if (!gradient || y.size === 0) return;
    const dy = Float64Array.from({ length: y.size }, () => Math.fround(next()));
    y.backward(tensor(dy, { shape: y.shape }));
    leaves.forEach((leaf, i) => {
      checkGradient(
        leaf,
        positions(layout, leaf, shapes[i]),
        values,
        i,
        reference,
        dy,
        tolerance,
        `d input ${i}, ${label}`,
      );
    });
  });
  const after = memoryStats();
  expect([after.liveBytes, after.liveTensors], `leaks, ${label}`).toEqual([before.liveBytes, before.liveTensors]);
}

function checkGradient(
  leaf: Tensor,
  viewToLeaf: ArrayLike<number>,
  values: readonly Nd[],
  input: number,
  reference: OpCheck["reference"],
  dy: Float64Array,
  tolerance: Tolerance | undefined,
  label: string,
): void {
  const objective = (x: Nd) =>
    reference(...values.map((v, i) => (i === input ? x : v))).data.reduce((sum, v, i) => sum + v * dy[i], 0);
  const x = values[input];
  const leafToView = new Map<number, number[]>();
  for (let i = 0; i < viewToLeaf.length; i++) {
    const seen = leafToView.get(viewToLeaf[i]);
    if (seen) seen.push(i);
    else leafToView.set(viewToLeaf[i], [i]);
  }
  const step = Math.max(1, Math.ceil(leaf.size / GRADIENT_SAMPLES));
  const got: number[] = [];
  const expected: number[] = [];
  expect(leaf.grad?.shape ?? (leaf.size === 0 ? leaf.shape : null), label).toEqual(leaf.shape);
  const grad = leaf.grad?.data() ?? [];
  for (let position = 0; position < leaf.size; position += step) {
    const moved = leafToView.get(position) ?? [];
    const h = 1e-5;
    const shifted = (delta: number) =>
      nd(
        x.shape,
        x.data.map((v, i) => (moved.includes(i) ? v + delta : v)),
      );
    got.push(grad[position]);
    expected.push(moved.length === 0 ? 0 : (objective(shifted(h)) - objective(shifted(-h))) / (2 * h));
  }
  expectClose(got, expected, tolerance, label);
}

/** A dense leaf from which `viewOf` reads a tensor of `shape`. */
function leafFor(layout: Layout, shape: readonly number[], next: () => number, requiresGrad: boolean): Tensor {
  const base =
    layout === "permuted"
      ? [...shape].reverse()
      : layout === "narrowed"
        ? shape.map((extent) => extent + 2)
        : layout === "expanded" && shape.length > 0 && shape[0] > 0
          ? [1, ...shape.slice(1)]
          : shape;
  const data = Float32Array.from({ length: size(base) }, next);
  return tensor(data, { shape: base, requiresGrad });
}

function viewOf(layout: Layout, leaf: Tensor, shape: readonly number[]): Tensor {
  if (layout === "permuted") return F.permute(leaf, [...shape.keys()].reverse());
  if (layout === "expanded") return F.expand(leaf, shape);
  if (layout === "narrowed") return shape.reduce((x, extent, d) => F.narrow(x, d, 1, extent), leaf);
  return leaf;
}

/** For each element of the view, the leaf's element it reads. */
function positions(layout: Layout, leaf: Tensor, shape: readonly number[]): ArrayLike<number> {
  return viewOf(
    layout,
    tensor(
      Int32Array.from({ length: leaf.size }, (_, i) => i),
      { shape: leaf.shape },
    ),
    shape,
  ).data();
}

/** Elementwise |got − expected| ≤ absolute + relative · |expected|; NaN and infinities must be equal. */
export function expectClose(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute = 1e-6, relative = 1e-5 }: Tolerance = {},
  label = "values",
): void {
  expect(got.length, `${label}: length`).toBe(expected.length);
  for (let i = 0; i < got.length; i++) {
    const same =
      Object.is(got[i], expected[i]) || Math.abs(got[i] - expected[i]) <= absolute + relative * Math.abs(expected[i]);
    if (!same) expect.fail(`${label}: element ${i} of ${got.length} must be ${expected[i]}, got ${got[i]}`);
  }
}
