/**
 * Changes in place, where no gradient is recorded. A graph that had saved the tensor notices: its backward throws.
 * Each returns the changed tensor.
 */
import { clone, copyInto } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { isRecording } from "../graph.js";
import { nextStream } from "../random.js";
import { broadcastShapes, broadcastStrides, sameShape } from "../shape.js";
import { alias, empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { checkOperands, zip, zipInto } from "./broadcast.js";
import type { Operand } from "./convert.js";
import { checkDtype } from "./dtype.js";
import { type ClampOptions, clampBounds } from "./unary.js";

/** x += alpha · y */
export function add_(x: Tensor, y: Operand, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  checkOperands("add_", x, y);
  return update("add_", x, y, (target, operand) => {
    if (typeof operand === "number") zipInto(target, "add", target, alpha * operand);
    else if (operand.isDense && sameShape(operand.shape, x.shape))
      kernels.addScaled(target.ptr, operand.ptr, x.size, alpha);
    else {
      const term = zip("mul", operand, alpha);
      zipInto(target, "add", target, term);
      term.dispose();
    }
  });
}

/** x *= y */
export function mul_(x: Tensor, y: Operand): Tensor {
  checkOperands("mul_", x, y);
  return update("mul_", x, y, (target, operand) => zipInto(target, "mul", target, operand));
}

/** x = min(max(x, min), max), at least one of the two given */
export function clamp_(x: Tensor, options: ClampOptions): Tensor {
  const { min, max } = clampBounds("clamp_", options);
  checkDtype("clamp_", "the tensor", x, "float32");
  return update("clamp_", x, min, (target) => kernels.clamp(target.ptr, target.ptr, x.size, min, max));
}

/** x = y, which has x's type and broadcasts to its shape */
export function copy_(x: Tensor, y: Tensor): Tensor {
  checkDtype("copy_", "the source", y, x.dtype);
  checkTarget("copy_", x, y);
  const source = apart(x, y);
  const repeated = alias(source, x.shape, broadcastStrides(source.shape, source.strides, x.shape));
  copyInto(x, repeated);
  repeated.dispose();
  if (source !== y) source.dispose();
  return x;
}

/** x = value */
export function fill_(x: Tensor, value: number): Tensor {
  checkTarget("fill_", x, value);
  return overwrite(x, (target) => target.fillWith(value));
}

/** x = 0 */
export function zero_(x: Tensor): Tensor {
  return fill_(x, 0);
}

/** x ~ N(mean, std²) */
export function normal_(x: Tensor, mean = 0, std = 1): Tensor {
  checkDtype("normal_", "the tensor", x, "float32");
  if (!(std >= 0)) throw new Error(`normal_: std must be 0 or more, got ${std}`);
  checkTarget("normal_", x, 0);
  return overwrite(x, (target) => kernels.normal(target.ptr, x.size, ...nextStream(x.size), mean, std));
}

/** x ~ U[low, high) */
export function uniform_(x: Tensor, low = 0, high = 1): Tensor {
  checkDtype("uniform_", "the tensor", x, "float32");
  if (!(low <= high)) throw new Error(`uniform_: low must not exceed high, got ${low} and ${high}`);
  checkTarget("uniform_", x, 0);
  return overwrite(x, (target) => kernels.uniform(target.ptr, x.size, ...nextStream(x.size), low, high - low));
}

/** Lets `change` write to a dense tensor that starts with the values of x, and takes its values. */
function update(op: string, x: Tensor, y: Operand, change: (target: Tensor, operand: Operand) => void): Tensor {
  checkTarget(op, x, y);
  const operand = typeof y === "number" ? y : apart(x, y);
  const target = x.isDense ? x : clone(x);
  change(target, operand);
  settle(x, target);
  if (operand !== y) (operand as Tensor).dispose();
  return x;
}

/** Lets `write` write every element of a dense tensor, and takes its values. */
function overwrite(x: Tensor, write: (target: Tensor) => void): Tensor {
  const target = x.isDense ? x : empty(x.shape, x.dtype);
  write(target);
  settle(x, target);
  return x;
}

function settle(x: Tensor, target: Tensor): void {
  if (target === x) x.storage.version++;
  else {
    copyInto(x, target);
    target.dispose();
  }
}

/** `y`, or a copy where writing to x element by element would change what is still to be read. */
function apart(x: Tensor, y: Tensor): Tensor {
  const sameElements = y.offset === x.offset && sameShape(y.shape, x.shape) && sameShape(y.strides, x.strides);
  return y.storage === x.storage && !sameElements ? clone(y) : y;
}

function checkTarget(op: string, x: Tensor, y: Operand): void {
  if (isRecording() && (x.requiresGrad || (typeof y !== "number" && y.requiresGrad))) {
    throw new Error(
      `${op}: no operand may require a gradient while operations are recorded, got one that does; use noGrad(() => …)`,
    );
  }
  if (x.strides.some((stride, d) => stride === 0 && x.shape[d] > 1)) {
    throw new Error(
      `${op}: every element must have a place of its own, got an expanded view of shape ${showShape(x.shape)}; use clone()`,
    );
  }
  if (typeof y !== "number" && !sameShape(broadcastShapes(op, x.shape, y.shape), x.shape)) {
    throw new ShapeError(`${op}: the operand must broadcast to ${showShape(x.shape)}, got ${showShape(y.shape)}`);
  }
}
