#!/usr/bin/env node
/** The command line: options, defaults, help. What the commands do is in commands.ts. */
import { type Command, InvalidArgumentError, Option, program } from "commander";
import { version } from "../runtime.js";
import {
  type DemoFlags,
  type FinetuneFlags,
  type GenerateFlags,
  INTERRUPTED,
  Interruption,
  runDemo,
  runFinetune,
  runGenerate,
} from "./commands.js";

const positive = number("a number above 0", (n) => n > 0);
const nonNegative = number("a number from 0", (n) => n >= 0);
const probability = number("a number from 0 to 1", (n) => n >= 0 && n <= 1);
const belowOne = number("a number from 0 to below 1", (n) => n >= 0 && n < 1);
const whole = number("a whole number from 1", (n) => Number.isInteger(n) && n >= 1);
const wholeOrZero = number("a whole number from 0", (n) => Number.isInteger(n) && n >= 0);

const modelHelp = "directory with config.json, safetensors, tokenizer.json; or org/name on the Hugging Face hub";

program
  .name("wasmgrad")
  .description(
    "Trains and LoRA-fine-tunes language models with WebAssembly SIMD kernels.\nWithout a command: trains a small model from scratch, fine-tunes it and writes a report.",
  )
  .version(version)
  .enablePositionalOptions()
  .showHelpAfterError("(wasmgrad --help lists the options)");

trainingOptions(program.option("--pretrain-steps <n>", "optimizer steps of training from scratch", whole, 220), {
  steps: 200,
  temperature: 0.5,
  sampleTokens: 240,
}).action((flags: DemoFlags) => runDemo(flags));

trainingOptions(
  program
    .command("finetune")
    .description("fine-tune a model (a Hugging Face directory) on a text with LoRA")
    .requiredOption("--model <dir>", modelHelp)
    .requiredOption("--data <file>", "text to train on; its last tenth is held out for validation")
    .option("--max-chars <n>", "use the first n characters of the text", whole, 120_000)
    .option("--checkpoint-every <n>", "steps after which the run's state is saved", whole, 50)
    .option("--resume", "go on from the checkpoint in --out, if there is one", false)
    .addOption(
      new Option("--quantize <scheme>", "keep the base's linear layers in codes of 4 or 8 bits (QLoRA)")
        .choices(["none", "nf4", "log4", "int4", "int8"])
        .default("none"),
    ),
  { steps: 300, temperature: 0, sampleTokens: 80 },
).action((flags: FinetuneFlags) => runFinetune(flags));

commonOptions(
  program
    .command("generate")
    .description("continue a prompt")
    .requiredOption("--model <dir>", modelHelp)
    .requiredOption("--prompt <text>", "text to continue")
    .option("--adapter <dir>", "directory with a PEFT adapter for the model")
    .option("--max-tokens <n>", "tokens to add at the most", whole, 100)
    .option("--temperature <t>", "0 takes the likeliest token each time", nonNegative, 0)
    .option("--top-k <k>", "sample among the k likeliest tokens", whole)
    .option("--top-p <p>", "sample among the likeliest tokens that reach probability p together", probability)
    .option("--repetition-penalty <f>", "above 1 makes tokens that occurred less likely", positive, 1),
).action((flags: GenerateFlags) => runGenerate(flags));

function trainingOptions(
  command: Command,
  { steps, temperature, sampleTokens }: { steps: number; temperature: number; sampleTokens: number },
): Command {
  return commonOptions(command)
    .option("--rank <r>", "rank of the adapter", whole, 8)
    .option("--alpha <a>", "the adapter is scaled by alpha / rank", positive, 16)
    .option("--dropout <p>", "dropout before the adapter", belowOne, 0)
    .option("--rslora", "scale by alpha / √rank instead", false)
    .addOption(
      new Option("--target <names>", "layers to adapt, comma-separated, or all-linear")
        .default("all-linear")
        .argParser(targetNames),
    )
    .option("--steps <n>", "optimizer steps of fine-tuning", whole, steps)
    .option("--batch-size <n>", "rows in a batch", whole, 16)
    .option("--context <n>", "tokens in a row", whole, 128)
    .option("--learning-rate <lr>", "the highest, after warm-up and before cosine decay", positive, 5e-3)
    .option("--warmup <n>", "steps of warm-up", wholeOrZero, 20)
    .option("--weight-decay <wd>", "decoupled weight decay", nonNegative, 0)
    .option("--prompt <text>", "start of the samples")
    .option("--sample-tokens <n>", "tokens of each sample", whole, sampleTokens)
    .option("--temperature <t>", "of the samples; 0 takes the likeliest token each time", nonNegative, temperature)
    .option("--out <dir>", "where adapter, merged model and report go", "wasmgrad-out");
}

function commonOptions(command: Command): Command {
  return command
    .option("--seed <n>", "of weights, batches and samples", wholeOrZero, 1)
    .addOption(
      new Option("--simd <variant>", "kernels to run").choices(["auto", "baseline", "relaxed"]).default("auto"),
    );
}

function targetNames(text: string): string[] | "all-linear" {
  return text === "all-linear" ? text : text.split(",").map((name) => name.trim());
}

function number(rule: string, holds: (n: number) => boolean): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (text.trim() === "" || !holds(n)) throw new InvalidArgumentError(`It must be ${rule}.`);
    return n;
  };
}

// a reader that has seen enough, such as `head`, is no error
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`wasmgrad: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof Interruption ? INTERRUPTED : 1;
}
