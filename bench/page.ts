/**
 * A library that runs in a page of Chromium, asked as one in Node is (serve.ts). Arguments: the page's script, a folder of
 * what the library fetches or "", and the script's own arguments.
 */
import { basename, dirname } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright";
import { browserFlags, findBrowser } from "../scripts/find-browser.mjs";
import { withPage } from "./pages.js";
import type { Answer, Asked, Question } from "./serve.js";

declare const peer: Promise<Asked> | undefined;

/** Evaluated in the page. */
async function firstAnswer(): Promise<Answer> {
  while (typeof peer === "undefined") await new Promise((resolve) => setTimeout(resolve, 20));
  return (await peer).first;
}

/** Evaluated in the page. */
async function answerTo(question: Question): Promise<Answer> {
  return (await (peer as Promise<Asked>)).ask(question);
}

const [, , script, assets, ...args] = process.argv;
console.log = console.error; // the answers have the output to themselves
const say = (answer: Answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const browser = await chromium.launch({ executablePath: await findBrowser(), args: [...browserFlags] });
await withPage(
  [dirname(script), assets].filter((folder) => folder !== ""),
  basename(script),
  async (url) => {
    const page = await browser.newPage();
    const failed = new Promise<Answer>((resolve) => page.on("pageerror", ({ message }) => resolve({ why: message })));
    await page.goto(`${url}?${new URLSearchParams(args.map((argument) => ["argument", argument]))}`);
    const first = await Promise.race([page.evaluate(firstAnswer), failed]);
    say("about" in first ? { about: { ...first.about, runtime: `Chromium ${browser.version()}` } } : first);
    if ("why" in first) return;
    for await (const line of createInterface({ input: process.stdin })) {
      say(await page.evaluate(answerTo, JSON.parse(line) as Question));
    }
  },
);
await browser.close();
