import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import * as esbuild from "esbuild";
import { type Browser, chromium } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserFlags, findBrowser } from "../scripts/find-browser.mjs";

/** A page that trains a small network, with functions and methods. */
const page = `
import { F, init, nn, optim, randn, scope } from ${JSON.stringify(resolve("dist/modules/index.js"))};
init().then(() => {
  const model = new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 1));
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const losses = Array.from({ length: 20 }, () =>
    scope(() => {
      const loss = F.mseLoss(model.forward(randn([64, 2])), randn([64, 1]).mul(0).add(3));
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.item();
    }),
  );
  console.log(losses[19] < losses[0] ? "it learns" : "it does not: " + losses);
}).catch((error) => console.log(String(error)));`;

const bundlers: Record<string, (entry: string, outdir: string) => Promise<unknown>> = {
  esbuild: (entry, outdir) =>
    esbuild.build({ entryPoints: [entry], outdir, bundle: true, format: "esm", splitting: true, minify: true }),
  async vite(entry, outDir) {
    const { build } = await import("vite");
    await build({
      root: resolve(entry, ".."),
      configFile: false,
      logLevel: "error",
      build: { outDir, rollupOptions: { input: entry, output: { entryFileNames: "main.js" } } },
    });
  },
};

describe.skipIf(!existsSync("dist/modules/index.js"))("bundlers (need dist: npm run build)", () => {
  let browser: Browser;
  let server: Server;
  let folder: string;

  beforeAll(async () => {
    await mkdir("build", { recursive: true });
    folder = await mkdtemp(resolve("build/bundlers-"));
    await writeFile(join(folder, "main.js"), page);
    server = createServer(async (request, response) => {
      if (request.url?.endsWith("/")) {
        response.setHeader("Content-Type", "text/html").end('<script type="module" src="main.js"></script>');
        return;
      }
      const body = await readFile(join(folder, request.url ?? "")).catch(() => undefined);
      response.writeHead(body ? 200 : 404, { "Content-Type": "text/javascript" }).end(body);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    browser = await chromium.launch({ executablePath: await findBrowser(), args: [...browserFlags] });
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(Object.keys(bundlers))(
    "%s keeps the methods of tensors and leaves out what the page does not use",
    async (name) => {
      const outdir = join(folder, name);
      await bundlers[name](join(folder, "main.js"), outdir);
      const scripts = (await readdir(outdir, { recursive: true })).filter((file) => file.endsWith(".js"));
      const texts = await Promise.all(scripts.map((file) => readFile(join(outdir, file), "utf8")));
      expect(texts.join("\n")).not.toMatch(/fromPretrained|adapter_config|safetensors|mutationRate/);

      const opened = await browser.newPage();
      const said = opened.waitForEvent("console", (message) => message.type() === "log");
      await opened.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}/`);
      expect((await said).text()).toBe("it learns");
      await opened.close();
    },
  );
});
