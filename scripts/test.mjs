/**
 * Runs the suite once in every project of vitest.config.ts and ends with `N passed, N failed[, N skipped]`.
 * Arguments go to vitest: `node scripts/test.mjs test/ops/relu.test.ts --project node`.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBrowser } from "./find-browser.mjs";

function wantsBrowser(args) {
  const projects = args.flatMap((arg, i) =>
    arg === "--project" ? [args[i + 1]] : (arg.match(/^--project=(.*)/)?.[1] ?? []),
  );
  return projects.length === 0 || projects.some((project) => !project?.startsWith("node"));
}

async function vitest(args) {
  const folder = await mkdtemp(join(tmpdir(), "wasmgrad-test-"));
  try {
    const report = join(folder, "report.json");
    const reporters = args.some((arg) => arg.startsWith("--reporter")) ? [] : ["--reporter=default"];
    const { status } = spawnSync(
      process.execPath,
      [
        "node_modules/vitest/vitest.mjs",
        "run",
        ...reporters,
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...args,
      ],
      { stdio: "inherit" },
    );
    return { status: status ?? 1, report: await readFile(report, "utf8").then(JSON.parse, () => null) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A file that does not load has no tests to fail: it counts as one failure, and so does a run that dies. */
function count({ status, report }) {
  const files = report?.testResults ?? [];
  const tests = files.flatMap((file) => file.assertionResults);
  const of = (...statuses) => tests.filter((test) => statuses.includes(test.status)).length;
  const broken = files.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  const failed = of("failed") + broken.length;
  return {
    passed: of("passed"),
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: of("skipped", "pending", "todo", "disabled"),
  };
}

const args = process.argv.slice(2);
if (wantsBrowser(args)) process.env.WASMGRAD_BROWSER = await findBrowser();
const { passed, failed, skipped } = count(await vitest(args));
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed === 0 ? 0 : 1;
