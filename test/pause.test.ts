import { expect, test, vi } from "vitest";
import { Pacer } from "../src/pause.js";

test("two pacers that pause at once both go on, also without setImmediate", async () => {
  vi.stubGlobal("setImmediate", undefined);
  const spin = (ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end; );
  };
  const run = async () => {
    const pacer = new Pacer();
    for (let i = 0; i < 3; i++) {
      spin(13);
      await pacer.pause();
    }
    return "done";
  };
  expect(await Promise.all([run(), run()])).toEqual(["done", "done"]);
  vi.unstubAllGlobals();
});
