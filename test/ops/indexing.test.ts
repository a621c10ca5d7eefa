import { describe, expect, test } from "vitest";
import { type DType, F, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/indexing.json" with { type: "json" };
import { expectClose } from "../support/checkOp.js";

type Packed = { shape: number[]; dtype: string; data: (number | string | boolean)[] };
type Operation = (...args: unknown[]) => Tensor | Record<string, Tensor>;

const unpack = ({ shape, dtype, data }: Packed, requiresGrad = false): Tensor =>
  tensor(data.map(Number), { shape, dtype: dtype as DType, requiresGrad });

/** "$1" is the second tensor, "-Infinity" a number. */
function decode(arg: unknown, tensors: readonly Tensor[]): unknown {
  if (typeof arg === "string" && arg.startsWith("$")) return tensors[Number(arg.slice(1))];
  if (typeof arg === "string" && !Number.isNaN(Number(arg))) return Number(arg);
  if (Array.isArray(arg)) return arg.map((item) => decode(item, tensors));
  if (typeof arg !== "object" || arg === null) return arg;
  return Object.fromEntries(Object.entries(arg).map(([key, item]) => [key, decode(item, tensors)]));
}

describe("PyTorch's values and gradients", () => {
  test.each(golden.cases.map((c, i) => [`${i}: ${c.op} ${JSON.stringify(c.args)}`, c] as const))("%s", (_, c) =>
    scope(() => {
      const tensors = c.tensors.map((t) => unpack(t, t.dtype === "float32"));
      const operation = F[c.op as keyof typeof F] as unknown as Operation;
      const output = operation(...(decode(c.args, tensors) as unknown[]));
      const results = output.constructor === Object ? (Object.values(output) as Tensor[]) : [output as Tensor];
      expect(results.length).toBe(c.results.length);
      results.forEach((y, i) => {
        expect([y.shape, y.dtype]).toEqual([c.results[i].shape, c.results[i].dtype]);
        expectClose(y.data(), c.results[i].data.map(Number));
      });
      if (!c.dy) return;
      results[0].backward(unpack(c.dy));
      tensors.forEach((t, i) => {
        const expected = c.gradients?.[i];
        if (expected) expectClose(t.grad?.data() ?? [], expected.data.map(Number), {}, `gradient of tensor ${i}`);
      });
    }),
  );
});
