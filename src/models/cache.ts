import { copyInto } from "../copy.js";
import { ShapeError, showShape } from "../errors.js";
import { isRecording } from "../graph.js";
import { narrow } from "../ops/view.js";
import { keep } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";

type Layer = { keys: Tensor; values: Tensor; length: number };

/**
 * The keys and values of the tokens seen so far, per layer, so that generation computes each token once.
 * It owns its tensors: `dispose()` ends them. The room doubles when it is full.
 */
export class KeyValueCache {
  private readonly layers: Layer[] = [];

  /** @param capacity the tokens to make room for at first */
  constructor(private readonly capacity = 64) {}

  /** Tokens seen. */
  get length(): number {
    return this.layers[0]?.length ?? 0;
  }

  /** Appends keys and values [B, heads, T, D] of new tokens to layer `i`; returns all of them so far. */
  append(i: number, keys: Tensor, values: Tensor): { keys: Tensor; values: Tensor } {
    if (isRecording() && (keys.requiresGrad || values.requiresGrad)) {
      throw new Error(
        "KeyValueCache: no gradient must be recorded, since the cache copies values; got a model in training, use noGrad",
      );
    }
    const added = keys.shape[2];
    const present: Layer | undefined = this.layers[i];
    if (present) checkFits(present, keys);
    if (i > 0 && (present?.length ?? 0) + added !== this.length) {
      throw new Error(
        "KeyValueCache: every layer must hold the same tokens, got a forward that failed; start a new one",
      );
    }
    const layer = present ?? {
      keys: this.room(keys, this.capacity),
      values: this.room(values, this.capacity),
      length: 0,
    };
    this.layers[i] = layer;
    const needed = layer.length + added;
    if (needed > layer.keys.shape[2]) {
      layer.keys = this.enlarge(layer.keys, layer.length, needed);
      layer.values = this.enlarge(layer.values, layer.length, needed);
    }
    copyInto(narrow(layer.keys, 2, layer.length, added), keys);
    copyInto(narrow(layer.values, 2, layer.length, added), values);
    layer.length = needed;
    return { keys: narrow(layer.keys, 2, 0, needed), values: narrow(layer.values, 2, 0, needed) };
  }

  dispose(): void {
    for (const { keys, values } of this.layers) {
      keys.dispose();
      values.dispose();
    }
    this.layers.length = 0;
  }

  private room(like: Tensor, capacity: number): Tensor {
    const [B, heads, T, D] = like.shape;
    return keep(empty([B, heads, Math.max(capacity, T), D]));
  }

  private enlarge(old: Tensor, length: number, needed: number): Tensor {
    const larger = this.room(old, Math.max(needed, 2 * old.shape[2]));
    copyInto(narrow(larger, 2, 0, length), narrow(old, 2, 0, length));
    old.dispose();
    return larger;
  }
}

/** The batch, the heads and their width stay what they were. */
function checkFits({ keys: before }: Layer, keys: Tensor): void {
  const [B, heads, , D] = before.shape;
  if (keys.shape[0] === B && keys.shape[1] === heads && keys.shape[3] === D) return;
  throw new ShapeError(
    `KeyValueCache: keys and values must be [${B}, ${heads}, tokens, ${D}] as those before, got ${showShape(keys.shape)}`,
  );
}
