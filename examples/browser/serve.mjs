/** Serves the checkout as plain files and prints the page's address. `PORT` chooses the port; a taken one gives the next. */
import { fileURLToPath } from "node:url";
import { preview } from "vite";

const headers = {
  // Cross-origin isolation: shared memory, which threads need.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  // The page and its worker cannot reach any other server, so what is typed here cannot leave.
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; img-src 'self' data:; form-action 'none'",
};

const server = await preview({
  configFile: false,
  logLevel: "error",
  root: fileURLToPath(new URL("../..", import.meta.url)),
  appType: "mpa",
  build: { outDir: "." },
  preview: { port: Number(process.env.PORT ?? 4173), headers },
});
console.log(`${server.resolvedUrls.local[0]}examples/browser/`);

// Ends with the process that forked it, if one did.
process.on("disconnect", () => process.exit());
