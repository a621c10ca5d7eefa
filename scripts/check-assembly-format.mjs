/**
 * Checks the formatting of the AssemblyScript files; with `--write`, formats them. Biome takes AssemblyScript's
 * top-level decorators (`@inline function`) for an error, but formats what is around it when it reads from stdin.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folders = ["assembly", "bench/assembly"];

function sources(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

// The name is one that biome.json does not exclude.
const biome = [
  "node_modules/@biomejs/biome/bin/biome",
  "format",
  "--format-with-errors=true",
  "--stdin-file-path=kernel.ts",
];

function formatted(file, source) {
  const { stdout, stderr } = spawnSync(process.execPath, biome, { input: source, encoding: "utf8" });
  if (source !== "" && stdout === "") throw new Error(`${file}: Biome printed nothing\n${stderr}`);
  return stdout;
}

const write = process.argv.includes("--write");
let wrong = 0;
for (const file of folders.filter((folder) => existsSync(folder)).flatMap(sources)) {
  const source = readFileSync(file, "utf8");
  const wanted = formatted(file, source);
  if (source === wanted) continue;
  if (write) writeFileSync(file, wanted);
  else wrong++;
  console.log(`${write ? "formatted" : "not formatted (npm run format does it)"}: ${file}`);
}
process.exitCode = wrong === 0 ? 0 : 1;
