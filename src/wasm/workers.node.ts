import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { source } from "./poolWorker.gen.js";
import type { Workers } from "./workers.js";

export const workers: Workers = {
  cores: availableParallelism,
  refusedAtOnce: true,
  start(data, report, lost) {
    const program = `const { parentPort, workerData } = require("node:worker_threads");
${source}
pool.serve(workerData, (report) => parentPort.postMessage(report));`;
    // Without the options of the process: loaders are not for this program, and --input-type would make it a module.
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: data, name: "wasmgrad" });
    worker.on("message", report);
    worker.on("error", (error) => lost(String(error)));
    worker.on("exit", (code) => lost(`it ended with code ${code}`));
    worker.unref(); // an idle pool does not keep the process alive; after the listeners, which would again
    return { terminate: () => worker.terminate() };
  },
};
