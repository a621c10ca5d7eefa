/** How tensors look in a console. */
import type { Tensor } from "./tensor.js";

const EDGE = 3;
const SUMMARIZED_ABOVE = 1000;

/** `tensor([[1, 2.5], [-3, 4]], dtype: float32)`: four decimals, long dimensions shortened in the middle. */
export function formatTensor(tensor: Tensor): string {
  const facts = [`shape: [${tensor.shape.join(", ")}]`, `dtype: ${tensor.dtype}`];
  if (tensor.released) return `tensor(released, ${facts.join(", ")})`;
  if (tensor.requiresGrad) facts.push(tensor.node ? `op: ${tensor.op}` : "requiresGrad: true");
  const shorten = tensor.size > SUMMARIZED_ABOVE;
  return `tensor(${nested([...tensor.data()], tensor, shorten, 0, 0)}, ${facts.join(", ")})`;
}

function nested(data: number[], tensor: Tensor, shorten: boolean, dim: number, start: number): string {
  if (dim === tensor.ndim) return element(data[start], tensor.dtype);
  const extent = tensor.shape[dim];
  const stride = tensor.shape.slice(dim + 1).reduce((product, e) => product * e, 1);
  const parts: string[] = [];
  for (let i = 0; i < extent; i++) {
    if (shorten && extent > 2 * EDGE && i === EDGE) {
      parts.push("…");
      i = extent - EDGE;
    }
    parts.push(nested(data, tensor, shorten, dim + 1, start + i * stride));
  }
  const isRow = dim === tensor.ndim - 1;
  return `[${parts.join(isRow ? ", " : `,${"\n".repeat(tensor.ndim - 1 - dim)}${" ".repeat(8 + dim)}`)}]`;
}

function element(value: number, dtype: string): string {
  if (dtype === "bool") return value ? "true" : "false";
  if (dtype !== "float32" || Number.isInteger(value)) return Object.is(value, -0) ? "-0" : String(value);
  const magnitude = Math.abs(value);
  return magnitude >= 1e-4 && magnitude < 1e6 ? value.toFixed(4) : value.toExponential(4);
}
