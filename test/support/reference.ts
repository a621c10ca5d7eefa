/** Plain float64 arrays for references: written for clarity, independent of the library. */

export interface Nd {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function nd(shape: readonly number[], data: ArrayLike<number>): Nd {
  return { shape, data: Float64Array.from(data) };
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The array whose element at each index is `f(index)`. */
export function build(shape: readonly number[], f: (index: number[]) => number): Nd {
  const data = new Float64Array(size(shape));
  for (let i = 0; i < data.length; i++) data[i] = f(unravel(shape, i));
  return { shape, data };
}

export function unravel(shape: readonly number[], flat: number): number[] {
  const index = new Array<number>(shape.length);
  for (let d = shape.length - 1; d >= 0; d--) {
    index[d] = flat % shape[d];
    flat = Math.floor(flat / shape[d]);
  }
  return index;
}

/** The element at `index`, aligned at the end and repeated along extents of 1, as broadcasting reads it. */
export function at(x: Nd, index: readonly number[]): number {
  let flat = 0;
  for (let d = 0; d < x.shape.length; d++) {
    const i = index[index.length - x.shape.length + d];
    flat = flat * x.shape[d] + (x.shape[d] === 1 ? 0 : i);
  }
  return x.data[flat];
}

export function map(x: Nd, f: (value: number) => number): Nd {
  return { shape: x.shape, data: x.data.map(f) };
}

/** f(a, b) with broadcasting. */
export function zip(a: Nd, b: Nd, f: (a: number, b: number) => number): Nd {
  const ndim = Math.max(a.shape.length, b.shape.length);
  const shape = Array.from({ length: ndim }, (_, d) => {
    const x = a.shape[d - ndim + a.shape.length] ?? 1;
    return x === 1 ? (b.shape[d - ndim + b.shape.length] ?? 1) : x;
  });
  return build(shape, (index) => f(at(a, index), at(b, index)));
}

/** a·b over the last two dimensions, the others broadcast. */
export function matmul(a: Nd, b: Nd): Nd {
  const [m, k] = a.shape.slice(-2);
  const n = b.shape[b.shape.length - 1];
  const stack = (x: Nd): Nd => {
    const shape = x.shape.slice(0, -2);
    return { shape, data: Float64Array.from({ length: size(shape) }, (_, i) => i) };
  };
  const stackOfB = size(b.shape.slice(0, -2));
  const pairs = zip(stack(a), stack(b), (i, j) => i * stackOfB + j);
  const y = new Float64Array(pairs.data.length * m * n);
  pairs.data.forEach((pair, t) => {
    const [fromA, fromB] = [Math.floor(pair / stackOfB) * m * k, (pair % stackOfB) * k * n];
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) sum += a.data[fromA + i * k + p] * b.data[fromB + p * n + j];
        y[(t * m + i) * n + j] = sum;
      }
    }
  });
  return { shape: [...pairs.shape, m, n], data: y };
}

/** Swaps the last two dimensions. */
export function transpose(x: Nd): Nd {
  const swap = (v: readonly number[]) => [...v.slice(0, -2), v[v.length - 1], v[v.length - 2]];
  return build(swap(x.shape), (index) => at(x, swap(index)));
}

/** Uniform in [low, high), the same numbers for the same seed. */
export function random(seed: number, low = -2, high = 2): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return low + ((high - low) * ((t ^ (t >>> 14)) >>> 0)) / 4294967296;
  };
}

/** `index` with another value in place `d`. */
export function replaced(index: readonly number[], d: number, value: number): number[] {
  const at = d < 0 ? d + index.length : d;
  return index.map((v, i) => (i === at ? value : v));
}
