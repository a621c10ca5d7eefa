/** The package has them for Node as they are: to inflate takes 2 ms, streams and `Response`, as elsewhere, 30 (bench/startup). */
export async function inflate(inlined: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Buffer.from(inlined, "base64");
  const isGzipped = bytes[0] === 0x1f;
  return isGzipped ? (await import("node:zlib")).gunzipSync(bytes) : bytes;
}

/** Node fetches no files. */
export async function responseOf(url: URL): Promise<Response> {
  return url.protocol === "file:" ? new Response(await (await import("node:fs/promises")).readFile(url)) : fetch(url);
}
