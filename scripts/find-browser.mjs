/**
 * The Chromium that the browser tests run in: the one named by WASMGRAD_BROWSER, else an installed one,
 * else one installed now. `node scripts/find-browser.mjs` prints its path.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

/** What a browser without a window, a graphics card and a network needs. */
export const browserFlags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** @returns {Promise<string>} the path of a browser that runs */
export async function findBrowser() {
  const named = process.env.WASMGRAD_BROWSER;
  if (named) {
    if (!isExecutable(named))
      throw new Error(`WASMGRAD_BROWSER: must be the path of a Chromium or Chrome, got ${named}`);
    return named;
  }
  const browser = await installedBrowser();
  return browser ?? installBrowser();
}

/** A browser of the system comes first: it is there already, with the libraries that it needs. */
async function installedBrowser() {
  const candidates = [...onPath(), ...inUsualPlaces(), await playwrightsOwn()];
  return candidates.find((path) => isExecutable(path) && runs(path));
}

function onPath() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
  const suffix = process.platform === "win32" ? ".exe" : "";
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => join(folder, name + suffix)));
}

function inUsualPlaces() {
  if (process.platform === "darwin") {
    const apps = ["Google Chrome", "Chromium"].map((name) => `Applications/${name}.app/Contents/MacOS/${name}`);
    return apps.flatMap((app) => [join("/", app), join(homedir(), app)]);
  }
  if (process.platform === "win32") {
    const { LOCALAPPDATA, ProgramFiles, "ProgramFiles(x86)": programFilesX86 } = process.env;
    const roots = [ProgramFiles, programFilesX86, LOCALAPPDATA].filter((root) => root !== undefined);
    const apps = [
      "Google\\Chrome\\Application\\chrome.exe",
      "Chromium\\Application\\chrome.exe",
      "Microsoft\\Edge\\Application\\msedge.exe",
    ];
    return apps.flatMap((app) => roots.map((root) => join(root, app)));
  }
  return ["/opt/google/chrome/chrome", "/snap/bin/chromium"];
}

async function playwrightsOwn() {
  const { chromium } = await import("playwright");
  return chromium.executablePath();
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Ubuntu's `chromium-browser` may be a stub that only names a snap. Elsewhere `--version` would open a window. */
function runs(path) {
  return process.platform !== "linux" || succeeds(path, ["--version"], { stdio: "ignore", timeout: 30_000 });
}

async function installBrowser() {
  console.log(
    "No Chromium or Chrome found (WASMGRAD_BROWSER can name one); installing Chromium for the browser tests.",
  );
  const installed = (installWithApt() || installWithPlaywright()) && (await installedBrowser());
  if (installed) return installed;
  throw new Error(
    "No browser for the browser tests: installing Chromium failed. Install Chromium or Chrome, or set " +
      "WASMGRAD_BROWSER=/path/to/chrome, or leave them out with `npm test -- --project 'node*'`.",
  );
}

/** Debian's package; Ubuntu's of the same name needs a snap service, so it may install and yet not run. */
function installWithApt() {
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get")) return false;
  const asRoot = process.getuid() === 0 ? [] : ["sudo", "-n"];
  const apt = (...args) => {
    const [command, ...rest] = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...args];
    console.log(`> ${[command, ...rest].join(" ")}`);
    return succeeds(command, rest, { stdio: ["ignore", "inherit", "inherit"] });
  };
  return (
    apt("update", "-q") &&
    apt("install", "-q", "-y", "--no-install-recommends", "chromium") &&
    onPath().some((path) => isExecutable(path) && runs(path))
  );
}

function installWithPlaywright() {
  console.log("> npx playwright install chromium");
  return succeeds(process.execPath, ["node_modules/playwright/cli.js", "install", "chromium"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

function succeeds(command, args, options) {
  return spawnSync(command, args, options).status === 0;
}

// Bundled into another program, this file has that one's address.
const isProgram =
  import.meta.url === pathToFileURL(process.argv[1]).href && import.meta.url.endsWith("/find-browser.mjs");
if (isProgram) console.log(await findBrowser());
