import { allocate, memoryGeneration, type Ptr, release } from "./wasm/memory.js";

export type DType = "float32" | "int32" | "uint8" | "bool";

export function bytesPerElement(dtype: DType): 1 | 4 {
  return dtype === "float32" || dtype === "int32" ? 4 : 1;
}

/** One block of WebAssembly memory, held by tensor handles and by graph nodes that saved it. */
export class Storage {
  readonly ptr: Ptr;
  /** Counts the changes in place, so that a graph notices when what it saved has changed. */
  version = 0;
  private holders = 1;
  private readonly generation = memoryGeneration;

  constructor(readonly bytes: number) {
    this.ptr = allocate(bytes);
  }

  get isShared(): boolean {
    return this.holders > 1;
  }

  /** False after `shutdown()`. */
  get isValid(): boolean {
    return this.generation === memoryGeneration;
  }

  retain(): this {
    this.holders++;
    return this;
  }

  release(): void {
    if (--this.holders === 0 && this.isValid) release(this.ptr, this.bytes);
  }
}

const ranges: Partial<Record<DType, readonly [number, number]>> = { int32: [-2147483648, 2147483647], uint8: [0, 255] };

/** Integers must be whole and within their type's range. */
export function checkValues(op: string, values: ArrayLike<number>, dtype: DType): void {
  const range = ranges[dtype];
  if (!range || values instanceof (dtype === "int32" ? Int32Array : Uint8Array)) return;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!Number.isInteger(value) || value < range[0] || value > range[1]) {
      throw new Error(
        `${op}: ${dtype} values must be whole numbers from ${range[0]} to ${range[1]}, got ${value} at ${i}`,
      );
    }
  }
}
