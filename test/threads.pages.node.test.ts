import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findBrowser } from "../scripts/find-browser.mjs";

const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const strict = { "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" };

const program = `
import { F, init, randn, runtimeInfo, manualSeed } from "/index.js";
let outcome;
try {
  await init({ threads: 2, simd: "baseline" });
  manualSeed(1);
  const x = randn([300, 300]);
  outcome = { ...runtimeInfo(), bits: [...new Int32Array(F.sum(F.matmul(x, x), { dim: 0 }).data().buffer)] };
} catch (error) {
  outcome = { error: String(error) };
}
console.log(JSON.stringify(outcome));`;

describe.skipIf(!existsSync("dist/browser/index.js"))("threads in a page (needs dist: npm run build)", () => {
  let browser: Browser;
  let server: Server;
  let headers: Record<string, string> = {};

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const path = request.url ?? "/";
      const text = { "/": '<script type="module" src="/main.js"></script>', "/main.js": program }[path];
      const type = path === "/" ? "text/html" : "text/javascript";
      const body = text ?? (await readFile(`dist/browser${path}`).catch(() => undefined));
      response.writeHead(body === undefined ? 404 : 200, { ...headers, "Content-Type": type }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    browser = await chromium.launch({ executablePath: await findBrowser(), args: ["--no-sandbox", "--disable-gpu"] });
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  async function run(served: Record<string, string>): Promise<{ bits: number[] }> {
    headers = served;
    const page = await browser.newPage();
    const outcome = page.waitForEvent("console", (message) => message.type() === "log");
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const result = JSON.parse((await outcome).text());
    await page.close();
    return result;
  }

  test("with cross-origin isolation, without it and without leave to start workers: the same bits", async () => {
    const isolated = await run(isolation);
    expect(isolated).toMatchObject({ threads: 2, sharedMemory: true });
    const plain = await run({});
    expect(plain).toMatchObject({ threads: 1, reason: expect.stringMatching(/not cross-origin isolated/) });
    const refused = await run({ ...isolation, ...strict });
    expect(refused).toMatchObject({
      threads: 1,
      reason: expect.stringMatching(/workers must start.*content security/),
    });
    expect(isolated.bits).toHaveLength(300);
    expect(plain.bits).toEqual(isolated.bits);
    expect(refused.bits).toEqual(isolated.bits);
  });
});
