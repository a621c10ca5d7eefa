/** How tensors look in a console: PyTorch's way, as its users read columns at a glance. */
import type { Tensor } from "./tensor.js";

const SUMMARIZED_ABOVE = 1000;
const LINE = 80;
const DIGITS = 4;
const INDENT = "tensor(".length;

/**
 * `tensor([ 1.5000, -2.0000], shape: [2], dtype: float32)`: columns of one width and one
 * notation, four decimals (none where all are whole), long dimensions shortened in the middle.
 */
export function formatTensor(tensor: Tensor): string {
  const facts = [`shape: [${tensor.shape.join(", ")}]`, `dtype: ${tensor.dtype}`];
  if (tensor.released) return `tensor(released, ${facts.join(", ")})`;
  if (tensor.requiresGrad) facts.push(tensor.node ? `op: ${tensor.op}` : "requiresGrad: true");
  const values = formatValues(tensor);
  const suffix = `${facts.join(", ")})`;
  const lastLine = INDENT + values.length - (values.lastIndexOf("\n") + 1);
  const separator = lastLine + suffix.length > LINE ? `,\n${" ".repeat(INDENT)}` : ", ";
  return `tensor(${values}${separator}${suffix}`;
}

function formatValues(tensor: Tensor): string {
  if (tensor.size === 0) return "[]";
  const data = tensor.data();
  const shorten = tensor.size > SUMMARIZED_ABOVE;
  const indices = tensor.shape.map((extent) => shownIndices(extent, shorten));
  const cells = cellsOf(indices, tensor.shape);
  const show = notation(
    cells.map((at) => data[at]),
    tensor.dtype,
  );
  const width = Math.max(...cells.map((at) => show(data[at]).length));
  const render = (dim: number, start: number): string => {
    if (dim === tensor.ndim) return show(data[start]).padStart(tensor.ndim === 0 ? 0 : width);
    const parts = indices[dim].map((i) => (i === null ? "..." : render(dim + 1, start * tensor.shape[dim] + i)));
    const indent = " ".repeat(INDENT + dim + 1);
    if (dim < tensor.ndim - 1) return `[${parts.join(`,${"\n".repeat(tensor.ndim - 1 - dim)}${indent}`)}]`;
    const perLine = Math.max(1, Math.floor((LINE - indent.length) / (width + 2)));
    return `[${linesOf(parts, perLine).join(`,\n${indent}`)}]`;
  };
  return render(0, 0);
}

/** All indices, or the first and last three with null between. */
function shownIndices(extent: number, shorten: boolean): (number | null)[] {
  if (shorten && extent > 6) return [0, 1, 2, null, extent - 3, extent - 2, extent - 1];
  return Array.from({ length: extent }, (_, i) => i);
}

/** The flat positions of what is shown. */
function cellsOf(indices: readonly (number | null)[][], shape: readonly number[]): number[] {
  return indices.reduce<number[]>(
    (starts, shown, d) => starts.flatMap((start) => shown.flatMap((i) => (i === null ? [] : [start * shape[d] + i]))),
    [0],
  );
}

function linesOf(parts: readonly string[], perLine: number): string[] {
  return Array.from({ length: Math.ceil(parts.length / perLine) }, (_, i) =>
    parts.slice(i * perLine, (i + 1) * perLine).join(", "),
  );
}

/** One notation for all values: whole, with decimals, or with an exponent where decimals would hide digits. */
function notation(values: readonly number[], dtype: string): (value: number) => string {
  if (dtype === "bool") return (value) => String(Boolean(value));
  if (dtype !== "float32") return String;
  const sizes = values.filter((v) => Number.isFinite(v) && v !== 0).map(Math.abs);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const whole = sizes.every(Number.isInteger);
  if (most > 1e8 || (!whole && (most / least > 1000 || least < 1e-4))) {
    return finite((value) => value.toExponential(DIGITS).replace(/e([+-])(\d)$/, "e$10$2"));
  }
  return finite(whole ? (value) => `${value}.` : (value) => value.toFixed(DIGITS));
}

function finite(show: (value: number) => string): (value: number) => string {
  return (value) => {
    if (!Number.isFinite(value)) return String(value).replace("Infinity", "inf").replace("NaN", "nan");
    return Object.is(value, -0) ? `-${show(0)}` : show(value);
  };
}
