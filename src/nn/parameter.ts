import { clone } from "../copy.js";
import { Tensor } from "../tensor.js";

/** What is being made for a module that may fail to be. */
let made: Tensor[] | null = null;

/** @internal Runs `fn`, which makes a module. If it throws, say since memory is short, what it made is released. */
export function wholeOrNothing<T>(fn: () => T): T {
  const outer = made;
  const own: Tensor[] = [];
  made = own;
  try {
    return fn();
  } catch (error) {
    for (const tensor of own.splice(0)) tensor.dispose();
    throw error;
  } finally {
    made = outer;
    outer?.push(...own);
  }
}

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
    made?.push(this);
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
    made?.push(this);
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
