/**
 * The one owner of WebAssembly memory: allocates, frees, grows and makes views.
 *
 * Blocks come in size classes (four to an octave, multiples of 64 bytes) with a free list each, so a training step
 * reuses the previous step's blocks. What is carved from the heap is never given back to the system; before the
 * memory grows, free neighbours are merged, so reserved bytes follow the peak and not the history of sizes.
 */
import { OutOfMemoryError, showBytes } from "../errors.js";
import type { Ptr } from "./kernels.gen.js";

export type { Ptr };

const PAGE = 65536;
const ALIGNMENT = 64;
const MAX_PAGES = 65536;

type Block = { address: number; bytes: number };

/** The free and used parts of one WebAssembly memory. */
class Heap {
  private readonly freeLists = new Map<number, number[]>();
  /** Merged free blocks that belong to no class yet, in address order. */
  private holes: Block[] = [];
  /** The first address never handed out. */
  private top: number;
  liveBytes = 0;
  peakBytes = 0;

  constructor(
    readonly memory: WebAssembly.Memory,
    base: number,
    private readonly maximumBytes: number,
  ) {
    this.top = Math.ceil(base / ALIGNMENT) * ALIGNMENT;
  }

  allocate(bytes: number): number {
    if (!(bytes <= this.maximumBytes)) throw this.outOfMemory(bytes);
    const size = sizeClass(bytes);
    const address = this.freeLists.get(size)?.pop() ?? this.carve(size);
    if (address === undefined) throw this.outOfMemory(bytes);
    this.liveBytes += size;
    if (this.liveBytes > this.peakBytes) this.peakBytes = this.liveBytes;
    return address;
  }

  release(address: number, bytes: number): void {
    const size = sizeClass(bytes);
    const list = this.freeLists.get(size);
    if (list) list.push(address);
    else this.freeLists.set(size, [address]);
    this.liveBytes -= size;
  }

  private carve(size: number): number | undefined {
    const hole = this.fromHole(size);
    if (hole !== undefined) return hole;
    if (this.top + size > this.memory.buffer.byteLength) {
      this.mergeFree();
      const merged = this.fromHole(size);
      if (merged !== undefined) return merged;
    }
    const lacking = this.top + size - this.memory.buffer.byteLength;
    if (lacking > 0 && !this.grow(lacking)) return undefined;
    const address = this.top;
    this.top += size;
    return address;
  }

  /** From the smallest hole that fits, so that large ones stay whole. */
  private fromHole(size: number): number | undefined {
    let hole: Block | undefined;
    for (const each of this.holes) if (each.bytes >= size && !(hole && hole.bytes <= each.bytes)) hole = each;
    if (!hole) return undefined;
    const { address } = hole;
    hole.address += size;
    hole.bytes -= size;
    if (hole.bytes === 0) this.holes.splice(this.holes.indexOf(hole), 1);
    return address;
  }

  /** Empties the free lists into holes as large as the neighbourhood allows. */
  private mergeFree(): void {
    const blocks = [...this.holes];
    for (const [bytes, addresses] of this.freeLists) for (const address of addresses) blocks.push({ address, bytes });
    this.freeLists.clear();
    blocks.sort((a, b) => a.address - b.address);
    this.holes = [];
    for (const block of blocks) {
      const last = this.holes[this.holes.length - 1];
      if (last && last.address + last.bytes === block.address) last.bytes += block.bytes;
      else this.holes.push(block);
    }
    const last = this.holes[this.holes.length - 1];
    if (last && last.address + last.bytes === this.top) {
      this.top = last.address;
      this.holes.pop();
    }
  }

  /** Grows by at least `bytes`: by an eighth of the present size where the limit and the engine allow it. */
  private grow(bytes: number): boolean {
    const present = this.memory.buffer.byteLength;
    const needed = Math.ceil(bytes / PAGE);
    const generous = Math.min(Math.floor((this.maximumBytes - present) / PAGE), Math.max(needed, present >>> 19));
    for (const pages of generous > needed ? [generous, needed] : [needed]) {
      try {
        this.memory.grow(pages);
        return true;
      } catch {
        // Refused: try the smaller step, then report.
      }
    }
    return false;
  }

  private outOfMemory(bytes: number): OutOfMemoryError {
    return new OutOfMemoryError(
      `memory: a tensor of ${showBytes(bytes)} must fit, got ${showBytes(this.liveBytes)} live of ${showBytes(this.maximumBytes)} allowed; release tensors (scope, dispose) or raise init({ maximumMemoryMiB })`,
    );
  }
}

let heap: Heap | null = null;

/** Counts the memories attached so far: an address is only good for the memory it came from. */
export let memoryGeneration = 0;

function current(): Heap {
  if (!heap)
    throw new Error("wasmgrad: the library must be initialized before any operation; call `await init()` first");
  return heap;
}

/** `bytes` rounded up to 64, then to a quarter of its octave: at most a quarter is wasted. */
function sizeClass(bytes: number): number {
  const units = Math.max(1, Math.ceil(bytes / ALIGNMENT));
  const step = Math.max(0, 29 - Math.clz32(units));
  return (((units + (1 << step) - 1) >>> step) << step) * ALIGNMENT;
}

/** Below this, a memory is not worth having. */
const LEAST_PAGES = 1024;

/**
 * A memory for one instance, with the limit the user set or, where the engine refuses that much (iOS does), the largest
 * of its halves that it allows; the engine's error where it allows none of 64 MiB.
 */
export function createMemory(
  maximumMiB: number,
  shared: boolean,
): { memory: WebAssembly.Memory; maximumMiB: number } | Error {
  for (let maximum = Math.min(MAX_PAGES, Math.floor((maximumMiB * 1024 * 1024) / PAGE)); ; maximum >>>= 1) {
    try {
      const memory = new WebAssembly.Memory({ initial: 16, maximum, shared });
      return { memory, maximumMiB: (maximum * PAGE) / 1024 / 1024 };
    } catch (error) {
      if (maximum >>> 1 < LEAST_PAGES) return error as Error;
    }
  }
}

/** Takes ownership of all memory from `heapBase` on. */
export function attachMemory(memory: WebAssembly.Memory, heapBase: number, maximumMiB: number): void {
  memoryGeneration++;
  heap = new Heap(memory, heapBase, maximumMiB * 1024 * 1024);
}

export function detachMemory(): void {
  memoryGeneration++;
  heap = null;
  workspaceBlock = null;
  scratchBytes = 0;
}

/** `bytes` of uninitialized memory, aligned to 64 bytes. */
export function allocate(bytes: number): Ptr {
  return toPtr(current().allocate(bytes));
}

/** Gives back what `allocate(bytes)` returned. */
export function release(ptr: Ptr, bytes: number): void {
  heap?.release(toAddress(ptr), bytes);
}

/** What is allocated for calls and not for tensors. */
let scratchBytes = 0;

/** Memory that calls use, which does not count as live. */
export const scratchMemory = {
  allocate(bytes: number): Ptr {
    const ptr = allocate(bytes);
    scratchBytes += sizeClass(bytes);
    return ptr;
  },
  release(ptr: Ptr, bytes: number): void {
    if (!heap) return;
    release(ptr, bytes);
    scratchBytes -= sizeClass(bytes);
  },
};

let workspaceBlock: { ptr: Ptr; bytes: number } | null = null;

/** Scratch memory for one kernel call: its contents are undefined at the next call. */
export function workspace(bytes: number): Ptr {
  if (!workspaceBlock || workspaceBlock.bytes < bytes) {
    const ptr = scratchMemory.allocate(bytes);
    if (workspaceBlock) scratchMemory.release(workspaceBlock.ptr, workspaceBlock.bytes);
    workspaceBlock = { ptr, bytes };
  }
  return workspaceBlock.ptr;
}

/** No address: kernels take it for an absent operand. */
export const nullPtr: Ptr = 0 as unknown as Ptr;

export function offsetBy(ptr: Ptr, bytes: number): Ptr {
  return ((ptr as unknown as number) + bytes) as unknown as Ptr;
}

function toPtr(address: number): Ptr {
  return address as unknown as Ptr;
}

export function toAddress(ptr: Ptr): number {
  return (ptr as unknown as number) >>> 0;
}

/** Views are made for one access and never kept: growing the memory detaches them. */
export function float32View(ptr: Ptr, length: number): Float32Array {
  return new Float32Array(current().memory.buffer, toAddress(ptr), length);
}

export function int32View(ptr: Ptr, length: number): Int32Array {
  return new Int32Array(current().memory.buffer, toAddress(ptr), length);
}

export function uint8View(ptr: Ptr, length: number): Uint8Array {
  return new Uint8Array(current().memory.buffer, toAddress(ptr), length);
}

/** In bytes: held by tensors now, by tensors and scratch at the most so far, and by the WebAssembly memory in all. */
export function heapStats(): { liveBytes: number; peakBytes: number; reservedBytes: number } {
  const { liveBytes, peakBytes, memory } = current();
  return { liveBytes: liveBytes - scratchBytes, peakBytes, reservedBytes: memory.buffer.byteLength };
}
