/** Losses over rows of logits, [rows, classes] dense, with int32 targets [rows]. */
import { exp2, log2e } from "./math";
import { get, mapRow } from "./rows";
import { logSum, maxOf } from "./softmax";

/** The first row whose target is neither `ignore` nor a class, or −1. */
export function firstBadTarget(targets: usize, rows: i32, classes: i32, ignore: i32): i32 {
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets + ((<usize>row) << 2));
    if (target != ignore && <u32>target >= <u32>classes) return row;
  }
  return -1;
}

/**
 * loss = log Σ e^x − x[target] a row, 0 where the target is `ignore`; returns how many rows count.
 * `shift` [rows, 2] saves max x and log Σ e^(x − max), all that the gradient needs beside x.
 */
export function crossEntropy(
  loss: usize,
  shift: usize,
  x: usize,
  targets: usize,
  rows: i32,
  classes: i32,
  ignore: i32,
): i32 {
  const bytes = (<usize>classes) << 2;
  let counted = 0;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target == ignore) {
      store<f32>(loss, 0);
    } else {
      const max = maxOf(x, classes);
      const log = logSum(x, classes, max);
      store<f32>(shift, max);
      store<f32>(shift, log, 4);
      store<f32>(loss, log - (load<f32>(x + ((<usize>target) << 2)) - max));
      counted++;
    }
    x += bytes;
    loss += 4;
    shift += 8;
    targets += 4;
  }
  return counted;
}

/** dx = scale · dloss[row · dlossRow] · (softmax(x) − onehot(target)), 0 in ignored rows */
export function crossEntropyGrad(
  dx: usize,
  dloss: usize,
  x: usize,
  targets: usize,
  shift: usize,
  rows: i32,
  classes: i32,
  dlossRow: i32,
  ignore: i32,
  scale: f32,
): void {
  const bytes = (<usize>classes) << 2;
  for (let row = 0; row < rows; row++) {
    const target = load<i32>(targets);
    if (target == ignore) {
      memory.fill(dx, 0, bytes);
    } else {
      const factor = scale * load<f32>(dloss);
      mapRow<ScaledProbability>(dx, x, 0, 0, classes, load<f32>(shift), load<f32>(shift, 4), factor);
      const hit = dx + ((<usize>target) << 2);
      store<f32>(hit, load<f32>(hit) - factor);
    }
    x += bytes;
    dx += bytes;
    shift += 8;
    targets += 4;
    dloss += (<usize>dlossRow) << 2;
  }
}

/** factor · e^(x − max − log Σ) */
@final
class ScaledProbability {
  @inline
  at(x: usize, b: usize, c: usize, max: v128, log: v128, factor: v128, s: v128, t: v128, n: usize): v128 {
    const exponent = f32x4.sub(f32x4.sub(get(x, n), max), log);
    return f32x4.mul(exp2(f32x4.mul(exponent, log2e())), factor);
  }
}
