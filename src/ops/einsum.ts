/** Products named by their indices. */
import { ShapeError, showShape } from "../errors.js";
import { record } from "../graph.js";
import { scope } from "../scope.js";
import { sizeOf } from "../shape.js";
import { alias, type Tensor } from "../tensor.js";
import { mul } from "./binary.js";
import { checkDtype } from "./dtype.js";
import { matmul } from "./matmul.js";
import { sum } from "./reduce.js";
import { permute, placed, reshape, unsqueeze } from "./view.js";

/** y[i, j] = a[i] · b[j] for vectors a and b */
export function outer(a: Tensor, b: Tensor): Tensor {
  if (a.ndim !== 1 || b.ndim !== 1)
    throw new ShapeError(
      `outer: operands must have one dimension, got ${showShape(a.shape)} and ${showShape(b.shape)}`,
    );
  return scope(() => mul(unsqueeze(a, 1), b));
}

/**
 * Sums of products in Einstein's notation: `einsum("bij,bjk->bik", a, b)`. One letter names one dimension; an index that
 * the result lacks is summed over, one that an operand repeats takes its diagonal, "..." stands for the dimensions
 * without a letter, which broadcast. Without "->" the result has the letters that occur once, in alphabetical order.
 *
 * Operands are multiplied from left to right, each product as one (batched) matrix product.
 * Source: torch.einsum
 */
export function einsum(spec: string, ...operands: readonly Tensor[]): Tensor {
  for (const x of operands) checkDtype("einsum", "operands", x, "float32");
  const { inputs, output } = parse(spec, operands);
  const extents = extentsOf(spec, inputs, operands);
  return scope(() => {
    const terms = operands.map((x, i) => withoutOnes(diagonal(x, inputs[i]), extents));
    const product = terms.reduce((a, b, i) => {
      const later = new Set([...output, ...terms.slice(i + 1).flatMap(({ labels }) => labels)]);
      return multiply(a, b, later);
    });
    const { x, labels } = summed(product, (label) => output.includes(label));
    const order = output.filter((label) => labels.includes(label)).map((label) => labels.indexOf(label));
    return reshape(
      permute(x, order),
      output.map((label) => extents.get(label) as number),
    );
  });
}

/** A tensor with a name for each dimension: a letter, or a number for those that "..." stands for. */
interface Term {
  x: Tensor;
  labels: readonly string[];
}

/** a · b, summed over what both share and nothing `later` reads. */
function multiply(left: Term, right: Term, later: ReadonlySet<string>): Term {
  const a = summed(left, (label) => right.labels.includes(label) || later.has(label));
  const b = summed(right, (label) => left.labels.includes(label) || later.has(label));
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => later.has(label));
  const contracted = shared.filter((label) => !later.has(label));
  const rows = a.labels.filter((label) => !shared.includes(label));
  const cols = b.labels.filter((label) => !shared.includes(label));
  const [B, M, K, N] = [sizes(a, batch), sizes(a, rows), sizes(a, contracted), sizes(b, cols)];
  const ones = (shape: readonly number[]) => shape.map(() => 1);
  const labels = [...batch, ...rows, ...cols];
  const [p, q] = [ordered(a, [...batch, ...rows, ...contracted]), ordered(b, [...batch, ...contracted, ...cols])];
  if (contracted.length === 0) {
    return { x: mul(reshape(p, [...B, ...M, ...ones(N)]), reshape(q, [...B, ...ones(M), ...N])), labels };
  }
  const lead = batch.length > 0 ? [sizeOf(B)] : [];
  const y = matmul(reshape(p, [...lead, sizeOf(M), sizeOf(K)]), reshape(q, [...lead, sizeOf(K), sizeOf(N)]));
  return { x: reshape(y, [...B, ...M, ...N]), labels };
}

function sizes({ x, labels }: Term, wanted: readonly string[]): number[] {
  return wanted.map((label) => x.shape[labels.indexOf(label)]);
}

function ordered({ x, labels }: Term, order: readonly string[]): Tensor {
  return permute(
    x,
    order.map((label) => labels.indexOf(label)),
  );
}

/** The sum over the dimensions whose labels are not kept. */
function summed({ x, labels }: Term, isKept: (label: string) => boolean): Term {
  const dim = [...labels.keys()].filter((d) => !isKept(labels[d]));
  return dim.length === 0 ? { x, labels } : { x: sum(x, { dim }), labels: labels.filter(isKept) };
}

/** y[i, …] = x[i, i, …]: a view in which each label occurs once. */
function diagonal(x: Tensor, labels: readonly string[]): Term {
  const once = [...new Set(labels)];
  if (once.length === labels.length) return { x, labels };
  const cut = (t: Tensor) =>
    alias(
      t,
      once.map((label) => t.shape[labels.indexOf(label)]),
      once.map((label) => t.strides.reduce((total, stride, d) => (labels[d] === label ? total + stride : total), 0)),
    );
  return { x: record("diagonal", cut(x), [x], [], [(dy) => placed(x.shape, dy, cut)]), labels: once };
}

/** Drops extents of 1 that broadcast: as if the operand did not have the label. */
function withoutOnes({ x, labels }: Term, extents: ReadonlyMap<string, number>): Term {
  const isKept = (_: unknown, d: number) => x.shape[d] === extents.get(labels[d]);
  return { x: reshape(x, x.shape.filter(isKept)), labels: labels.filter(isKept) };
}

/** The labels of every operand and of the result. */
function parse(spec: string, operands: readonly Tensor[]): { inputs: string[][]; output: string[] } {
  const [left, right, ...more] = spec.replace(/\s/g, "").split("->");
  const parts = left.split(",");
  if (more.length > 0 || ![...parts, right ?? ""].every((part) => /^[a-zA-Z]*(\.{3}[a-zA-Z]*)?$/.test(part)))
    throw new Error(`einsum: the spec must be letters like "ij,jk->ik", got ${JSON.stringify(spec)}`);
  if (parts.length !== operands.length)
    throw new Error(`einsum: ${JSON.stringify(spec)} must be given ${parts.length} operands, got ${operands.length}`);
  const unnamed = parts.map((part, i) => {
    const letters = part.replace("...", "").length;
    const rest = operands[i].ndim - letters;
    if (part.includes("...") ? rest < 0 : rest !== 0) {
      throw new ShapeError(
        `einsum: operand ${i} of ${JSON.stringify(spec)} must have ${letters} dimensions${part.includes("...") ? " or more" : ""}, got ${showShape(operands[i].shape)}`,
      );
    }
    return rest;
  });
  const most = Math.max(...unnamed);
  const inputs = parts.map((part, i) => labelsOf(part, most - unnamed[i], most));
  const letters = inputs.flat().filter((label) => /[a-zA-Z]/.test(label));
  const once = letters.filter((label, i) => letters.indexOf(label) === i && letters.lastIndexOf(label) === i);
  const output = labelsOf(right ?? `...${once.sort().join("")}`, 0, most);
  const wrong = output.find((label, i) => output.indexOf(label) !== i || !inputs.flat().includes(label));
  if (wrong !== undefined) {
    throw new Error(
      `einsum: the result's indices must differ and occur in an operand, got "${wrong}" in ${JSON.stringify(spec)}`,
    );
  }
  return { inputs, output };
}

/** Letters, with the numbers from `from` to `to` in the place of "...". */
function labelsOf(part: string, from: number, to: number): string[] {
  const [before, after] = part.split("...");
  if (after === undefined) return [...before];
  return [...before, ...Array.from({ length: to - from }, (_, i) => String(from + i)), ...after];
}

function extentsOf(spec: string, inputs: readonly string[][], operands: readonly Tensor[]): Map<string, number> {
  const extents = new Map<string, number>();
  inputs.forEach((labels, i) => {
    const seen = new Map<string, number>();
    labels.forEach((label, d) => {
      const extent = operands[i].shape[d];
      const known = seen.get(label) ?? extents.get(label) ?? 1;
      if (extent !== known && (seen.has(label) || (extent !== 1 && known !== 1))) {
        throw new ShapeError(
          `einsum: extents of one index must agree, got ${known} and ${extent} for "${label}" in ${JSON.stringify(spec)} with ${operands.map((x) => showShape(x.shape)).join(", ")}`,
        );
      }
      seen.set(label, extent);
      extents.set(label, extent === 1 ? known : extent);
    });
  });
  return extents;
}
