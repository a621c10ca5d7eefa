/** Files at addresses, read as they come. */
import { bytesAccess, type RandomAccess, responseBytes } from "./files.js";

/**
 * A file at an address. What is read in the order of the file is fetched once and never held whole; going back asks for
 * the rest again, from there where the server can.
 * Errors: a request that fails; a file that ends early.
 */
export async function openUrl(url: string, signal?: AbortSignal): Promise<RandomAccess> {
  const response = await request(url, 0, signal);
  const size = sizeOf(response);
  if (size === null) return bytesAccess(await responseBytes(response, url), url);
  return new RemoteFile(url, size, new Flow(response, 0), signal);
}

class RemoteFile implements RandomAccess {
  constructor(
    readonly name: string,
    readonly size: number,
    private flow: Flow | null,
    private readonly signal: AbortSignal | undefined,
  ) {
    signal?.addEventListener("abort", this.rest);
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    this.signal?.throwIfAborted();
    if (this.flow && this.flow.position > begin) this.rest();
    this.flow ??= await this.from(begin);
    const bytes = await this.flow.take(begin, end);
    this.signal?.throwIfAborted();
    if (bytes.length < end - begin) {
      throw new Error(`read: ${this.name} must have ${this.size} bytes, got ${begin + bytes.length}`);
    }
    return bytes;
  }

  /** Lets go of the connection; the next read makes another. */
  rest = (): void => {
    this.flow?.stop();
    this.flow = null;
  };

  async close(): Promise<void> {
    this.signal?.removeEventListener("abort", this.rest);
    this.rest();
  }

  private async from(begin: number): Promise<Flow> {
    const response = await request(this.name, begin, this.signal);
    return new Flow(response, response.status === 206 ? begin : 0);
  }
}

/** The bytes of a response, from `position` in the file on. */
class Flow {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private chunk: Uint8Array = new Uint8Array();

  constructor(
    response: Response,
    public position: number,
  ) {
    this.reader = (response.body as ReadableStream<Uint8Array>).getReader();
  }

  /** The bytes from `begin`, which has not been passed, to before `end`; fewer where the response ends. */
  async take(begin: number, end: number): Promise<Uint8Array> {
    while (this.position < begin && (await this.fill())) this.advance(begin - this.position);
    const bytes = new Uint8Array(end - begin);
    let at = 0;
    while (at < bytes.length && (await this.fill())) {
      const part = this.chunk.subarray(0, bytes.length - at);
      bytes.set(part, at);
      at += part.length;
      this.advance(part.length);
    }
    return bytes.subarray(0, at);
  }

  stop(): void {
    this.reader.cancel().catch(() => {}); // a connection that broke has been reported
  }

  /** Whether there is a byte to take. */
  private async fill(): Promise<boolean> {
    while (this.chunk.length === 0) {
      const { done, value } = await this.reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || !value) return false;
      this.chunk = value;
    }
    return true;
  }

  private advance(count: number): void {
    const passed = Math.min(count, this.chunk.length);
    this.chunk = this.chunk.subarray(passed);
    this.position += passed;
  }
}

async function request(url: string, begin: number, signal: AbortSignal | undefined): Promise<Response> {
  const response = await fetch(url, { signal, ...(begin > 0 ? { headers: { Range: `bytes=${begin}-` } } : {}) });
  if (response.ok) return response;
  throw new Error(`fetch: ${url} must be readable, got ${response.status} ${response.statusText}`);
}

/** Null where the server does not say, or says how long a compressed answer is. */
function sizeOf({ headers, body }: Response): number | null {
  const length = headers.get("content-length");
  return length === null || body === null || headers.get("content-encoding") ? null : Number(length);
}
