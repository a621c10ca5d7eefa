/** MNIST's own file format: IDX, big-endian. Source: https://yann.lecun.com/exdb/mnist/ */
import { readFileSync } from "node:fs";

/** Unsigned bytes with their shape. */
export function readIdx(path) {
  const bytes = readFileSync(path);
  const rank = bytes[3];
  if (bytes.readUInt16BE(0) !== 0 || bytes[2] !== 0x08) throw new Error(`${path}: must be an IDX file of bytes`);
  const shape = Array.from({ length: rank }, (_, d) => bytes.readUInt32BE(4 + 4 * d));
  const values = new Uint8Array(bytes.subarray(4 + 4 * rank));
  if (values.length !== shape.reduce((a, b) => a * b, 1)) {
    throw new Error(`${path}: shape [${shape}] must fill the file, got ${values.length} bytes`);
  }
  return { shape, values };
}
