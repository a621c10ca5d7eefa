import { type Files, fetchBytes, joinUrl, urlExists } from "./files.js";
import { openUrl } from "./remote.js";

export const files: Files = {
  readFile: fetchBytes,

  async readText(url) {
    return new TextDecoder().decode(await fetchBytes(url));
  },

  openFile: openUrl,

  async writeFileAtomic(path) {
    throw readOnly("writeFileAtomic", path);
  },

  writeFileAtomicSync(path) {
    throw readOnly("writeFileAtomicSync", path);
  },

  async remove(path) {
    throw readOnly("remove", path);
  },

  async listDirectory(path) {
    throw new Error(`listDirectory: a folder must be on a file system, got the address ${path}; name its files`);
  },

  exists: urlExists,

  async directoryExists(path, file) {
    const response = await fetch(joinUrl(path, file), { method: "HEAD" });
    // a page is what some servers show for a file that they lack
    return response.ok && !response.headers.get("content-type")?.startsWith("text/html");
  },

  join: joinUrl,
  cacheDirectory: () => "",
  environment: () => undefined,
};

function readOnly(op: string, path: string): Error {
  return new Error(`${op}: files must be written outside a browser, got ${path}; use the returned bytes`);
}
