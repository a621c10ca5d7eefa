import { clone } from "../copy.js";
import { Tensor } from "../tensor.js";

/**
 * A tensor that a module trains. It belongs to no scope: `module.dispose()` ends it. `data` stays a handle of its own on
 * the same storage, which lives until both have ended: make it in a scope.
 */
export class Parameter extends Tensor {
  constructor(data: Tensor, requiresGrad = true) {
    if (requiresGrad && data.dtype !== "float32") {
      throw new Error(`Parameter: a trained tensor must be float32, got ${data.dtype}`);
    }
    super(...shareOf(data));
    this.op = "Parameter";
    this.requiresGrad_(requiresGrad);
  }
}

/** A tensor that a module carries and does not train (running statistics, tables); owned like a parameter. */
export class Buffer extends Tensor {
  /** Whether it is part of the state dict. */
  readonly persistent: boolean;

  constructor(data: Tensor, { persistent = true }: { persistent?: boolean } = {}) {
    super(...shareOf(data));
    this.op = "Buffer";
    this.persistent = persistent;
  }
}

function shareOf(data: Tensor): ConstructorParameters<typeof Tensor> {
  const source = data.isDense ? data : clone(data);
  const share: ConstructorParameters<typeof Tensor> = [
    source.storage.retain(),
    source.shape,
    source.strides,
    source.offset,
    source.dtype,
  ];
  if (source !== data) source.dispose();
  return share;
}
