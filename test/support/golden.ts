/** Tensors as the golden files hold them: safetensors, base64. */
import { io, type Tensor } from "../../src/index.js";

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

export async function tensorsOf(base64: string): Promise<Record<string, Tensor>> {
  return (await io.safetensors.parse(bytesOf(base64))).tensors;
}
