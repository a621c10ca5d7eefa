import { expect, test } from "vitest";
import { F, full, scope, tensor } from "../src/index.js";

test("what is written keeps to its type: integers in range, truths as 0 and 1", () => {
  scope(() => {
    const bytes = tensor(new Uint8Array([1, 2]));
    expect(() => F.fill_(bytes, 300)).toThrow(/uint8 values must be whole numbers from 0 to 255, got 300/);
    expect(() => F.fill_(tensor(new Int32Array([1])), 1.5)).toThrow(/int32 .*got 1\.5/);
    expect(() => tensor(new Int32Array([1])).set([3e9])).toThrow(/int32 .*got 3000000000 at 0/);
    expect([...bytes.data()]).toEqual([1, 2]);
    expect(tensor([true, false]).set([0.5, 0]).toArray()).toEqual([true, false]);
    expect([...full([2], 7, { dtype: "bool" }).data()]).toEqual([1, 1]);
  });
});
