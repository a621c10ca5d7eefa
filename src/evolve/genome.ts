/** An individual's genome: the codes of all parameters, one after the other in a row of bytes. */
import { Conv1D } from "../nn/conv1d.js";
import { Embedding } from "../nn/embedding.js";
import type { Module } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import { keep, scope } from "../scope.js";
import { sizeOf } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { nullPtr, offsetBy, type Ptr, workspace } from "../wasm/memory.js";
import type { EvolvedParameters } from "./parameters.js";

/** The magnitude of the largest code, for every tensor or by its layer's number of inputs and its path. */
export type Scale = number | ((fanIn: number, path: string) => number);

/** A parameter's part in the genome. */
export interface Gene {
  readonly path: string;
  readonly parameter: Parameter;
  /** Where its codes begin, in bytes. */
  readonly offset: number;
  readonly bytes: number;
  readonly scale: number;
}

/** quant.ts's number for sign and exponent, 4 bits. */
const LOG4 = 1;
/** The kernels take rows of whole vectors. */
const ALIGNMENT = 16;

/**
 * Where a model's parameters lie in a genome, packed as `assembly/quant.ts` describes for log4, each from a byte of its
 * own on. Frozen parameters and buffers have no part in it.
 */
export class Genome {
  readonly genes: readonly Gene[];
  /** The length of a row. */
  readonly bytes: number;
  /** How many codes there are. */
  readonly codes: number;
  /** One per gene. */
  private readonly scales: Tensor;

  constructor(parameters: EvolvedParameters, model: Module, scale: Scale) {
    let offset = 0;
    this.genes = parameters.entries.map(([path, parameter]) => {
      const bytes = Math.ceil(parameter.size / 2);
      const gene = { path, parameter, offset, bytes, scale: scaleOf(scale, model, path, parameter) };
      offset += bytes;
      return gene;
    });
    this.bytes = Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
    this.codes = this.genes.reduce((sum, { parameter }) => sum + parameter.size, 0);
    this.scales = scope(() => keep(empty([this.genes.length])));
    this.scales.set(this.genes.map((gene) => gene.scale));
  }

  /** Writes the genome's values into the model. */
  express(row: Ptr): void {
    for (const [i, { parameter }] of this.genes.entries()) {
      this.decode(parameter.ptr, row, i);
      parameter.storage.version++;
    }
  }

  /** Writes the values of gene `i` to `y`. */
  decode(y: Ptr, row: Ptr, i: number): void {
    const { parameter, offset } = this.genes[i];
    const { size } = parameter;
    kernels.dequantize(y, offsetBy(row, offset), offsetBy(this.scales.ptr, 4 * i), nullPtr, 0, size, size, LOG4);
  }

  /** For each parameter the values of all `rows`, stacked: [rows, …]. */
  stack(rows: readonly Ptr[]): Map<Tensor, Tensor> {
    return new Map(
      this.genes.map(({ parameter }, gene) => {
        const stacked = empty([rows.length, ...parameter.shape]);
        for (const [k, row] of rows.entries()) this.decode(offsetBy(stacked.ptr, 4 * k * parameter.size), row, gene);
        return [parameter, stacked];
      }),
    );
  }

  /** Writes the codes nearest to the model's values. */
  encode(row: Ptr): void {
    for (const [i, { parameter, offset }] of this.genes.entries()) {
      const { size } = parameter;
      const codes = workspace(size);
      kernels.quantize(codes, parameter.ptr, offsetBy(this.scales.ptr, 4 * i), nullPtr, size, size, LOG4);
      kernels.packNibbles(offsetBy(row, offset), codes, size);
    }
  }

  dispose(): void {
    this.scales.dispose();
  }
}

function scaleOf(scale: Scale, model: Module, path: string, parameter: Parameter): number {
  const largest = typeof scale === "number" ? scale : scale(fanInOf(model, path, parameter), path);
  if (Number.isFinite(largest) && Math.fround(largest) > 0) return largest;
  throw new Error(`Population: the scale must be finite and above 0, got ${largest} for ${path}`);
}

/**
 * How many numbers each output of the parameter's layer adds up: [out, in, …] has all dimensions but the first, Conv1D's
 * [in, out] the first, an embedding's rows stand alone. A vector counts as its layer's first matrix; norms, which have
 * none, as 1.
 */
function fanInOf(model: Module, path: string, parameter: Parameter): number {
  const layer = layerOf(path);
  const isMatrix = (tensor: Tensor) => tensor.ndim > 1;
  const siblings = [...model.namedParameters()].filter(([other]) => layerOf(other) === layer);
  const matrix = isMatrix(parameter) ? parameter : siblings.find(([, sibling]) => isMatrix(sibling))?.[1];
  const owner = new Map(model.namedModules()).get(layer);
  if (!matrix || owner instanceof Embedding) return 1;
  return owner instanceof Conv1D ? matrix.shape[0] : sizeOf(matrix.shape.slice(1));
}

/** The path of the module whose field it is. */
function layerOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}
