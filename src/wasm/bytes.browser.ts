/** The bytes of an inlined variant, where `#bytes` (package.json) finds no `node:zlib`. */
export async function inflate(inlined: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Uint8Array.from(atob(inlined), (c) => c.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

export function responseOf(url: URL): Promise<Response> {
  return fetch(url);
}
