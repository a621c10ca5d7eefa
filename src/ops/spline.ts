import { dense } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { workspace } from "../wasm/memory.js";
import { checkDtype } from "./dtype.js";

/**
 * y[…, i, j] = B_j(x[…, i]), the B-splines of `order` on the ascending knots `grid[i]`; all 0 outside them. Those of order 0 are steps,
 * without a gradient.
 *
 * @param x [..., in]
 * @param grid [in, knots]; gets no gradient
 * @returns [..., in, knots − 1 − order]
 * Source: de Boor 1978
 */
export function bSplines(x: Tensor, grid: Tensor, order: number): Tensor {
  checkDtype("bSplines", "x", x, "float32");
  checkDtype("bSplines", "the grid", grid, "float32");
  const [cols, knots] = grid.shape;
  if (x.ndim === 0 || grid.ndim !== 2 || x.shape[x.ndim - 1] !== cols) {
    throw new ShapeError(
      `bSplines: x [..., in] and grid [in, knots] must agree, got ${showShape(x.shape)} and ${showShape(grid.shape)}`,
    );
  }
  const intervals = knots - 1;
  if (!(Number.isInteger(order) && order >= 0 && order < intervals)) {
    throw new Error(`bSplines: order must be a whole number from 0 to ${intervals - 1}, got ${order}`);
  }
  const [a, t] = [dense(x), dense(grid)];
  const sizes = [cols === 0 ? 0 : x.size / cols, cols, intervals, order] as const;
  const work = () => workspace(4 * knots);
  const y = empty([...x.shape, intervals - order]);
  kernels.bSplines(y.ptr, work(), a.ptr, t.ptr, ...sizes);
  const gradient = (dy: Tensor) => {
    const dx = empty(x.shape);
    kernels.bSplinesGrad(dx.ptr, work(), dense(dy).ptr, a.ptr, t.ptr, ...sizes);
    return dx;
  };
  return record("bSplines", y, [x, grid], [a, t], [order === 0 ? null : gradient, null]);
}
