import { source } from "./poolWorker.gen.js";
import type { WorkerReport } from "./poolWorker.js";
import type { PoolWorker, Workers } from "./workers.js";

const program = `${source}
onmessage = ({ data }) => pool.serve(data, (report) => postMessage(report));`;

export const workers: Workers = {
  cores: () => globalThis.navigator?.hardwareConcurrency ?? 1,
  refusedAtOnce: false, // a content-security policy is heard of by an event
  start(data, report, lost): PoolWorker {
    // A Blob needs no file that a bundler, or a page on another origin than the library's, would have to find.
    const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    const worker = new Worker(url, { name: "wasmgrad" });
    worker.onmessage = ({ data }: MessageEvent<WorkerReport>) => report(data);
    worker.onerror = (event) => {
      event.preventDefault();
      lost(event.message || "it could not be started (does the content security policy allow worker-src blob: ?)");
    };
    worker.postMessage(data);
    return {
      terminate() {
        worker.terminate();
        URL.revokeObjectURL(url);
        return undefined;
      },
    };
  },
};
