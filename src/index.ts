import "./methods.js";
import * as data from "./data/index.js";
import * as evolve from "./evolve/index.js";
import { grad } from "./graph.js";
import * as io from "./io/index.js";
import * as lora from "./lora/index.js";
import * as models from "./models/index.js";
import * as nn from "./nn/index.js";
import * as F from "./ops/index.js";
import * as optim from "./optim/index.js";
import * as quant from "./quant/index.js";
import { liveTensorCount } from "./tensor.js";
import * as train from "./train/index.js";
import { heapStats } from "./wasm/memory.js";

export {
  OutOfMemoryError,
  ShapeError,
  StateDictError,
  UnsupportedError,
  UseAfterFreeError,
  WorkerLostError,
} from "./errors.js";
export { type BackwardOptions, backward, noGrad, record, type Stretch, type Vjp, type Vjps } from "./graph.js";
export {
  arange,
  eye,
  full,
  linspace,
  ones,
  onesLike,
  type RandomOptions,
  rand,
  randint,
  randn,
  randnLike,
  type TensorData,
  type TensorOptions,
  tensor,
  zeros,
  zerosLike,
} from "./ops/create.js";
export { getRngState, manualSeed, type RngState, setRngState } from "./random.js";
export { type InitOptions, init, type RuntimeInfo, runtimeInfo, shutdown, version } from "./runtime.js";
export { keep, openScope, type Scope, scope } from "./scope.js";
export type { Dim, Shape } from "./shape.js";
export type { StateDict } from "./stateDict.js";
export type { DType } from "./storage.js";
export { type NestedArray, Tensor, type TypedArray } from "./tensor.js";
export { data, evolve, F, io, lora, models, nn, optim, quant, train };

export const autograd: { grad: typeof grad } = { grad };

export interface MemoryStats {
  /** Held by tensors and graphs now. */
  liveBytes: number;
  /** The most that was held so far, the kernels' scratch included. */
  peakBytes: number;
  /** The size of the WebAssembly memory. */
  reservedBytes: number;
  /** Tensor handles not yet released. */
  liveTensors: number;
}

export function memoryStats(): MemoryStats {
  return { ...heapStats(), liveTensors: liveTensorCount() };
}
