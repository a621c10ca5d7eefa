/** Checks of what models are called with, which name the model. */
import { ShapeError, showShape } from "../errors.js";
import { arange } from "../ops/create.js";
import { type Shape, sameShape } from "../shape.js";
import { empty, Tensor } from "../tensor.js";

function checkTensor(model: string, name: string, value: unknown): void {
  if (!(value instanceof Tensor)) throw new Error(`${model}: ${name} must be a tensor, got ${value}`);
}

/** Token ids must be int32 [B, T], one or more, each of them in the vocabulary. */
export function checkIds(model: string, ids: Tensor, vocabSize: number): void {
  checkTensor(model, "token ids", ids);
  if (ids.dtype !== "int32") throw new Error(`${model}: token ids must have dtype "int32", got "${ids.dtype}"`);
  if (ids.ndim !== 2 || ids.size === 0) {
    throw new ShapeError(
      `${model}: token ids must have shape [batch, tokens] with one token or more, got ${showShape(ids.shape)}`,
    );
  }
  const outside = ids.data<Int32Array<ArrayBuffer>>().find((id) => id < 0 || id >= vocabSize);
  if (outside !== undefined) {
    throw new Error(
      `${model}: token ids must be from 0 to ${vocabSize - 1}, as config.vocab_size is ${vocabSize}, got ${outside}; the tokenizer must be the model's own`,
    );
  }
}

/** An attention mask [B, keys] as what is added to the scores, [B, 1, 1, keys]: −∞ where a key takes no part. */
export function keyMask(model: string, mask: Tensor | undefined, [B, keys]: Shape): Tensor | undefined {
  if (!mask) return undefined;
  checkTensor(model, "attentionMask", mask);
  if (!sameShape(mask.shape, [B, keys])) {
    throw new ShapeError(
      `${model}: attentionMask must have shape ${showShape([B, keys])}, got ${showShape(mask.shape)}`,
    );
  }
  const seen = mask.data();
  if (seen.every((value) => value !== 0)) return undefined;
  return empty([B, 1, 1, keys]).set(Float32Array.from(seen, (value) => (value === 0 ? -Infinity : 0)));
}

/** The place of each token, [B, T] as given or [T] from `start` on; all below `limit`, the positions that were learned. */
export function learnedPositions(
  model: string,
  [B, T]: Shape,
  { positionIds, start = 0, limit, field }: { positionIds?: Tensor; start?: number; limit: number; field: string },
): Tensor {
  if (positionIds) checkPositionIds(model, positionIds, [B, T]);
  const last = positionIds ? lastPosition(positionIds) : start + T - 1;
  if (last >= limit) {
    throw new Error(`${model}: positions must be below config.${field}, which is ${limit}, got ${last}`);
  }
  return positionIds ?? arange(start, start + T);
}

/** int32 [B, T], none below 0. */
export function checkPositionIds(model: string, positionIds: Tensor, shape: Shape): void {
  checkTensor(model, "positionIds", positionIds);
  if (positionIds.dtype !== "int32" || !sameShape(positionIds.shape, shape)) {
    throw new ShapeError(
      `${model}: positionIds must be int32 ${showShape(shape)}, got ${positionIds.dtype} ${showShape(positionIds.shape)}`,
    );
  }
  const negative = positionIds.data().find((position) => position < 0);
  if (negative !== undefined) throw new Error(`${model}: positionIds must be from 0, got ${negative}`);
}

/** The largest of `positionIds`. */
export function lastPosition(positionIds: Tensor): number {
  return positionIds.data().reduce((last, position) => Math.max(last, position), 0);
}
