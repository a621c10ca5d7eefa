/** The suite as a page: the promise `report` resolves with its report. */
import { run } from "./suite.js";

Object.assign(globalThis, { report: run() });
