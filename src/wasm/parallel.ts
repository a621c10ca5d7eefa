/**
 * How kernels are cut into chunks for the pool: which extent is cut, and how far each address moves for one unit of it.
 * A kernel's results do not depend on where it is cut (that is what makes it fit for this table), so neither do they on
 * the number of threads.
 */
import { CHUNKS_PER_THREAD, type Chunks, type Kernel } from "./job.js";
import type { KernelParameters, Kernels, Ptr } from "./kernels.gen.js";
import { parameterNames } from "./parameters.gen.js";
import type { Pool } from "./pool.js";

type Name = keyof Kernels;
type Addresses<K extends Name> = {
  [P in keyof KernelParameters[K]]: KernelParameters[K][P] extends Ptr ? P : never;
}[keyof KernelParameters[K]];
type Counts<K extends Name> = Exclude<keyof KernelParameters[K], Addresses<K>> & string;

/** What an address moves by for one unit: bytes times the extents and strides named; 0 where it stays. */
type Move<K extends Name> = 0 | readonly [bytes: number, ...factors: Counts<K>[]];
type Moves<K extends Name> = { readonly [A in Addresses<K>]: Move<K> };

interface Cut<K extends Name> {
  extent: Counts<K>;
  moves: Moves<K>;
  /** The extent is an end, counted from this argument. */
  from?: Counts<K>;
  /** An extent that must be 1. */
  single?: Counts<K>;
  /** Chunks are multiples of so many units. */
  unit?: number;
  /** An unsigned count that grows by one in four units; a call in which it would overflow is not cut. */
  counter?: Counts<K>;
}

interface Split<K extends Name> {
  /** Nanoseconds of one thread: a factor and the extents to multiply it by. */
  cost: readonly [nanoseconds: number, ...extents: Counts<K>[]];
  /** The first that gives every thread a part is taken, else the one of the largest extent. */
  cuts: readonly Cut<K>[];
  /** Chunks for each thread: more balance better, fewer repeat less of what every chunk prepares. */
  chunks?: number;
  /** Scratch memory, of which every thread needs its own: how many bytes a call asks for. */
  scratch?: { address: Addresses<K>; bytes: (kernels: Kernels, get: (count: Counts<K>) => number) => number };
}

type Table = { readonly [K in Name]?: Split<K> };

/** A row of the table whose kernel is only known at run time. */
interface AnySplit {
  cost: readonly [nanoseconds: number, ...extents: string[]];
  cuts: readonly {
    extent: string;
    moves: { readonly [address: string]: 0 | readonly [bytes: number, ...factors: string[]] };
    from?: string;
    single?: string;
    unit?: number;
    counter?: string;
  }[];
  chunks?: number;
  scratch?: { address: string; bytes: (kernels: Kernels, get: (count: string) => number) => number };
}

/** Kernels that have these parameters. */
type With<P extends string> = { [K in Name]: P extends keyof KernelParameters[K] ? K : never }[Name];

function addressesOf(kernel: Name): string[] {
  return parameterNames[kernel].match(/(?<=\*)\w+/g) ?? [];
}

/** Kernels over `n` elements, of which every address holds one of four bytes. */
function elements(nanoseconds: number, ...kernels: With<"n">[]): Table {
  return tableOf(kernels, (kernel) => {
    const moves = Object.fromEntries(addressesOf(kernel).map((name) => [name, [4]]));
    return { cost: [nanoseconds, "n"], cuts: [{ extent: "n", moves, unit: 16 }] };
  });
}

/** Kernels of a and b over [m, n], which have strides; the other addresses are dense. `bytes` is the result's element. */
function pairs(nanoseconds: number, bytes: number, ...kernels: With<"m" | "aRow" | "bCol">[]): Table {
  return tableOf(kernels, (kernel) => {
    const moves = (perRow: string[], a: string, b: string) =>
      Object.fromEntries(
        addressesOf(kernel).map((name, i) => {
          if (name === "a") return [name, [4, a]];
          if (name === "b") return [name, [4, b]];
          return [name, [i === 0 ? bytes : 4, ...perRow]];
        }),
      );
    const rows = { extent: "m", moves: moves(["n"], "aRow", "bRow") };
    const columns = { extent: "n", moves: moves([], "aCol", "bCol"), single: "m", unit: 16 };
    return { cost: [nanoseconds, "m", "n"], cuts: [rows, columns] };
  });
}

/** Reductions of x [outer, n, inner], with strides, to y. */
function reductions(nanoseconds: number, ...kernels: With<"outer" | "xOuter" | "xRow">[]): Table {
  return tableOf(kernels, () => {
    const outer = { extent: "outer", moves: { y: [4, "inner"], x: [4, "xOuter"], work: 0 } };
    const inner = { extent: "inner", moves: { y: [4], x: [4], work: 0 }, single: "outer", unit: 16 };
    return { cost: [nanoseconds, "outer", "n", "inner"], cuts: [outer, inner] };
  });
}

function tableOf(kernels: readonly Name[], split: (kernel: Name) => object): Table {
  return Object.fromEntries(kernels.map((kernel) => [kernel, split(kernel)])) as Table;
}

/** Kernels over [rows, cols]: addresses hold such rows unless `other` says what they hold for each. */
function rows<K extends With<"rows">>(
  kernel: K,
  nanoseconds: number,
  cols: Counts<K>,
  other: { readonly [A in Addresses<K>]?: Move<K> } = {},
): { [_ in K]: Split<K> } {
  const moves = { ...Object.fromEntries(addressesOf(kernel).map((name) => [name, [4, cols]])), ...other };
  const split = { cost: [nanoseconds, "rows", cols], cuts: [{ extent: "rows", moves }] };
  return { [kernel]: split } as unknown as { [_ in K]: Split<K> };
}

/** Sums over the rows of dy and x [rows, cols] to dw [cols]. */
function weightGrads(...kernels: With<"row">[]): Table {
  const moves = { dw: [4], dy: [4], x: [4], rstd: 0, stats: 0 };
  return tableOf(kernels, () => ({ cost: [0.15, "rows", "cols"], cuts: [{ extent: "cols", moves, unit: 16 }] }));
}

/** Kernels over planes: what each address holds for one. */
function planes<K extends With<"planes">>(kernel: K, cost: Split<K>["cost"], moves: Moves<K>): { [_ in K]: Split<K> } {
  const split = { cost, cuts: [{ extent: "planes", moves }] };
  return { [kernel]: split } as unknown as { [_ in K]: Split<K> };
}

/** Kernels that draw one random word for each element: four to a counter. */
function draws(nanoseconds: number, ...kernels: With<"c0">[]): Table {
  return tableOf(kernels, (kernel) => {
    const moves = Object.fromEntries(addressesOf(kernel).map((name) => [name, [4]]));
    return { cost: [nanoseconds, "n"], cuts: [{ extent: "n", moves, unit: 16, counter: "c0" }] };
  });
}

// Nanoseconds are those of tensors in the second-level cache, Xeon at 2.6 GHz (bench/threads).
const table: Table = {
  ...elements(
    0.12,
    ...(["relu", "reluGrad", "relu6", "relu6Grad", "square", "squareGrad", "neg", "abs", "absGrad", "sign"] as const),
    ...(["round", "floor", "ceil", "clamp", "clampGrad", "fill", "scale", "addScaled", "truncate"] as const),
    ...(["toFloat32", "sqrt", "sqrtGrad", "rsqrtGrad", "reciprocal", "reciprocalGrad", "expGrad"] as const),
    ...(["sigmoidGrad", "tanhGrad", "logGrad", "log1pGrad", "expm1Grad", "rsqrt", "hardsigmoid"] as const),
    ...(["hardsigmoidGrad", "hardswish", "hardswishGrad", "smoothL1", "smoothL1Grad"] as const),
    ...(["binaryCrossEntropyGrad", "softThreshold", "penalize"] as const),
  ),
  ...elements(0.4, "sgd", "adagrad", "rmsprop", "adadelta", "adam", "nadam", "lion"),
  ...elements(
    0.7,
    ...(["sigmoid", "tanh", "silu", "siluGrad", "siluMul", "siluMulGrad"] as const),
    ...(["gelu", "geluGrad", "geluTanh", "geluTanhGrad", "geluQuick"] as const),
    ...(["geluQuickGrad", "exp", "log", "erf", "erfGrad", "log1p", "expm1", "softplus", "softplusGrad"] as const),
    ...(["elu", "eluGrad", "mish", "mishGrad", "logSigmoid", "logSigmoidGrad", "binaryCrossEntropy"] as const),
    ...(["binaryCrossEntropyTargetGrad", "logitCrossEntropy", "logitCrossEntropyGrad"] as const),
    ...(["logitCrossEntropyTargetGrad", "klDiv", "klDivTargetGrad"] as const),
  ),
  ...elements(4, "sin", "cos", "sinGrad", "cosGrad"),
  ...elements(9, "normalQuantile"),
  ...draws(2.3, "philox", "uniform", "dropout"),
  ...draws(7, "normal"),
  ...pairs(
    0.15,
    4,
    ...(["add", "sub", "mul", "div", "maximum", "minimum", "equalMask", "prelu", "addInt32", "subInt32"] as const),
    ...(["mulInt32", "maximumInt32", "minimumInt32", "divGrad", "maximumGrad", "minimumGrad"] as const),
    ...(["preluGrad", "where"] as const),
  ),
  ...pairs(0.25, 1, "compare", "compareInt32"),
  ...pairs(12, 4, "pow", "powGrad", "powExponentGrad"),
  copyStrided: {
    cost: [0.15, "rows", "cols"],
    cuts: [
      { extent: "rows", moves: { y: [4, "yRow"], x: [4, "xRow"] }, unit: 16 },
      { extent: "cols", moves: { y: [4, "yCol"], x: [4, "xCol"] }, unit: 16 },
    ],
  },
  maskedFill: {
    cost: [0.3, "n"],
    cuts: [{ extent: "n", moves: { y: [4], x: [4], mask: [1], value: 0 }, unit: 64 }],
  },

  ...reductions(0.1, "amax", "amin", "sumInt32"),
  ...reductions(0.3, "argmax", "argmin"),
  ...reductions(0.6, "prod"),
  sum: {
    cost: [0.07, "outer", "n", "inner"],
    cuts: [
      { extent: "outer", moves: { y: [4, "inner"], work: 0, x: [4, "xOuter"] } },
      { extent: "inner", moves: { y: [4], work: 0, x: [4] }, single: "outer", unit: 16 },
    ],
    scratch: { address: "work", bytes: () => 8192 },
  },
  ...tableOf(["sumBlocks", "sumBlocksOfSquares"], () => ({
    cost: [0.1, "n"],
    cuts: [{ extent: "n", moves: { parts: [8 / 512], x: [4] }, unit: 512 }],
  })),
  ...rows("softmax", 0.6, "cols"),
  ...rows("softmaxGrad", 0.3, "cols"),
  ...rows("logSoftmax", 0.65, "cols"),
  ...rows("logSoftmaxGrad", 0.8, "cols"),
  ...rows("rmsNorm", 0.2, "cols", { rstd: [4], weight: 0 }),
  ...rows("rmsNormGrad", 0.4, "cols", { rstd: [4], weight: 0 }),
  ...rows("layerNorm", 0.3, "cols", { stats: [12], weight: 0, bias: 0 }),
  ...rows("layerNormGrad", 0.35, "cols", { stats: [12], weight: 0 }),
  ...weightGrads("rmsNormWeightGrad", "layerNormWeightGrad"),
  ...rows("variance", 0.3, "n", { y: [4] }),
  ...rows("varianceGrad", 0.8, "n", { dy: [4] }),
  ...rows("stdGrad", 0.8, "n", { dy: [4], y: [4] }),
  ...rows("vectorNorm", 0.2, "n", { y: [4] }),
  ...rows("vectorNormGrad", 0.5, "n", { dy: [4], y: [4] }),
  ...rows("prodGrad", 2, "n", { dy: [4] }),
  ...rows("lstm", 4, "cols", { gates: [16, "cols"] }),
  ...rows("lstmGrad", 4, "cols", { dgates: [16, "cols"], gates: [16, "cols"] }),
  ...rows("gru", 4, "cols", { gates: [12, "cols"], hidden: [12, "cols"] }),
  ...rows("gruGrad", 4, "cols", {
    dgates: [12, "cols"],
    dhidden: [12, "cols"],
    gates: [12, "cols"],
    hidden: [12, "cols"],
  }),
  ...rows("crossEntropy", 0.8, "classes", { loss: [4], shift: [8], targets: [4] }),
  ...rows("crossEntropyGrad", 0.8, "classes", { dloss: [4, "dlossRow"], targets: [4], shift: [8] }),
  ...rows("weightedCrossEntropyGrad", 0.8, "classes", { dloss: [4, "dlossRow"], targets: [4], weight: 0, shift: [8] }),
  argsort: {
    cost: [120, "rows", "cols"],
    cuts: [{ extent: "rows", moves: { index: [4, "cols"], work: 0, x: [4, "cols"] } }],
    scratch: { address: "work", bytes: (_, get) => 16 * get("cols") },
  },
  cumsum: {
    cost: [0.6, "outer", "n", "inner"],
    cuts: [{ extent: "outer", moves: { y: [4, "n", "inner"], x: [4, "n", "inner"] } }],
  },
  cumsumGrad: {
    cost: [0.6, "outer", "n", "inner"],
    cuts: [{ extent: "outer", moves: { dx: [4, "n", "inner"], dy: [4, "n", "inner"] } }],
  },

  matmul: {
    cost: [0.034, "batch", "m", "k", "n"],
    cuts: [
      { extent: "batch", moves: { c: [4, "cBatch"], a: [4, "aBatch"], b: [4, "bBatch"], bias: 0, work: 0 } },
      { extent: "m", moves: { c: [4, "cRow"], a: [4, "aRow"], b: 0, bias: 0, work: 0 }, unit: 4 },
      { extent: "n", moves: { c: [4], a: 0, b: [4, "bCol"], bias: [4], work: 0 }, unit: 48 },
    ],
    chunks: 1,
    scratch: { address: "work", bytes: (kernels, get) => kernels.matmulWorkspace(get("m"), get("k"), get("n")) },
  },
  matmulCodes: {
    cost: [0.02, "m", "k", "n"],
    cuts: [
      {
        extent: "m",
        moves: { c: [4, "cRow"], a: [4, "aRow"], codes: 0, scales: 0, extra: 0, bias: 0, work: 0 },
        unit: 4,
      },
    ],
    chunks: 1,
    scratch: { address: "work", bytes: (kernels, get) => kernels.matmulCodesWorkspace(get("m"), get("k"), get("n")) },
  },
  attention: {
    cost: [0.05, "end", "tq", "tk", "d"],
    cuts: [{ extent: "end", from: "begin", moves: { y: 0, lse: 0, q: 0, k: 0, v: 0, mask: 0, work: 0 } }],
    scratch: { address: "work", bytes: (kernels, get) => kernels.attentionWorkspace(get("tk"), get("d"), get("e")) },
  },
  attentionGrad: {
    cost: [0.12, "end", "tq", "tk", "d"],
    cuts: [
      {
        extent: "end",
        from: "begin",
        moves: { dq: 0, dk: 0, dv: 0, dy: 0, y: 0, lse: 0, q: 0, k: 0, v: 0, mask: 0, work: 0 },
      },
    ],
    scratch: {
      address: "work",
      bytes: (kernels, get) =>
        kernels.attentionGradWorkspace(get("heads") / get("kvHeads"), get("tq"), get("d"), get("e")),
    },
  },
  rotary: {
    cost: [0.3, "batches", "heads", "rows", "d"],
    cuts: [
      {
        extent: "batches",
        moves: { y: [4, "yBatch"], x: [4, "xBatch"], cos: 0, sin: 0, positions: [4, "positionBatch"] },
      },
      { extent: "heads", moves: { y: [4, "yHead"], x: [4, "xHead"], cos: 0, sin: 0, positions: 0 } },
    ],
  },
  embedding: {
    cost: [0.3, "n", "dim"],
    cuts: [{ extent: "n", moves: { y: [4, "dim"], weight: 0, ids: [4] } }],
  },
  indexSelect: {
    cost: [0.3, "outer", "k", "inner"],
    cuts: [
      { extent: "outer", moves: { y: [4, "k", "inner"], x: [4, "n", "inner"], index: 0 } },
      { extent: "k", moves: { y: [4, "inner"], x: 0, index: [4] }, single: "outer" },
    ],
  },
  gather: {
    cost: [1, "outer", "k", "inner"],
    cuts: [
      { extent: "outer", moves: { y: [4, "k", "inner"], x: [4, "n", "inner"], index: [4, "k", "inner"] } },
      { extent: "k", moves: { y: [4, "inner"], x: 0, index: [4, "inner"] }, single: "outer" },
    ],
  },

  ...planes("im2col", [0.4, "planes", "kernelH", "kernelW", "outH", "outW"], {
    patches: [4, "kernelH", "kernelW", "outH", "outW"],
    x: [4, "height", "width"],
  }),
  ...planes("col2im", [0.4, "planes", "kernelH", "kernelW", "outH", "outW"], {
    dx: [4, "height", "width"],
    dpatches: [4, "kernelH", "kernelW", "outH", "outW"],
  }),
  ...planes("averagePool", [1, "planes", "height", "width"], {
    y: [4, "outH", "outW"],
    x: [4, "height", "width"],
    rowWindows: 0,
    colWindows: 0,
  }),
  ...planes("averagePoolGrad", [1, "planes", "height", "width"], {
    dx: [4, "height", "width"],
    dy: [4, "outH", "outW"],
    rowWindows: 0,
    colWindows: 0,
  }),
  ...planes("maxPool", [2, "planes", "height", "width"], {
    y: [4, "outH", "outW"],
    indices: [4, "outH", "outW"],
    x: [4, "height", "width"],
    rowWindows: 0,
    colWindows: 0,
  }),
  ...planes("maxPoolGrad", [1, "planes", "count"], { dx: [4, "size"], dy: [4, "count"], indices: [4, "count"] }),
  ...planes("bilinear", [3, "planes", "outH", "outW"], {
    y: [4, "outH", "outW"],
    x: [4, "height", "width"],
    rowPoints: 0,
    colPoints: 0,
  }),
  ...planes("bilinearGrad", [3, "planes", "outH", "outW"], {
    dx: [4, "height", "width"],
    dy: [4, "outH", "outW"],
    rowPoints: 0,
    colPoints: 0,
  }),
  batchNormStats: {
    cost: [0.5, "images", "channels", "pixels"],
    cuts: [{ extent: "channels", moves: { stats: [12], moments: [16], x: [4, "pixels"] } }],
  },
  batchNorm: {
    cost: [0.3, "images", "channels", "pixels"],
    cuts: [
      {
        extent: "images",
        moves: { y: [4, "channels", "pixels"], x: [4, "channels", "pixels"], weight: 0, bias: 0, stats: 0 },
      },
      {
        extent: "channels",
        moves: { y: [4, "pixels"], x: [4, "pixels"], weight: [4], bias: [4], stats: [12] },
        single: "images",
      },
    ],
  },
  batchNormAffineGrad: {
    cost: [0.8, "images", "channels", "pixels"],
    cuts: [
      {
        extent: "channels",
        moves: { dweight: [4], dbias: [4], dy: [4, "pixels"], x: [4, "pixels"], stats: [12] },
      },
    ],
  },
  batchNormGrad: {
    cost: [0.4, "images", "channels", "pixels"],
    cuts: [
      {
        extent: "images",
        moves: {
          dx: [4, "channels", "pixels"],
          dy: [4, "channels", "pixels"],
          x: [4, "channels", "pixels"],
          weight: 0,
          stats: 0,
          dweight: 0,
          dbias: 0,
        },
      },
      {
        extent: "channels",
        moves: {
          dx: [4, "pixels"],
          dy: [4, "pixels"],
          x: [4, "pixels"],
          weight: [4],
          stats: [12],
          dweight: [4],
          dbias: [4],
        },
        single: "images",
      },
    ],
  },
};

/** Jobs name a kernel by its place in this list. */
export const kernelNames = Object.keys(parameterNames) as readonly Name[];

/** From which size on a call is cut, and how finely; tests and benchmarks change it. */
export const grain: {
  /** Nanoseconds of work below which waking the others does not pay. */
  least: number;
  /** Nanoseconds of work that a chunk should have. */
  chunk: number;
} = { least: 5_000, chunk: 2_500 };

/** The kernels, with those of the table cut into chunks for `pool` where that pays. */
export function parallelKernels(kernels: Kernels, pool: Pool): Kernels {
  const parallel: Record<string, unknown> = { ...kernels };
  for (const [name, split] of Object.entries(table as unknown as Record<string, AnySplit>)) {
    const call = kernels[name as Name] as Kernel;
    let planned: Plan | undefined; // by the first call: all of them take init 3 ms (bench/startup)
    parallel[name] = (...args: number[]) => {
      planned ??= plan(name as Name, split, kernels);
      const cost = planned.cost(args);
      if (cost < grain.least) return call(...args);
      const chunks = planned.chunks(args, pool.threads, grain.chunk);
      return chunks ? pool.run(planned.kernel, args, chunks, cost, planned.scratchBytes(args)) : call(...args);
    };
  }
  return parallel as Kernels;
}

/** A row of the table with names resolved to the places of arguments. */
interface Plan {
  /** Its place in `kernelNames`. */
  kernel: number;
  cost(args: readonly number[]): number;
  chunks(args: readonly number[], threads: number, grain: number): Chunks | undefined;
  scratchBytes(args: readonly number[]): number;
}

interface ResolvedCut extends Chunks {
  unit: number;
  single: number;
  counter: number;
  moves: { place: number; bytes: number; factors: number[] }[];
}

function plan(name: Name, split: AnySplit, kernels: Kernels): Plan {
  const names = parameterNames[name].replaceAll("*", "").split(" ");
  const place = (parameter: string | undefined) => {
    if (parameter === undefined) return -1;
    const found = names.indexOf(parameter);
    if (found < 0) throw new Error(`internal: ${name} must have the parameter ${parameter}, got ${names}`);
    return found;
  };
  const [nanoseconds, ...extents] = split.cost;
  const factors = extents.map(place);
  const scratch = place(split.scratch?.address);
  const cuts = split.cuts.map(
    (cut): ResolvedCut => ({
      extent: place(cut.extent),
      start: place(cut.from),
      single: place(cut.single),
      counter: place(cut.counter),
      unit: cut.unit ?? 1,
      scratch,
      total: 0,
      size: 0,
      steps: new Float64Array(names.length),
      moves: Object.entries(cut.moves).flatMap(([address, move]) => {
        if (move === 0 || !names.includes(address)) return [];
        const [bytes, ...factors] = move;
        return [{ place: place(address), bytes, factors: factors.map(place) }];
      }),
    }),
  );

  const product = (start: number, places: readonly number[], args: readonly number[]) => {
    let result = start;
    for (const i of places) result *= args[i];
    return result;
  };
  const cost = (args: readonly number[]) => product(nanoseconds, factors, args);
  const totalOf = (cut: ResolvedCut, args: readonly number[]) =>
    args[cut.extent] - (cut.start < 0 ? 0 : args[cut.start]);
  const applies = (cut: ResolvedCut, args: readonly number[]) =>
    (cut.single < 0 || args[cut.single] === 1) &&
    (cut.counter < 0 || (args[cut.counter] >>> 0) + args[cut.extent] / 4 < 4294967296);

  const choose = (args: readonly number[], threads: number) => {
    let best: ResolvedCut | undefined;
    for (const cut of cuts) {
      if (!applies(cut, args)) continue;
      if (best && totalOf(best, args) >= Math.max(threads, 1)) break;
      if (!best || totalOf(cut, args) > totalOf(best, args)) best = cut;
    }
    return best;
  };

  return {
    kernel: kernelNames.indexOf(name),
    cost,
    scratchBytes: (args) => split.scratch?.bytes(kernels, (count) => args[place(count)]) ?? 0,
    chunks(args, threads, grain) {
      const cut = choose(args, threads);
      if (!cut) return undefined;
      const total = totalOf(cut, args);
      // As many for each thread: with one more for some, the others would wait.
      const each = Math.min(split.chunks ?? CHUNKS_PER_THREAD, Math.max(1, Math.floor(cost(args) / grain / threads)));
      const size = Math.ceil(total / (threads * each) / cut.unit) * cut.unit;
      if (!(size < total)) return undefined;
      cut.total = total;
      cut.size = size;
      for (const { place, bytes, factors } of cut.moves) {
        cut.steps[place] = args[place] === 0 ? 0 : size * product(bytes, factors, args);
      }
      if (cut.start >= 0) cut.steps[cut.start] = size;
      if (cut.counter >= 0) cut.steps[cut.counter] = size / 4;
      return cut;
    },
  };
}
