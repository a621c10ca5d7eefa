/** Numbers that every library computes alike, in JavaScript and in peers/torch.py: a hash of a seed and an index. */

/** 32 bits for element `i` of stream `seed`: the finalizer of MurmurHash3. */
function hash(seed: number, i: number): number {
  let h = (i + Math.imul(seed, 0x9e3779b9)) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** `n` floats from −bound to bound, of 24 random bits each. */
export function uniform(seed: number, n: number, bound = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: n }, (_, i) => ((hash(seed, i) >>> 8) / 0x800000 - 1) * bound);
}

/** `n` whole numbers from 0 to below `limit`. */
export function integers(seed: number, n: number, limit: number): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: n }, (_, i) => hash(seed, i) % limit);
}
