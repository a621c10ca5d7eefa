import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { io } from "../../src/index.js";

const cli = "dist/cli/wasmgrad.js";
const unbuilt = existsSync(cli) ? false : `${cli} is not built`;
const tiny = ["--steps", "3", "--batch-size", "2", "--context", "16", "--sample-tokens", "4", "--rank", "2"];

interface Run {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line; `onOutput` sees what it has printed so far. */
function run(args: readonly string[], onOutput?: (text: string, interrupt: () => void) => void): Promise<Run> {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  const seen = () => onOutput?.(stdout + stderr, () => child.kill("SIGINT"));
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
    seen();
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
    seen();
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

describe.skipIf(unbuilt)(`wasmgrad${unbuilt ? `: ${unbuilt}` : ""}`, () => {
  let folder: string;
  let demo: Run;
  const at = (...names: string[]) => join(folder, ...names);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "wasmgrad-cli-"));
    demo = await run([...tiny, "--pretrain-steps", "3", "--out", at("demo")]);
    writeFileSync(at("text.txt"), readFileSync("src/cli/texts/logbook.txt"));
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test("without arguments it trains, fine-tunes, and writes adapter, model and report, and nothing else", () => {
    expect(demo.stderr).not.toContain("wasmgrad:");
    expect(demo.code).toBe(0);
    expect(demo.stdout.match(/validation loss after/g)).toHaveLength(2);
    expect(Number(demo.stdout.match(/differ from the adapter by (\S+)/)?.[1])).toBeLessThan(1e-4);
    expect(readdirSync(at("demo")).sort()).toEqual(["adapter", "merged", "report.html"]);
    expect(readdirSync(at("demo", "adapter"))).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect(readdirSync(at("demo", "merged"))).toEqual([
      "config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(readFileSync(at("demo", "report.html"), "utf8")).toContain("Training from scratch");
  });

  test("what it wrote is a model to fine-tune, and a base for the adapter", { timeout: 30_000 }, async () => {
    const model = at("demo", "merged");
    const tuned = await run([
      "finetune",
      "--model",
      model,
      "--data",
      at("text.txt"),
      ...tiny,
      "--target",
      "q_proj,v_proj",
      "--out",
      at("tuned"),
    ]);
    expect(tuned).toMatchObject({ code: 0 });
    const generate = (...more: string[]) =>
      run(["generate", "--model", model, "--prompt", "Day ", "--max-tokens", "5", ...more]);
    const plain = await generate();
    expect(plain).toMatchObject({ code: 0 });
    expect(plain.stdout.startsWith("Day ")).toBe(true);
    expect(await generate()).toEqual(plain);
    expect(await generate("--adapter", at("tuned", "adapter"))).toMatchObject({ code: 0 });
    const sampled = ["--temperature", "1", "--seed", "7"];
    expect(await generate(...sampled)).toEqual(await generate(...sampled));
  });

  test("a base in 4 bits can be fine-tuned, and what is merged is a float32 model", { timeout: 30_000 }, async () => {
    const model = at("demo", "merged");
    const data = ["--model", model, "--data", at("text.txt"), "--out", at("qlora")];
    const { code, stdout } = await run(["finetune", ...data, ...tiny, "--quantize", "nf4"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/base in nf4: 28 layers take [\d,]+ bytes, 0\.1\d+ of float32/);
    const merged = ["--model", at("qlora", "merged"), "--prompt", "Day ", "--max-tokens", "5"];
    const adapted = ["--model", model, "--adapter", at("qlora", "adapter"), "--prompt", "Day ", "--max-tokens", "5"];
    for (const which of [merged, adapted]) expect(await run(["generate", ...which])).toMatchObject({ code: 0 });
  });

  const finetuning = (out: string, ...more: string[]) => [
    ...["finetune", "--model", at("demo", "merged"), "--data", at("text.txt"), ...tiny],
    ...["--dropout", "0.1", "--out", at(out), ...more],
  ];

  test("Ctrl-C ends after the present step and saves what there is; --resume ends as if nothing had been", {
    timeout: 60_000,
  }, async () => {
    const steps = ["--steps", "40", "--checkpoint-every", "2"];
    expect(await run(finetuning("whole", ...steps))).toMatchObject({ code: 0 });
    expect(readdirSync(at("whole")).sort()).toEqual(["adapter", "merged", "report.html"]);
    let watch: NodeJS.Timeout | undefined;
    const { code, stdout, stderr } = await run(finetuning("cut", ...steps), (_, interrupt) => {
      watch ??= setInterval(() => {
        if (!existsSync(at("cut", "checkpoint.safetensors"))) return;
        clearInterval(watch);
        interrupt();
      }, 2);
    });
    clearInterval(watch);
    expect(code).toBe(130);
    expect(stderr).toContain("interrupted");
    expect(stdout).toContain("validation loss after");
    expect(readdirSync(at("cut")).sort()).toEqual(["adapter", "checkpoint.safetensors", "merged", "report.html"]);
    expect(readFileSync(at("cut", "report.html"), "utf8")).toContain("Interrupted after");
    const other = await run(finetuning("cut", ...steps, "--resume", "--batch-size", "4"));
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toContain(
      "--resume must come with the options that the run began with, got --batch-size 4 after 2",
    );
    expect(await run(finetuning("cut", ...steps, "--resume"))).toMatchObject({ code: 0 });
    for (const file of ["adapter/adapter_model.safetensors", "merged/model.safetensors"]) {
      expect(readFileSync(at("cut", file)).equals(readFileSync(at("whole", file))), file).toBe(true);
    }
    expect(readdirSync(at("cut")).sort()).toEqual(["adapter", "merged", "report.html"]);
  });

  test("Ctrl-C at any moment, once or twice, leaves no file that is not whole", { timeout: 60_000 }, async () => {
    const endless = ["--steps", "1000000"];
    // null: the signal came when the command was on its way out
    const moments: Record<string, { at: RegExp; times: number; codes: (number | null)[]; flags?: string[] }> = {
      begin: { at: /wasmgrad 0/, times: 1, codes: [130, null], flags: endless },
      before: { at: /data {3}/, times: 1, codes: [130], flags: endless },
      sampled: { at: /validation loss before/, times: 1, codes: [130], flags: endless },
      twice: { at: /validation loss before/, times: 2, codes: [130], flags: endless },
      writing: { at: /validation loss after/, times: 1, codes: [0, null] },
      merging: { at: /merged weights differ/, times: 1, codes: [0, null] },
      quitting: { at: /merged weights differ/, times: 2, codes: [130, 0, null] },
    };
    const cases = Object.entries(moments).map(async ([name, moment]) => {
      let left = moment.times;
      const { code, stderr } = await run(
        finetuning(name, "--checkpoint-every", "1", ...(moment.flags ?? [])),
        (text, interrupt) => {
          const isSeen = left === moment.times ? moment.at.test(text) : text.includes("interrupted");
          if (left === 0 || !isSeen) return;
          left--;
          interrupt();
        },
      );
      expect(moment.codes, `${name}: ${stderr}`).toContain(code);
      if (code === 0) expect(readdirSync(at(name)).sort(), name).toEqual(["adapter", "merged", "report.html"]);
      await expectWhole(at(name));
    });
    await Promise.all(cases);
  });

  /** Every file below `dir` can be read to its end. */
  async function expectWhole(dir: string): Promise<void> {
    if (!existsSync(dir)) return;
    for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
      const path = join(dir, name);
      if (statSync(path).isDirectory()) continue;
      expect(name).toMatch(/\.(json|safetensors|html)$/);
      if (name.endsWith(".json")) JSON.parse(readFileSync(path, "utf8"));
      if (name.endsWith(".html")) expect(readFileSync(path, "utf8")).toContain("</html>");
      if (name.endsWith(".safetensors")) await (await io.safetensors.open(path)).close();
    }
  }

  test("bad input is one line that says what must hold, before any work", { timeout: 60_000 }, async () => {
    writeFileSync(at("short.txt"), "too short");
    const model = at("demo", "merged");
    const weights = readFileSync(join(model, "model.safetensors"));
    await run(["--help"]);
    const finetune = (...args: string[]) => run(["finetune", ...tiny, "--out", at("never"), ...args]);
    const cases: [Promise<Run>, RegExp][] = [
      [finetune("--model", at("nowhere"), "--data", at("text.txt")), /nowhere/],
      [finetune("--model", model, "--data", at("nothing.txt")), /nothing\.txt/],
      [
        finetune("--model", model, "--data", at("short.txt")),
        /more than 16 tokens.*use a longer text or a shorter context/,
      ],
      [
        finetune("--model", model, "--data", at("text.txt"), "--target", "query"),
        /got query; the model's layers that take an adapter are named/,
      ],
      [finetune("--model", model, "--data", at("text.txt"), "--rank", "0"), /--rank.*whole number from 1/],
      [finetune("--model", model), /--data/],
      [run(["generate", "--model", model]), /--prompt/],
      [
        finetune("--model", model, "--data", at("text.txt"), "--out", join(at("text.txt"), "x")),
        /--out must be a folder.*ENOTDIR/,
      ],
      [run([...tiny, "--rank", "999", "--out", at("never")]), /rank of .* must be a whole number from 1 to/],
      [run(["generate", "--model", model, "--prompt", "a", "--top-k", "3"]), /--temperature above 0/],
      [run(["frobnicate"]), /frobnicate|too many arguments/],
    ];
    for (const [result, message] of cases) {
      const { code, stderr } = await result;
      expect(stderr).toMatch(message);
      expect(code).toBe(1);
    }
    writeFileSync(join(model, "model.safetensors"), weights.subarray(0, weights.length - 100));
    const { code, stderr } = await finetune("--model", model, "--data", at("text.txt"));
    writeFileSync(join(model, "model.safetensors"), weights);
    expect(stderr).toMatch(/safetensors: .*model\.safetensors/s);
    expect(code).toBe(1);
    expect(existsSync(at("never"))).toBe(false);
  });

  test("help lists every command and option with its default", async () => {
    const { stdout } = await run(["--help"]);
    for (const word of ["finetune", "generate", "--pretrain-steps", "--out"]) expect(stdout).toContain(word);
    expect((await run(["finetune", "--help"])).stdout).toMatch(/--rank <r>.*default: 8/);
    expect((await run(["--version"])).stdout.trim()).toBe("0.1.0");
  });
});
