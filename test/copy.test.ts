import { describe, expect, test } from "vitest";
import { copyInto } from "../src/copy.js";
import { F, scope, type Tensor, tensor } from "../src/index.js";

const counted = (shape: number[], dtype: "float32" | "int32" | "uint8") =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i % 251),
    { shape, dtype },
  );

const views: Record<string, (x: Tensor) => Tensor> = {
  dense: (x) => x,
  reversed: (x) => F.permute(x, [...x.shape.keys()].reverse()),
  rotated: (x) =>
    F.permute(
      x,
      [...x.shape.keys()].map((d) => (d + 1) % x.ndim),
    ),
  narrowed: (x) => x.shape.reduce((y, extent, d) => F.narrow(y, d, extent > 2 ? 1 : 0, Math.max(1, extent - 2)), x),
  expanded: (x) => F.expand(F.narrow(x, -1, 0, 1), x.shape),
};

describe("copyInto", () => {
  for (const dtype of ["float32", "int32", "uint8"] as const) {
    for (const shape of [[7], [5, 3], [16, 16], [17, 33], [2, 3, 4, 5], [3, 1, 6]]) {
      for (const [name, view] of Object.entries(views)) {
        test(`${dtype} ${shape.join("×")}, ${name} to dense and back`, () =>
          scope(() => {
            const x = view(counted(shape, dtype));
            const copy = tensor(new Uint8Array(x.size), { shape: x.shape, dtype });
            copyInto(copy, x);
            expect([...copy.data()]).toEqual([...x.data()]);
            if (name === "expanded") return;
            const target = view(tensor(new Uint8Array(shape.reduce((a, b) => a * b, 1)), { shape, dtype }));
            copyInto(target, copy);
            expect([...target.data()]).toEqual([...copy.data()]);
          }));
      }
    }
  }
});
