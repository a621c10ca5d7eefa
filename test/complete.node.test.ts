import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { F } from "../src/index.js";

/** The text of every TypeScript file below `folder`, without this file's and without comments. */
function sources(folder: string, skip: readonly string[]): string {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const read = files.filter((file) => file.endsWith(".ts") && !skip.some((name) => file.endsWith(name)));
  return read
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("\n")
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
}

test("every operation is checked: a test names it, as F.name or as a method", () => {
  const tests = sources("test", ["complete.node.test.ts"]);
  const mentions = tests.matchAll(/\bF\.(\w+)|(?<!\b(?:Math|init|ops|optimizer))\.(\w+)\(/g);
  const named = new Set(Array.from(mentions, ([, operation, method]) => operation ?? method));
  expect(Object.keys(F).filter((name) => !named.has(name))).toEqual([]);
});

test("every kernel has a caller", () => {
  const declared = readFileSync("src/wasm/kernels.gen.ts", "utf8").matchAll(/^ {2}(\w+)\(/gm);
  const callers = sources("src", ["kernels.gen.ts", "parameters.gen.ts", "parallel.ts"]);
  // kernels.name, or a name in quotes that picks one; record("name") names an operation
  const mentions = callers.matchAll(/\b(?:kernels|exports)\.(\w+)|(?<!\brecord\(\s*)"(\w+)"/g);
  const called = new Set(Array.from(mentions, ([, direct, quoted]) => direct ?? quoted));
  const kernels = Array.from(declared, ([, name]) => name);
  expect(kernels.length).toBeGreaterThan(0);
  expect(kernels.filter((name) => !called.has(name))).toEqual([]);
});
