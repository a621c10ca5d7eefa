/**
 * What a user waits for: milliseconds from the import to the first result in a fresh process, and KiB to download, all
 * JavaScript and the one WebAssembly variant that runs, minified and gzipped. Needs `npm run build`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { build as bundleByVite } from "vite";
import { median, table } from "./harness.js";
import { onnxModel } from "./onnx.js";
import { type Result, runtime, writeSuite } from "./results.js";

const ROUNDS = 9;

interface Entry {
  library: string;
  /** Statements from the import to the first result, run in `folder`. */
  program: string;
  /** Where it is not 1. */
  threads?: number;
  /** What a page imports: all there is. */
  download?: string;
  /** A page that trains a small network, of which a bundler keeps what it needs. */
  training?: string;
  /** The WebAssembly module that comes with it, if it lies beside the JavaScript. */
  wasm?: string;
  folder: string;
}

const modules = "bench/peers/node_modules";

/** wasmgrad's. */
const start = (threads: number) =>
  `const { init, F, tensor } = await import("./dist/node/index.js"); await init({ threads: ${threads} });
    F.add(tensor([1]), tensor([2])).item();`;

const entries: Entry[] = [
  {
    library: "wasmgrad",
    program: start(1),
    download: 'export * from "./dist/browser/index.js";',
    training: `import { F, init, nn, optim, randn, scope } from "./dist/modules/index.js"; await init();
      const model = new nn.Sequential(new nn.Linear(2, 32), new nn.Tanh(), new nn.Linear(32, 1));
      const optimizer = new optim.AdamW(model.parameters());
      scope(() => { F.mseLoss(model.forward(randn([64, 2])), randn([64, 1])).backward(); optimizer.step(); });`,
    folder: ".",
  },
  { library: "wasmgrad", threads: 2, program: start(2), folder: "." },
  {
    library: "TensorFlow.js wasm",
    program: `const tf = (await import("@tensorflow/tfjs-core")).default; await import("@tensorflow/tfjs-backend-wasm");
      await tf.setBackend("wasm"); await tf.ready(); tf.add(tf.tensor([1]), tf.tensor([2])).dataSync();`,
    download: 'export * from "@tensorflow/tfjs-core"; export * from "@tensorflow/tfjs-backend-wasm";',
    wasm: `${modules}/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm`,
    folder: "bench/peers",
  },
  {
    library: "jax-js wasm",
    program: `const jax = await import("@jax-js/jax"); await jax.init("wasm"); jax.defaultDevice("wasm");
      await jax.numpy.array([1]).add(jax.numpy.array([2])).data();`,
    download: 'export * from "@jax-js/jax";',
    folder: "bench/peers",
  },
  {
    library: "onnxruntime-web",
    program: `const ort = await import("onnxruntime-web"); ort.env.wasm.numThreads = 1;
      const model = Buffer.from(process.env.MODEL, "base64");
      const session = await ort.InferenceSession.create(model);
      await session.run({ x: new ort.Tensor("float32", new Float32Array(4), [2, 2]) });`,
    download: 'export * from "onnxruntime-web/wasm";',
    wasm: `${modules}/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm`,
    folder: "bench/peers",
  },
  {
    library: "js-pytorch",
    program: `const { torch } = await import("js-pytorch"); torch.add(torch.tensor([1]), torch.tensor([2])).tolist();`,
    download: 'export * from "js-pytorch";',
    folder: "bench/peers",
  },
];

/** A model of one operation for the library that runs only models: y = softmax x. */
function smallModel(): string {
  const nodes = [{ op: "Softmax", inputs: ["x"], output: "y" }];
  return onnxModel({ nodes, shape: [2, 2], outputShape: [2, 2] }).toString("base64");
}

/** Milliseconds, as the process itself sees them; null where it fails. */
function startOnce({ program, folder }: Entry, env: NodeJS.ProcessEnv): number | null {
  const code = `const begin = performance.now(); ${program} process.stdout.write("\\n" + (performance.now() - begin) + "\\n"); process.exit(0);`;
  const { status, stdout } = spawnSync(process.execPath, [...process.execArgv, "--input-type=module", "-e", code], {
    cwd: folder,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return status === 0 ? Number(stdout.trim().split("\n").at(-1)) : null;
}

const gzipped = (bytes: Uint8Array) => gzipSync(bytes, { level: 9 }).length;

/** Bytes of what a browser fetches; of wasmgrad's two inlined variants, the one with relaxed SIMD. */
async function downloadBytes(page: string, { wasm, folder }: Entry): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: page, resolveDir: folder },
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "browser",
    outdir: "build/download",
    legalComments: "none",
    external: ["fs", "path", "os", "perf_hooks", "worker_threads", "module", "util", "crypto", "node:*"],
    loader: { ".wasm": "empty" },
    write: false,
    logLevel: "silent",
  });
  const fetched = outputFiles.filter(({ path }) => !/[/\\]simd\.gen/.test(path));
  const script = fetched.reduce((sum, { contents }) => sum + gzipped(contents), 0);
  return script + (wasm ? gzipped(readFileSync(wasm)) : 0);
}

/** The same of wasmgrad bundled by Vite, which also leaves out layers and optimizers that a page does not use. */
async function viteBytes(page: string): Promise<number> {
  const { output } = (await bundleByVite({
    configFile: false,
    logLevel: "silent",
    plugins: [
      {
        name: "page",
        resolveId: (id) => (id === "page" ? id : undefined),
        load: (id) => (id === "page" ? page.replace(/"\.\/dist/, `"${resolve("dist")}`) : undefined),
      },
    ],
    build: { target: "es2022", write: false, rollupOptions: { input: "page" } },
  })) as { output: { fileName: string; code: string }[] };
  const fetched = output.filter(({ fileName }) => !/[/\\]simd\.gen/.test(fileName));
  return fetched.reduce((sum, { code }) => sum + gzipped(Buffer.from(code)), 0);
}

const present = entries.filter(({ folder }) => folder === "." || existsSync(modules));
if (!existsSync("dist/browser/index.js")) throw new Error("startup: the package must be built, run `npm run build`");
const env = { ...process.env, MODEL: smallModel() };
const times = present.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, entry] of present.entries()) {
    const milliseconds = startOnce(entry, env);
    if (milliseconds !== null) times[i].push(milliseconds);
  }
}

const results: Result[] = [];
const lines: string[][] = [["library", "first result, ms", "download, KiB"]];
const show = (kib: number | null | undefined) => kib?.toFixed(0) ?? "–";
for (const [i, entry] of present.entries()) {
  const { library, threads = 1, download, training } = entry;
  const common = { library, runtime, threads };
  const seconds = times[i].length > 0 ? median(times[i]) / 1000 : undefined;
  const first = seconds === undefined ? { why: "does not start in Node" } : { seconds };
  results.push({ ...common, row: "import, init and first operation, fresh process", ...first });
  const measure = async (row: string, bytes: Promise<number>) => {
    const kib = await bytes.then(
      (bytes) => bytes / 1024,
      () => null,
    );
    const size = kib === null ? { why: "cannot be bundled" } : { rate: { value: kib, unit: "KiB" as const } };
    results.push({ ...common, row, ...size });
    return kib;
  };
  const kib = download && (await measure("download, gzip", downloadBytes(download, entry)));
  if (training) {
    const row = "download of a page that trains a small network, gzip";
    const kept = [await measure(row, downloadBytes(training, entry))];
    kept.push(await measure(`${row}, bundled by Vite`, viteBytes(training)));
    console.log(`${library}, a page that trains a small network: ${kept.map(show).join(" KiB, by Vite ")} KiB`);
  }
  const label = threads > 1 ? `${library}, ${threads} threads` : library;
  lines.push([label, seconds === undefined ? "–" : (1000 * seconds).toFixed(1), download ? show(kib as number) : ""]);
}
console.log(table(lines));
writeSuite("startup", results);
