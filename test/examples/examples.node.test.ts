import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingSharedData, shakespeare, stories } from "../support/shared.node.js";

const missingDigits = existsSync("../shared/data/mnist10k-images.idx3-ubyte")
  ? false
  : "../shared (handwritten digits) is not beside the project";
const built = existsSync("dist/node/index.js");

describe.skipIf(!built)("the examples, run small (need dist: npm run build)", { timeout: 60_000 }, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmgrad-examples-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** What the example printed. */
  async function output(name: string, ...args: string[]): Promise<string> {
    return (await promisify(execFile)(process.execPath, [`examples/${name}/index.mjs`, ...args])).stdout;
  }

  /** What the example printed, and its picture. */
  async function run(name: string, ...args: string[]): Promise<{ stdout: string; svg: string }> {
    const out = join(folder, `${name}.svg`);
    return { stdout: await output(name, "--out", out, ...args), svg: await readFile(out, "utf8") };
  }

  function numbersIn(text: string, pattern: RegExp): number[][] {
    return [...text.matchAll(pattern)].map(([, ...groups]) => groups.map(Number));
  }

  test("relu-approximation: the error falls as 1/n²", async () => {
    const { stdout, svg } = await run("relu-approximation", "--steps", "2000");
    const errors = numbersIn(stdout, /n = (\d+): largest error (\S+) closed form, (\S+) trained/g);
    expect(errors.map(([n]) => n)).toEqual([1, 2, 5, 100]);
    for (const [n, closed, trained] of errors) {
      expect(closed * n * n).toBeCloseTo(1, 1);
      expect(trained * n * n).toBeLessThan(2);
    }
    expect(svg).toContain("x² as a sum of shifted ReLUs");
  });

  test("spiral: the arms are told apart", async () => {
    const { stdout, svg } = await run("spiral", "--epochs", "40");
    expect(numbersIn(stdout, /accuracy: (\S+) %/g)[0][0]).toBeGreaterThan(95);
    expect(svg).toContain("decision boundary");
  });

  test("ridge-lasso: ridge shrinks, lasso zeroes", async () => {
    const { stdout, svg } = await run("ridge-lasso", "--penalties", "3");
    const lines = numbersIn(stdout, /ridge ‖θ‖ (\S+), (\d+) zeros; lasso ‖θ‖ (\S+), (\d+) zeros/g);
    const [ridgeNorms, ridgeZeros, , lassoZeros] = [0, 1, 2, 3].map((column) => lines.map((line) => line[column]));
    expect(ridgeNorms[0] > ridgeNorms[1] && ridgeNorms[1] > ridgeNorms[2]).toBe(true);
    expect(ridgeZeros).toEqual([0, 0, 0]);
    expect(lassoZeros[0] < lassoZeros[1] && lassoZeros[1] < lassoZeros[2]).toBe(true);
    expect(svg).toContain("lasso");
  });

  test("kan: the edges are the functions that the samples were made of", async () => {
    const { stdout, svg } = await run("kan", "--steps", "600");
    const errors = numbersIn(stdout, /learned with an error of (\S+) at the most/g).flat();
    expect(errors.length).toBe(3);
    // So early, the exponential is still off at its end, where there are few samples.
    for (const error of errors.slice(0, 2)) expect(error).toBeLessThan(0.1);
    expect(svg).toContain("third edge");
  });

  test("evolution: the best loss falls, and the boundary is drawn as it evolves", async () => {
    const { stdout, svg } = await run("evolution", "--generations", "300");
    const best = numbersIn(stdout, /generation \d+: best (\S+),/g).flat();
    expect(best.length).toBe(6);
    for (let i = 1; i < 6; i++) expect(best[i]).toBeLessThanOrEqual(best[i - 1]);
    expect(numbersIn(stdout, /accuracy: (\S+) %/g)[0][0]).toBeGreaterThanOrEqual(90);
    expect(svg).toContain("generation 300");
    expect(await output("evolution", "--help")).toContain("--generations <n>");
  });

  test.skipIf(missingDigits)("evolution: digits are learned without a gradient", async () => {
    const sizes = ["--train", "300", "--test", "500", "--generations", "150"];
    const { stdout } = await promisify(execFile)(process.execPath, ["examples/evolution/digits.mjs", ...sizes]);
    expect(numbersIn(stdout, /accuracy: (\S+) %/g)[0][0]).toBeGreaterThan(60);
  });

  test.skipIf(missingDigits)("mnist: learns from a few digits already", async () => {
    const { stdout, svg } = await run("mnist", "--train", "1000", "--test", "400", "--epochs", "2");
    const [[mlp]] = numbersIn(stdout, /MLP: (\S+) % of 400/g);
    const [[cnn]] = numbersIn(stdout, /CNN: (\S+) % of 400/g);
    expect(mlp).toBeGreaterThan(60);
    expect(cnn).toBeGreaterThan(75);
    expect(svg).toContain("digits that the CNN took for others");
  });

  test("lora-distilbert: learns moods through the chosen parts; merged and detached it computes the same", async () => {
    const out = join(folder, "moods");
    const stdout = await output("lora-distilbert", "--out", out);
    const [[before], [after]] = numbersIn(stdout, /(?:before|after): (\d+) of 12 unseen sentences right/g);
    expect(before).toBeLessThan(9);
    expect(after).toBeGreaterThan(8);
    expect(numbersIn(stdout, /probabilities differ by (\S+) at most/g)[0][0]).toBeLessThan(1e-5);
    expect(stdout).toContain("the plain layers compute the same, and nothing of the adapter is left");
    expect(await readdir(out)).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    await expect(output("lora-distilbert", "--parts", "query,tail")).rejects.toThrow("got tail");
    expect(await output("lora-distilbert", "--help")).toContain("--parts <names>");
  });

  test.skipIf(missingSharedData)("lora-llama: the loss falls, and a resumed run is not begun anew", async () => {
    const out = join(folder, "llama");
    const small = ["--max-chars", "8000", "--context", "32", "--sample-tokens", "5", "--rank", "4", "--out", out];
    const tuned = (...more: string[]) =>
      output("lora-llama", "--model", stories, "--data", shakespeare, ...small, ...more);
    const stdout = await tuned("--epochs", "1");
    const [[before], [after]] = numbersIn(stdout, /(?:before|after): validation loss (\S+)/g);
    expect(after).toBeLessThan(before - 0.1);
    const [[steps]] = numbersIn(stdout, /(\d+) of \d+ steps/g);
    expect((await readdir(out)).sort()).toEqual(["adapter", "checkpoint.safetensors"]);
    expect(await tuned("--epochs", "1", "--resume")).toContain(`${steps} of ${steps} steps`);
    expect(await output("lora-llama", "--help")).toContain("--resume");
  });
});
