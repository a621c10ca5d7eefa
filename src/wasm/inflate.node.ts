import { gunzipSync } from "node:zlib";

/** In Node 3 ms, where streams and `Response`, which loads an HTTP client, take 30 to start (bench/startup). */
export async function inflate(gzipped: string): Promise<Uint8Array<ArrayBuffer>> {
  return gunzipSync(Buffer.from(gzipped, "base64"));
}
