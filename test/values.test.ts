import { describe, expect, test } from "vitest";
import { F, scope, tensor, zeros } from "../src/index.js";

describe("values in and out", () => {
  test("toArray nests by dimension, data is row-major, both of views and empty tensors", () => {
    scope(() => {
      const x = tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]);
      expect(F.transpose(x, 0, 1).toArray()).toEqual([
        [1, 3, 5],
        [2, 4, 6],
      ]);
      expect([...F.transpose(x, 0, 1).data()]).toEqual([1, 3, 5, 2, 4, 6]);
      expect(F.select(x, 0, 1).toArray()).toEqual([3, 4]);
      expect(tensor(7).toArray()).toBe(7);
      expect(tensor([[true], [false]]).toArray()).toEqual([[true], [false]]);
      expect(zeros([2, 0, 3]).toArray()).toEqual([[], []]);
      expect(zeros([0, 3]).toArray()).toEqual([]);
    });
  });

  test("data is a copy on an ordinary buffer, of the dtype's kind", () => {
    scope(() => {
      const x = tensor([1, 2]);
      x.data()[0] = 9;
      expect(x.toArray()).toEqual([1, 2]);
      expect(x.data().buffer).toBeInstanceOf(ArrayBuffer);
      expect(tensor(Int32Array.of(1)).data<Int32Array<ArrayBuffer>>()).toEqual(Int32Array.of(1));
      expect(tensor([true]).data<Uint8Array<ArrayBuffer>>()).toEqual(Uint8Array.of(1));
    });
  });

  test("set overwrites dense tensors and the views on them", () => {
    scope(() => {
      const x = zeros([2, 2]);
      const row = F.select(x, 0, 1);
      expect(x.set([1, 2, 3, 4])).toBe(x);
      expect(row.toArray()).toEqual([3, 4]);
      row.set(Float64Array.of(5, 6));
      expect(x.toArray()).toEqual([
        [1, 2],
        [5, 6],
      ]);
      expect(() => x.set([1])).toThrow("set: data must have 4 values, got 1");
      expect(() => F.transpose(x, 0, 1).set([1, 2, 3, 4])).toThrow(
        "set: the tensor must be dense, got a strided view; use copy_",
      );
    });
  });

  test("item wants one element", () => {
    scope(() => {
      expect(zeros([1, 1]).item()).toBe(0);
      expect(F.select(tensor([1, 2, 3]), 0, -1).item()).toBe(3);
      expect(() => zeros([2]).item()).toThrow("item: the tensor must have one element, got shape [2]");
    });
  });
});
