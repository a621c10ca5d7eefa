import { checkOptions } from "../errors.js";
import { add, mul } from "../ops/binary.js";
import { linear } from "../ops/linear.js";
import { bSplines } from "../ops/spline.js";
import { silu } from "../ops/unary.js";
import { flatten, unsqueeze } from "../ops/view.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { kaimingUniform_, uniform_ } from "./init.js";
import { Module } from "./module.js";
import { Buffer, Parameter } from "./parameter.js";

export interface KANLinearOptions {
  /** Intervals in `gridRange`. */
  gridSize?: number;
  splineOrder?: number;
  /** Where inputs are expected: further out than `splineOrder` intervals, splines are 0 and the base branch alone acts. */
  gridRange?: readonly [low: number, high: number];
}

/**
 * y_o = Σ_i φ_oi(x_i), a learned function on every edge: φ_oi(x) = base_weight_oi·silu(x) +
 * spline_scaler_oi·Σ_j spline_weight_oij·B_j(x), B_j the B-splines on `grid`. Liu et al. 2024; state dict and results as
 * efficient-kan's. Splines start near zero: spline_weight from U(−1, 1)·0.05 / gridSize.
 */
export class KANLinear extends Module {
  readonly base_weight: Parameter;
  readonly spline_weight: Parameter;
  readonly spline_scaler: Parameter;
  readonly grid: Buffer;
  readonly gridSize: number;
  readonly splineOrder: number;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: KANLinearOptions = {},
  ) {
    super();
    checkOptions("KANLinear", options, ["gridSize", "splineOrder", "gridRange"]);
    const { gridSize = 5, splineOrder = 3, gridRange = [-1, 1] } = options;
    checkGrid(gridSize, splineOrder, gridRange);
    this.gridSize = gridSize;
    this.splineOrder = splineOrder;
    const like = { a: Math.sqrt(5) };
    const shape = [outFeatures, inFeatures];
    const noise = 0.05 / gridSize;
    this.base_weight = scope(() => new Parameter(kaimingUniform_(empty(shape), like)));
    this.spline_weight = scope(() => new Parameter(uniform_(empty([...shape, gridSize + splineOrder]), -noise, noise)));
    this.spline_scaler = scope(() => new Parameter(kaimingUniform_(empty(shape), like)));
    this.grid = scope(() => new Buffer(knots(inFeatures, gridSize, splineOrder, gridRange)));
  }

  /** @param x [..., in] */
  override forward(x: Tensor): Tensor {
    return scope(() => {
      const bases = flatten(bSplines(x, this.grid, this.splineOrder), { startDim: -2 });
      const weight = flatten(mul(this.spline_weight, unsqueeze(this.spline_scaler, -1)), { startDim: 1 });
      return add(linear(silu(x), this.base_weight), linear(bases, weight));
    });
  }

  protected override describe(): string {
    const { inFeatures, outFeatures, gridSize, splineOrder } = this;
    return `in=${inFeatures}, out=${outFeatures}, gridSize=${gridSize}, splineOrder=${splineOrder}`;
  }
}

/** [in, gridSize + 2·order + 1]: the range's knots, and `order` more at the same distance on both sides. */
function knots(count: number, gridSize: number, order: number, [low, high]: readonly [number, number]): Tensor {
  const length = gridSize + 2 * order + 1;
  const step = (high - low) / gridSize;
  return empty([count, length]).set(
    Float64Array.from({ length: count * length }, (_, i) => ((i % length) - order) * step + low),
  );
}

function checkGrid(gridSize: number, splineOrder: number, [low, high]: readonly [number, number]): void {
  if (!(Number.isInteger(gridSize) && gridSize >= 1))
    throw new Error(`KANLinear: gridSize must be a whole number from 1, got ${gridSize}`);
  if (!(Number.isInteger(splineOrder) && splineOrder >= 0))
    throw new Error(`KANLinear: splineOrder must be a whole number from 0, got ${splineOrder}`);
  if (!(low < high)) throw new Error(`KANLinear: gridRange must ascend, got ${low} to ${high}`);
}
