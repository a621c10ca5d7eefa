import { describe, expect, test } from "vitest";
import {
  F,
  keep,
  memoryStats,
  OutOfMemoryError,
  openScope,
  scope,
  type Tensor,
  tensor,
  UseAfterFreeError,
  zeros,
} from "../src/index.js";

/** Live bytes and tensors that `fn` leaves behind. */
function leftBy(fn: () => unknown): [number, number] {
  const before = memoryStats();
  fn();
  const after = memoryStats();
  return [after.liveBytes - before.liveBytes, after.liveTensors - before.liveTensors];
}

describe("scope", () => {
  test("what is made in a scope is released at its end", () => {
    expect(leftBy(() => scope(() => void F.relu(tensor([1, -2]))))).toEqual([0, 0]);
  });

  test("what is returned, also inside arrays and plain objects, lives in the scope around", () => {
    scope(() => {
      const { a, list } = scope(() => ({
        a: tensor([1]),
        list: [tensor([2]), { deep: tensor([3]) }] as const,
        dropped: 1,
      }));
      expect([a.item(), list[0].item(), list[1].deep.item()]).toEqual([1, 2, 3]);
    });
    expect(leftBy(() => scope(() => void scope(() => [tensor([1]), tensor([2])])))).toEqual([0, 0]);
  });

  test("a tensor released with its scope names itself when used", () => {
    let escaped: Tensor | undefined;
    scope(() => {
      escaped = F.relu(tensor([[1, 2]]));
    });
    expect(() => escaped?.data()).toThrow(UseAfterFreeError);
    expect(() => escaped?.data()).toThrow(/relu.*\[1, 2\]/);
    expect(() => F.relu(escaped as Tensor)).toThrow(UseAfterFreeError);
  });

  test("keep takes a tensor out of its scope", () => {
    let kept: Tensor = tensor([0]);
    kept.dispose();
    scope(() => {
      kept = keep(tensor([1, 2]));
    });
    expect([...kept.data()]).toEqual([1, 2]);
    expect(leftBy(() => kept.dispose())).toEqual([-64, -1]);
  });

  test("dispose is idempotent and frees at once; views hold the storage", () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4]);
      const view = F.narrow(x, 0, 1, 2);
      x.dispose();
      x.dispose();
      expect([...view.data()]).toEqual([2, 3]);
    });
  });

  test("an error inside releases what was made", () => {
    expect(
      leftBy(() =>
        expect(() =>
          scope(() => {
            tensor([1]);
            throw new Error("inside");
          }),
        ).toThrow("inside"),
      ),
    ).toEqual([0, 0]);
  });

  test("a promise is an error that names openScope", () => {
    expect(() => scope(async () => 1)).toThrow(/openScope/);
  });

  test("openScope owns what its runs make until it is closed", async () => {
    const before = memoryStats().liveTensors;
    const s = openScope();
    const x = s.run(() => tensor([1]));
    await Promise.resolve();
    const outside = tensor([5]);
    const y = s.run(() => F.relu(x));
    expect(y.item()).toBe(1);
    s.close();
    s.close();
    expect(() => y.item()).toThrow(UseAfterFreeError);
    expect(outside.item()).toBe(5);
    outside.dispose();
    expect(memoryStats().liveTensors).toBe(before);
    expect(() => s.run(() => 1)).toThrow(/closed/);
  });

  test("scopes closed out of order throw, and are closed", () => {
    const outer = openScope();
    const inner = outer.run(() => openScope());
    const x = inner.run(() => tensor([1]));
    expect(() => outer.close()).toThrow(/inner scopes must be closed first, got 1/);
    expect(() => x.item()).toThrow(UseAfterFreeError);
  });

  test("a scope is not closed from inside its run; cyclic results are handed over", () => {
    const s = openScope();
    expect(() => s.run(() => s.close())).toThrow(/outside the scope's run/);
    s.close();
    scope(() => {
      const ring: { x?: Tensor; self?: unknown } = {};
      scope(() => {
        ring.x = tensor([7]);
        ring.self = ring;
        return ring;
      });
      expect(ring.x?.item()).toBe(7);
    });
  });

  test("a size beyond all memory is out of memory, not a wrapped one", () => {
    for (const shape of [
      [2 ** 20, 2 ** 20],
      [2 ** 26, 2 ** 26],
    ])
      expect(() => zeros(shape)).toThrow(OutOfMemoryError);
  });

  test("reserved bytes are flat over steps, whatever sizes they use", () => {
    const step = (i: number) =>
      scope(() => void [zeros([1000 + 37 * (i % 50)]), zeros([300, 1 + (i % 97)]), zeros([2048])]);
    for (let i = 0; i < 5000; i++) step(i);
    const { reservedBytes } = memoryStats();
    for (let i = 0; i < 5000; i++) step(i);
    expect(memoryStats().reservedBytes).toBe(reservedBytes);
  });
});
