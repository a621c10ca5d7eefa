import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Browser, chromium, type Page } from "playwright";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { findBrowser } from "../../scripts/find-browser.mjs";

const built = existsSync("dist/browser/index.js");

/** The page's settings for a model that trains in a moment. */
const tiny = {
  steps: 20,
  batch: 4,
  context: 32,
  width: 32,
  layers: 2,
  every: 10,
  learningRate: 0.01,
  rank: 4,
  bytes: 40,
};

describe.skipIf(!built)("the browser example (needs dist: npm run build)", { timeout: 30_000 }, () => {
  let browser: Browser;
  let server: ChildProcess;
  let address: string;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    server = fork("examples/browser/serve.mjs", { silent: true, execArgv: [] });
    const [[output], executablePath] = await Promise.all([once(server.stdout!, "data"), findBrowser()]);
    address = String(output).trim();
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  }, 60_000);

  afterAll(async () => {
    server?.kill();
    await browser?.close();
  });

  async function open(settings: Record<string, number> = {}): Promise<void> {
    complaints = [];
    page = await browser.newPage();
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    const parameters = Object.entries({ ...tiny, ...settings }).map(([name, value]) => [name, String(value)]);
    await page.goto(`${address}?${new URLSearchParams(parameters)}`);
  }

  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  /** Presses start and waits until the phase's last step. */
  async function train(): Promise<void> {
    await page.click("#start");
    await page.getByText("Done.").waitFor();
  }

  /** The first and the last loss on a curve that must have so many steps. */
  async function lossesOf(steps: number): Promise<number[]> {
    const curve = page.getByRole("img", { name: `Loss curve of ${steps} steps` });
    await curve.waitFor();
    const label = await curve.getAttribute("aria-label");
    return label!.match(/\d+\.\d+/g)!.map(Number);
  }

  /** Presses "Generate" and waits for the end of the text. */
  async function write(): Promise<string> {
    await page.click("#generate");
    await page.getByRole("button", { name: "Generate" }).waitFor();
    return (await page.textContent("#written span"))!;
  }

  async function download(name: string): Promise<Buffer> {
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    return readFile(await file.path());
  }

  test("draws a loss that falls, and writes as it learns", async () => {
    await open();
    await train();
    const [first, last] = await lossesOf(20);
    expect(first).toBeGreaterThan(5);
    expect(last).toBeLessThan(first - 0.5);
    const titles = await page.locator("#samples h3").allTextContents();
    expect(titles).toEqual([20, 10, 0].map((step) => `From scratch, step ${step}`));
    expect((await write()).length).toBeGreaterThan(10); // of 40 bytes, several of which may be one character
  });

  test("the page answers while the worker trains", async () => {
    await open({ steps: 5000, width: 96, batch: 8, context: 64, every: 5000 });
    await page.click("#start");
    await page.getByRole("img", { name: "Loss curve of" }).waitFor();
    const frames = await page.evaluate(async () => {
      const times: number[] = [];
      while (times.length < 20) times.push(await new Promise<number>(requestAnimationFrame));
      return times;
    });
    await page.click("summary >> visible=true");
    expect(await page.locator("details >> visible=true").getAttribute("open")).toBe("");
    expect(await page.isEnabled("#stop")).toBe(true);
    const longest = Math.max(...frames.slice(1).map((time, i) => time - frames[i]));
    expect(longest).toBeLessThan(1000);
  });

  test("a stopped training keeps what it has learned and goes on from there", async () => {
    await open({ steps: 5000, every: 5000 });
    const stopAfter = async (loss: number) => {
      await page.waitForFunction(
        (below) => Number.parseFloat(document.querySelector("#loss")!.textContent) < below,
        loss,
      );
      await page.click("#stop");
      await page.getByText("Stopped.").waitFor();
      return Number.parseInt((await page.textContent("#step"))!, 10);
    };
    await page.click("#start");
    const stopped = await stopAfter(4);
    await page.getByRole("button", { name: "Continue" }).click();
    const later = await stopAfter(3);
    expect(later).toBeGreaterThan(stopped);
    const [first, last] = await lossesOf(later);
    expect(last).toBeLessThan(first - 1.5);
  });

  test("an adapter is trained, can be left out, and is downloaded in PEFT's files", async () => {
    await open();
    await train();
    await train();
    await lossesOf(40);
    const parameters = await page.textContent("#parameters");
    expect(parameters).toMatch(/^[\d,]+ of [\d,]+$/);
    await page.fill("[type=range]", "0");
    const adapted = await write();
    await page.uncheck("[name=withAdapter]");
    expect(await write()).not.toBe(adapted);
    const config = JSON.parse(String(await download("adapter_config.json")));
    expect(config).toMatchObject({ peft_type: "LORA", r: 4 });
    const weights = await download("adapter_model.safetensors");
    const header = JSON.parse(String(weights.subarray(8, 8 + Number(weights.readBigUInt64LE()))));
    expect(header).toHaveProperty(["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"]);
  });

  test("a reset empties the library's memory", async () => {
    await open({ steps: 5000 });
    await page.click("#start");
    await page.getByRole("img", { name: "Loss curve of" }).waitFor();
    await page.click("#reset");
    await page.getByText("Reset.").waitFor();
    expect(await page.textContent("#memory")).toMatch(/^0\.0 MiB/);
    await page.getByRole("img", { name: "Loss curve, empty" }).waitFor();
  });

  test("a text that is too short is refused in plain words", async () => {
    await open();
    await page.fill("textarea >> visible=true", "Too short.");
    await page.click("#start");
    await page.getByRole("alert").getByText("The text is too short: 10 bytes").waitFor();
    expect(await page.isEnabled("#start")).toBe(true);
  });
});
