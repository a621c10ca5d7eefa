/**
 * The tensor handle: shape, strides and type over a shared storage. What a tensor can do is in `ops/`: every operation
 * whose first parameter is a tensor is also a method, attached by `methods.ts`.
 */
import { showShape, UseAfterFreeError } from "./errors.js";
import { formatTensor } from "./format.js";
import type { GraphNode, Lifetime } from "./graph.js";
import { currentScope, moveTo, Owned, type Scope } from "./scope.js";
import { denseStrides, isDense, type Shape, type Strides, sizeOf } from "./shape.js";
import { bytesPerElement, checkValues, type DType, Storage } from "./storage.js";
import { float32View, int32View, offsetBy, type Ptr, uint8View } from "./wasm/memory.js";

export type TypedArray = Float32Array | Int32Array | Uint8Array;
type OrdinaryArray = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
export type NestedArray = readonly (number | boolean | NestedArray)[];

let liveTensors = 0;

/** Handles not yet released. */
export function liveTensorCount(): number {
  return liveTensors;
}

export class Tensor extends Owned {
  /** True for leaves that want a gradient and for everything recorded from them. */
  requiresGrad = false;
  /** The gradient that `backward()` has accumulated; owned by this tensor. */
  grad: Tensor | null = null;
  /** @internal What made it, for error messages. */
  op = "tensor";
  /** @internal How it was computed, null for a leaf. */
  node: GraphNode | null = null;
  /** @internal */
  released = false;

  /** @internal Takes over one hold on `buffer`. */
  constructor(
    /** @internal */
    readonly buffer: Storage,
    readonly shape: Shape,
    /** @internal In elements. */
    readonly strides: Strides,
    /** @internal Of the first element, in elements. */
    readonly offset: number,
    readonly dtype: DType,
  ) {
    super();
    liveTensors++;
  }

  get ndim(): number {
    return this.shape.length;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get isLeaf(): boolean {
    return this.node === null;
  }

  /** @internal The storage of a tensor that must still be alive. */
  get storage(): Storage {
    if (this.released || !this.buffer.isValid) {
      throw new UseAfterFreeError(
        `${this.op}: a tensor must be alive to be used, got ${showShape(this.shape)} which was released (its scope ended, dispose() or shutdown() was called); return it from the scope or keep() it`,
      );
    }
    return this.buffer;
  }

  /** @internal The address of the first element. */
  get ptr(): Ptr {
    return offsetBy(this.storage.ptr, this.offset * bytesPerElement(this.dtype));
  }

  /** @internal */
  get isDense(): boolean {
    return isDense(this.shape, this.strides);
  }

  /**
   * A copy of the values in row-major order, on an ordinary buffer.
   *
   * @typeParam T what the dtype gives: Float32Array, Int32Array, or Uint8Array for "uint8" and "bool"
   */
  data<T extends OrdinaryArray = Float32Array<ArrayBuffer>>(): T {
    return this.copyOut() as T; // copies lie on ordinary buffers, whatever the memory's is
  }

  private copyOut(): TypedArray {
    const { storage, size } = this;
    if (this.isDense) return viewElements(this.ptr, this.dtype, size).slice();
    const source = viewElements(storage.ptr, this.dtype, storage.bytes / bytesPerElement(this.dtype));
    const copy =
      this.dtype === "float32"
        ? new Float32Array(size)
        : this.dtype === "int32"
          ? new Int32Array(size)
          : new Uint8Array(size);
    const index = new Array<number>(this.ndim).fill(0);
    let at = this.offset;
    for (let i = 0; i < size; i++) {
      copy[i] = source[at];
      for (let d = this.ndim - 1; d >= 0; d--) {
        at += this.strides[d];
        if (++index[d] < this.shape[d]) break;
        at -= this.strides[d] * this.shape[d];
        index[d] = 0;
      }
    }
    return copy;
  }

  /** The values nested by dimension; a number (boolean for "bool") for a scalar. */
  toArray(): number | boolean | NestedArray {
    const flat: (number | boolean)[] = this.dtype === "bool" ? [...this.data()].map(Boolean) : [...this.data()];
    let level: (number | boolean | NestedArray)[] = flat;
    for (let d = this.ndim - 1; d >= 0; d--) {
      const extent = this.shape[d];
      const count = sizeOf(this.shape.slice(0, d));
      level = Array.from({ length: count }, (_, i) => level.slice(i * extent, (i + 1) * extent));
    }
    return level[0] as number | boolean | NestedArray;
  }

  /** The value of a tensor of one element. */
  item(): number {
    if (this.size !== 1) throw new Error(`item: the tensor must have one element, got shape ${showShape(this.shape)}`);
    return viewElements(this.ptr, this.dtype, 1)[0];
  }

  /** Overwrites the values of a dense tensor, in row-major order. */
  set(data: ArrayLike<number>): this {
    if (data.length !== this.size) throw new Error(`set: data must have ${this.size} values, got ${data.length}`);
    if (!this.isDense) throw new Error("set: the tensor must be dense, got a strided view; use copy_");
    checkValues(this.op, data, this.dtype);
    viewElements(this.ptr, this.dtype, this.size).set(this.dtype === "bool" ? Array.from(data, truth) : data);
    this.storage.version++;
    return this;
  }

  /** @internal Overwrites every element of a dense tensor. */
  fillWith(value: number): this {
    checkValues("fill_", [value], this.dtype);
    viewElements(this.ptr, this.dtype, this.size).fill(this.dtype === "bool" ? truth(value) : value);
    this.storage.version++;
    return this;
  }

  /** Whether operations on it are recorded for `backward`; leaves only. */
  requiresGrad_(value = true): this {
    if (this.node)
      throw new Error("requiresGrad_: the tensor must be a leaf, got the result of a recorded operation; use detach()");
    if (value && this.dtype !== "float32")
      throw new Error(`requiresGrad_: the dtype must be "float32", got "${this.dtype}"`);
    this.requiresGrad = value;
    return this;
  }

  /** Gives the memory back. Idempotent; using the tensor afterwards throws. */
  override dispose(): void {
    if (this.released) return;
    this.released = true;
    liveTensors--;
    if (this.owner) moveTo(null, this);
    else unregister(this);
    this.buffer.release();
    this.node?.lifetime.release();
    this.grad?.dispose();
    this.grad = null;
  }

  /** @internal */
  override follow(owner: Scope | null): void {
    if (this.grad) moveTo(owner, this.grad);
  }

  /** @internal */
  override leaveScopes(): void {
    register(this);
    if (this.grad) register(this.grad);
  }

  /** @internal Takes a gradient over: it has this tensor's owner, or lack of one. */
  adoptGrad(grad: Tensor): void {
    this.grad = grad;
    moveTo(this.owner, grad);
    if (heldBy.has(this)) register(grad);
  }

  override toString(): string {
    return formatTensor(this);
  }
}

Object.defineProperty(Tensor.prototype, Symbol.for("nodejs.util.inspect.custom"), { value: Tensor.prototype.toString });

/** How a bool is stored: whatever is not 0 is true. */
function truth(value: number): 0 | 1 {
  return value ? 1 : 0;
}

function viewElements(ptr: Ptr, dtype: DType, length: number): TypedArray {
  if (dtype === "float32") return float32View(ptr, length);
  return dtype === "int32" ? int32View(ptr, length) : uint8View(ptr, length);
}

/** An uninitialized dense tensor, owned by the running scope. */
export function empty(shape: Shape, dtype: DType = "float32"): Tensor {
  const storage = new Storage(sizeOf(shape) * bytesPerElement(dtype));
  return owned(new Tensor(storage, shape, denseStrides(shape), 0, dtype));
}

/** Another handle on the storage of `x`, without its history; `offset` is counted from the storage's start. */
export function alias(
  x: Tensor,
  shape: Shape = x.shape,
  strides: Strides = x.strides,
  offset: number = x.offset,
): Tensor {
  return owned(new Tensor(x.storage.retain(), shape, strides, offset, x.dtype));
}

/** Another handle on the part of `length` from `start` along dimension `d`, without its history. */
export function section(x: Tensor, d: number, start: number, length: number): Tensor {
  const shape = x.shape.map((extent, i) => (i === d ? length : extent));
  return alias(x, shape, x.strides, x.offset + start * x.strides[d]);
}

function owned(tensor: Tensor): Tensor {
  const scope = currentScope();
  if (scope) scope.adopt(tensor);
  else register(tensor);
  return tensor;
}

/** What an unreachable handle held. It must not refer to handles, or they would stay reachable. */
type Held = { storage: Storage; lifetime: Lifetime | null };

const UNSCOPED_WARNING = 10_000;
const abandoned = new FinalizationRegistry<Held>(({ storage, lifetime }) => {
  liveTensors--;
  unscoped--;
  storage.release();
  lifetime?.release();
});
let unscoped = 0;
let warned = false;

/** A safety net for tensors made outside any scope; it cannot act while a synchronous loop runs. */
function register(tensor: Tensor): void {
  const held: Held = { storage: tensor.buffer, lifetime: tensor.node?.lifetime ?? null };
  heldBy.set(tensor, held);
  abandoned.register(tensor, held, tensor);
  if (++unscoped > UNSCOPED_WARNING && !warned) {
    warned = true;
    console.warn(
      `wasmgrad: ${unscoped} tensors made outside any scope are alive, the last by ${tensor.op}; wrap the loop's body in scope(() => …) or dispose() them`,
    );
  }
}

const heldBy = new WeakMap<Tensor, Held>();

function unregister(tensor: Tensor): void {
  if (heldBy.delete(tensor)) {
    abandoned.unregister(tensor);
    unscoped--;
  }
}

/** Notes the operation that made `tensor`, and how to differentiate it. */
export function setHistory(tensor: Tensor, op: string, node: GraphNode | null): void {
  tensor.op = op;
  if (!node) return;
  tensor.node = node;
  tensor.requiresGrad = true;
  const held = heldBy.get(tensor);
  if (held) held.lifetime = node.lifetime;
}
