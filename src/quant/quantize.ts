/** Tensors as codes of 4 and 8 bits with scales, and back. */
import { dense } from "../copy.js";
import { checkOptions } from "../errors.js";
import { scope } from "../scope.js";
import { type Shape, sizeOf } from "../shape.js";
import { bytesPerElement } from "../storage.js";
import { empty, type Tensor } from "../tensor.js";
import { kernels } from "../wasm/kernels.js";
import { float32View, nullPtr, type Ptr, uint8View } from "../wasm/memory.js";
import { type Scheme, type SchemeName, schemeOf } from "./scheme.js";

/** A tensor in codes. A plain object: the scope it is returned from hands its tensors on. */
export interface QuantizedTensor {
  readonly scheme: Scheme;
  readonly shape: Shape;
  /** Elements, in row-major order, that share a scale. */
  readonly blockSize: number;
  /** uint8: codes in row-major order, those of 4 bits two to a byte, the first in the upper half. */
  readonly codes: Tensor;
  /** One for each block: float32, or for nf4 uint8 codes of them. */
  readonly scales: Tensor;
  /** int4: uint8 zero points, one for each block. nf4: float32, the scales' mean, then the range of each 256 of them. */
  readonly extra: Tensor | null;
}

export interface QuantizeOptions {
  /** Elements that share a scale, counted in row-major order; they need not divide the tensor. */
  blockSize?: number;
  /** log4: the greatest magnitude of a code, for all blocks, instead of each block's own. */
  scale?: number;
}

/**
 * The codes of a float32 tensor of any shape, and their scales.
 * Errors: a value that is not finite, a block size that is no whole number from 1.
 */
export function quantize(t: Tensor, scheme: Scheme | SchemeName, options: QuantizeOptions = {}): QuantizedTensor {
  checkOptions("quantize", options, ["blockSize", "scale"]);
  const chosen = schemeOf("quantize", scheme);
  const blockSize = blockSizeFor(chosen, t.shape, options.blockSize);
  if (t.dtype !== "float32") throw new Error(`quantize: the tensor must be "float32", got "${t.dtype}"`);
  checkScale(chosen, options.scale);
  return scope(() => {
    const x = dense(t);
    const { least, greatest } = boundsOf(x, blockSize);
    const blocks = least.length;
    const scales = empty([blocks]);
    const extra = chosen.name === "int4" ? empty([blocks], "uint8") : null;
    if (chosen.name === "int4") setAffine(scales, extra as Tensor, least, greatest);
    else setSymmetric(scales, least, greatest, chosen, options.scale);
    const codes = empty([x.size], "uint8");
    kernels.quantize(codes.ptr, x.ptr, scales.ptr, extra?.ptr ?? nullPtr, x.size, blockSize, chosen.id);
    const whole = { scheme: chosen, shape: t.shape, blockSize, scales, extra, codes };
    const result = chosen.bits === 4 ? { ...whole, codes: packed(codes) } : whole;
    return chosen.name === "nf4" ? { ...result, ...nested(scales) } : result;
  });
}

/** The float32 tensor that the codes stand for. */
export function dequantize(q: QuantizedTensor): Tensor {
  const y = empty(q.shape);
  const { codes, scales, extra } = addressesOf(q);
  kernels.dequantize(y.ptr, codes, scales, extra, 0, y.size, q.blockSize, q.scheme.id);
  return y;
}

/** What its tensors take. */
export function bytesOf({ codes, scales, extra }: QuantizedTensor): number {
  return [codes, scales, extra].reduce((sum, t) => sum + (t ? t.size * bytesPerElement(t.dtype) : 0), 0);
}

/** @internal */
export function addressesOf({ codes, scales, extra }: QuantizedTensor): { codes: Ptr; scales: Ptr; extra: Ptr } {
  return { codes: codes.ptr, scales: scales.ptr, extra: extra?.ptr ?? nullPtr };
}

function blockSizeFor(scheme: Scheme, shape: Shape, given: number | undefined): number {
  if (given === undefined)
    return scheme.blockSize === "row" ? Math.max(shape[shape.length - 1] ?? 1, 1) : scheme.blockSize;
  if (!(Number.isInteger(given) && given >= 1 && given <= 0x7fffffff)) {
    throw new Error(`quantize: blockSize must be a whole number from 1, got ${given}`);
  }
  return given;
}

function checkScale({ name }: Scheme, scale: number | undefined): void {
  if (scale === undefined) return;
  if (name !== "log4") throw new Error(`quantize: a scale must be given for log4 only, got ${scale} for ${name}`);
  if (!(scale > 0 && scale < Infinity)) throw new Error(`quantize: scale must be above 0 and finite, got ${scale}`);
}

/** The bounds of every block, 0 included. */
function boundsOf(x: Tensor, blockSize: number): { least: Float32Array; greatest: Float32Array } {
  const blocks = Math.ceil(x.size / blockSize);
  const bounds = empty([2, blocks]);
  const greatest = empty([blocks]);
  kernels.blockBounds(bounds.ptr, greatest.ptr, x.ptr, x.size, blockSize);
  const result = { least: float32View(bounds.ptr, blocks).slice(), greatest: greatest.data() };
  const wrong = result.least.findIndex((low, b) => !(Number.isFinite(low) && Number.isFinite(result.greatest[b])));
  if (wrong >= 0) {
    const at = float32View(x.ptr, x.size).findIndex((value) => !Number.isFinite(value));
    throw new Error(`quantize: values must be finite, got ${float32View(x.ptr, x.size)[at]} at ${at}`);
  }
  return result;
}

function setSymmetric(
  scales: Tensor,
  least: Float32Array,
  greatest: Float32Array,
  { bits }: Scheme,
  scale?: number,
): void {
  const most = bits === 8 ? 127 : 1;
  scales.set(least.map((low, b) => scale ?? Math.max(-low, greatest[b]) / most));
}

/** scale = (greatest − least) / 15 and zero = −least / scale, a whole number. */
function setAffine(scales: Tensor, zeros: Tensor, least: Float32Array, greatest: Float32Array): void {
  const steps = least.map((low, b) => (greatest[b] - low) / 15);
  scales.set(steps);
  zeros.set(Uint8Array.from(steps, (step, b) => (step > 0 ? Math.round(-least[b] / step) : 0)));
}

function packed(codes: Tensor): Tensor {
  const bytes = empty([Math.ceil(codes.size / 2)], "uint8");
  kernels.packNibbles(bytes.ptr, codes.ptr, codes.size);
  return bytes;
}

function nested(scales: Tensor): { scales: Tensor; extra: Tensor } {
  const codes = empty(scales.shape, "uint8");
  const extra = empty([1 + Math.ceil(scales.size / 256)]);
  kernels.quantizeScales(codes.ptr, extra.ptr, scales.ptr, scales.size);
  return { scales: codes, extra };
}

/** The code of every element, one to a byte; int8's in two's complement. */
export function unpackCodes({ scheme, shape, codes }: QuantizedTensor): Uint8Array<ArrayBuffer> {
  if (scheme.bits === 8) return codes.data();
  return scope(() => {
    const bytes = empty([sizeOf(shape)], "uint8");
    kernels.unpackNibbles(bytes.ptr, codes.ptr, bytes.size);
    return uint8View(bytes.ptr, bytes.size).slice();
  });
}
