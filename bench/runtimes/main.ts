/** The suite as a program: its report is the last line of the output. */
import { run } from "./suite.js";

console.log(JSON.stringify(await run()));
