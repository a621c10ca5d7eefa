/**
 * The build: asc (every variant) → typed bindings → inlined variants → declarations → bundles, and modules for bundlers.
 * `node scripts/build.mjs wasm` stops after the inlined variants, which is all that tests and type checks need.
 */
import { execFile, spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, relative, resolve } from "node:path";
import { promisify } from "node:util";
import asc from "assemblyscript/asc";
import { build as bundle } from "esbuild";
import { parameterNames, typedKernels } from "./bindings.mjs";
import TailsApart from "./tails.mjs";

const variants = ["simd", "relaxed-simd"];

async function compile(variant) {
  const { error, stderr } = await asc.main(["assembly/index.ts", "--target", variant], { transforms: [TailsApart] });
  if (error) throw new Error(`asc --target ${variant}: ${error.message}\n${stderr.toString()}`);
}

/** Each variant is gzipped, then base64: 1.01 × the gzipped size on the wire, against 1.42 × for base64 of the raw module. */
async function inline(variant) {
  const wasm = await readFile(`build/${variant}.wasm`);
  const gzip = ["scripts/gzip.mjs", `build/${variant}.wasm`];
  const { stdout } = await promisify(execFile)(process.execPath, gzip, { encoding: "buffer" });
  const base64 = stdout.toString("base64");
  await writeFile(
    `src/wasm/${variant}.gen.ts`,
    `/** build/${variant}.wasm, gzipped, base64 */\nexport const inlined: string =\n  "${base64}";\n`,
  );
  return `${variant} ${(wasm.length / 1024).toFixed(1)} KiB (${((base64.length * 0.75) / 1024).toFixed(1)} gzipped)`;
}

async function wasm() {
  for (const variant of variants) await compile(variant);
  const declarations = await readFile("build/simd.d.ts", "utf8");
  await writeFile("src/wasm/kernels.gen.ts", typedKernels(declarations));
  await writeFile("src/wasm/parameters.gen.ts", parameterNames(declarations));
  await worker();
  console.log(`wasm: ${(await Promise.all(variants.map(inline))).join(", ")}`);
}

/** The program of a thread as a text, which starts without a file of its own: it defines `pool`. */
async function worker() {
  const { outputFiles } = await bundle({
    entryPoints: ["src/wasm/poolWorker.ts"],
    bundle: true,
    format: "iife",
    globalName: "pool",
    target: "es2022",
    minify: true,
    write: false,
  });
  const text = JSON.stringify(outputFiles[0].text.trim());
  await writeFile(
    "src/wasm/poolWorker.gen.ts",
    `/** src/wasm/poolWorker.ts, bundled: defines \`pool\` */\nexport const source: string =\n  ${text};\n`,
  );
}

function declarations() {
  const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("tsc: declarations failed");
}

const shared = {
  bundle: true,
  format: "esm",
  splitting: true,
  target: "es2022",
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "none",
};

async function bundles() {
  const published = {
    ...shared,
    minifyIdentifiers: true,
    // Node prints the line of an uncaught error.
    lineLimit: 160,
    plugins: [namedClasses],
    entryPoints: { index: "src/index.ts" },
    sourcemap: true,
  };
  await Promise.all([
    bundle({ ...published, plugins: [namedClasses, notGzipped], outdir: "dist/node", platform: "node" }),
    bundle({ ...published, outdir: "dist/browser", platform: "browser" }),
    bundle({
      ...shared,
      entryPoints: { wasmgrad: "src/cli/wasmgrad.ts" },
      outdir: "dist/cli",
      platform: "node",
      banner,
    }),
    modules(),
  ]);
  await chmod("dist/cli/wasmgrad.js", 0o755);
  await mkdir("dist/wasm", { recursive: true });
  for (const variant of variants) await copyFile(`build/${variant}.wasm`, `dist/wasm/${variant}.wasm`);
}

/** Layers and errors print their names, which minifying would take. Not by a static block: to compile those takes the import 2 ms. */
const namedClasses = {
  name: "named-classes",
  setup(build) {
    build.onLoad(
      { filter: /src[/\\](?:(?:nn|models|lora|quant|optim)[/\\][^.]*|errors|tensor)\.ts$/ },
      async ({ path }) => {
        const contents = (await readFile(path, "utf8")).replaceAll(
          /^(?:export )?class (\w+)(?:.*\{\}|[\s\S]*?\n\})$/gm,
          (code, name) => `${code}\nObject.defineProperty(${name}, "name", { value: "${name}" });`,
        );
        return { contents, loader: "ts" };
      },
    );
  },
};

/** What comes from a disk is there sooner as it is: 2 ms of init (bench/startup). */
const notGzipped = {
  name: "not-gzipped",
  setup(build) {
    build.onLoad({ filter: /simd\.gen\.ts$/ }, async ({ path }) => {
      const base64 = await readFile(`build/${basename(path, ".gen.ts")}.wasm`, "base64");
      return { contents: `export const inlined = "${base64}";` };
    });
  },
};

/** The browser's side of the package's own imports. */
const browserModules = { "#files": "io/files", "#bytes": "wasm/bytes", "#workers": "wasm/workers" };

/** One file for each of the source: a bundler leaves out what a page does not use, which it cannot from a bundle. */
async function modules() {
  const sources = await readdir("src", { recursive: true });
  const isWanted = (file) => /\.ts$/.test(file) && !/\.d\.ts$|\.node\.ts$|^cli\b/.test(file);
  const { outputFiles } = await bundle({
    entryPoints: sources.filter(isWanted).map((file) => `src/${file}`),
    outdir: "dist/modules",
    outbase: "src",
    format: "esm",
    target: "es2022",
    write: false,
  });
  for (const { path, text } of outputFiles) {
    const up = relative(dirname(path), resolve("dist/modules")).replaceAll("\\", "/") || ".";
    const code = text.replaceAll(/"(#\w+)"/g, (_, name) => `"${up}/${browserModules[name]}.browser.js"`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, code);
  }
}

// CommonJS dependencies of the command line (commander, cli-progress) require Node's own modules.
const banner = { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' };

await wasm();
if (process.argv[2] !== "wasm") {
  await rm("dist", { recursive: true, force: true });
  declarations();
  await bundles();
}
