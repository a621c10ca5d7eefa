import { describe, test } from "vitest";
import { F } from "../../src/index.js";
import { checkOp } from "../support/checkOp.js";
import { map } from "../support/reference.js";

const shapes = [[[]], [[1]], [[3]], [[4]], [[5]], [[7]], [[16]], [[17]], [[3, 5]], [[0, 3]], [[2, 3, 4]]];

describe("unary operations", () => {
  test("relu", () => checkOp({ op: F.relu, reference: (x) => map(x, (v) => Math.max(v, 0)), shapes }));
});
