/** Errors a caller can react to. Every other error is a plain `Error` of the form `op: what must hold, got what`. */

/** Shapes, dimensions or sizes that do not fit the operation. */
export class ShapeError extends Error {
  override readonly name: string = "ShapeError";
}

/** A tensor was used after its scope ended or `dispose()` was called. */
export class UseAfterFreeError extends Error {
  override readonly name: string = "UseAfterFreeError";
}

/** The engine cannot run the kernels: a page can say so, or load something else. */
export class UnsupportedError extends Error {
  override readonly name: string = "UnsupportedError";
}

/** The WebAssembly memory cannot grow to hold a new tensor; every live tensor stays usable. */
export class OutOfMemoryError extends Error {
  override readonly name: string = "OutOfMemoryError";
}

/** A worker of the thread pool died or hangs: the operation that noticed has no result, later ones run on one thread. */
export class WorkerLostError extends Error {
  override readonly name: string = "WorkerLostError";
}

/** A state dict does not fit the module: all missing, unexpected and mis-shaped keys at once. */
export class StateDictError extends Error {
  override readonly name: string = "StateDictError";
}

/** `[2, 3]`, as shapes are written in error messages. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** `1.5 MiB`, as sizes are written in error messages. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** A misspelt option is an error at run time too, where no compiler has looked. */
export function checkOptions(op: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${op}: options must be ${known.join(", ")}, got ${unknown.join(", ")}`);
}
