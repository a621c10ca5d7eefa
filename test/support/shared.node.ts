/** The data beside the project (../shared): a real pretrained model, a text, a PyTorch + PEFT run. Not part of it. */
import { existsSync, readFileSync } from "node:fs";

export const stories = "../shared/models/stories260k";
export const reference = "../shared/reference/lora-stories260k";
export const shakespeare = "../shared/data/tinyshakespeare.txt";

/** Why tests on that data cannot run, false where they can. */
export const missingSharedData: string | false = [stories, reference, shakespeare].every((path) => existsSync(path))
  ? false
  : "../shared (a pretrained model and a reference run) is not beside the project";

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8"));
}

export function readText(path: string): string {
  return readFileSync(path, "utf8");
}
