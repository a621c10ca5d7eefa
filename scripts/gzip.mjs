/**
 * `node scripts/gzip.mjs FILE`: writes the file, gzipped by Zopfli, to standard output: 6 % less than zlib's best, in 3 s.
 * A program of its own, as its WebAssembly listens for every error of the process that loads it.
 */
import { readFile } from "node:fs/promises";
import zopfli from "@gfx/zopfli";

process.stdout.write(await zopfli.gzipAsync(await readFile(process.argv[2]), { numiterations: 5 }));
