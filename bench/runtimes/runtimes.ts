/** Where the runtimes are, and how a program runs in each. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { browserFlags, findBrowser } from "../../scripts/find-browser.mjs";
import { withPage } from "../pages.js";
import type { Report } from "./suite.js";

export interface Runtime {
  name: string;
  /** With its version; undefined where it is absent. */
  find: () => Promise<string | undefined>;
  run: () => Promise<Report>;
}

const here = "bench/runtimes";
const built = "build/bench/runtimes";
const PATIENCE_MILLISECONDS = 10 * 60_000;

const suffix = process.platform === "win32" ? ".exe" : "";

/** A program of the packages that `npm run bench:runtimes` installs. */
function packaged(path: string): string | undefined {
  return [join(here, "node_modules", path + suffix)].find(existsSync);
}

function onPath(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name + suffix))).find(existsSync);
}

function versionOf(path: string | undefined): string | undefined {
  return path && spawnSync(path, ["--version"], { encoding: "utf8" }).stdout?.match(/\d+\.\d+[\d.]*/)?.[0];
}

/** A runtime of the command line. */
function commandLine(name: string, path: () => string | undefined, args: readonly string[] = []): Runtime {
  return {
    name,
    find: async () => versionOf(path()),
    run: () => lastLine(spawn(path() as string, [...args, `${built}/main.mjs`], { stdio: ["ignore", "pipe", "pipe"] })),
  };
}

async function lastLine(child: ChildProcess): Promise<Report> {
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream]?.on("data", (chunk) => {
      output[stream] += chunk;
    });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MILLISECONDS);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  if (code !== 0) throw new Error(`it must end by itself with 0, got ${code}: ${output.stderr.trim().slice(-300)}`);
  return JSON.parse(output.stdout.trim().split("\n").at(-1) as string);
}

declare const report: Promise<Report> | undefined;

/** Evaluated in the page. */
async function pageReport(): Promise<Report> {
  while (typeof report === "undefined") await new Promise((resolve) => setTimeout(resolve, 20));
  return report;
}

const chromium: Runtime = {
  name: "Chromium",
  find: async () => versionOf(await findBrowser().catch(() => undefined)),
  run: async () => {
    const { chromium } = await import("playwright");
    const browser = await chromium.launch({ executablePath: await findBrowser(), args: [...browserFlags] });
    try {
      const page = await browser.newPage();
      return await withPage([built], "page.mjs", async (url) => {
        await page.goto(url);
        return page.evaluate(pageReport);
      });
    } finally {
      await browser.close();
    }
  },
};

/** What is used of puppeteer-core, which is installed on demand. */
interface Puppeteer {
  launch(options: object): Promise<{
    newPage(): Promise<{ goto(url: string): Promise<unknown>; evaluate(fn: () => Promise<Report>): Promise<Report> }>;
    close(): Promise<void>;
  }>;
}

const puppeteer = `${here}/node_modules/puppeteer-core`;

const firefox: Runtime = {
  name: "Firefox",
  find: async () => (existsSync(puppeteer) ? versionOf(onPath("firefox", "firefox-esr")) : undefined),
  run: async () => {
    const entry = join(process.cwd(), puppeteer, JSON.parse(readFileSync(`${puppeteer}/package.json`, "utf8")).main);
    const { default: library }: { default: Puppeteer } = await import(entry);
    const executablePath = onPath("firefox", "firefox-esr");
    const browser = await library.launch({
      browser: "firefox",
      executablePath,
      protocolTimeout: PATIENCE_MILLISECONDS,
    });
    try {
      const page = await browser.newPage();
      return await withPage([built], "page.mjs", async (url) => {
        await page.goto(url);
        return page.evaluate(pageReport);
      });
    } finally {
      await browser.close();
    }
  },
};

/** npm's names of a platform. */
const platform = `${process.platform}-${process.arch}`;
const bunPlatform = platform.replace("arm64", "aarch64");
const denoPlatform = process.platform === "linux" ? `${platform}-glibc` : platform;

export const runtimes: readonly Runtime[] = [
  // This Node, with the flag that its relaxed SIMD may need, and a newer one.
  commandLine("Node", () => process.execPath, process.execArgv),
  commandLine("Node", () => packaged(`node-${platform}/bin/node`)),
  commandLine("Bun", () => packaged(`@oven/bun-${bunPlatform}/bin/bun`) ?? onPath("bun")),
  commandLine("Deno", () => packaged(`@deno/${denoPlatform}/deno`) ?? onPath("deno"), ["run", "--allow-all"]),
  chromium,
  firefox,
];
