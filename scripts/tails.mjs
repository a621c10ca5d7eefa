/**
 * A transform of asc: Binaryen is not to inline the loads and stores of tails into every loop, which takes 8 % of the
 * gzipped module (bench/bandwidth and bench/activation show no difference).
 */
import { Transform } from "assemblyscript/transform";

export default class extends Transform {
  afterCompile(module) {
    this.binaryen.setPassArgument("no-inline", "assembly/simd/*Tail");
    module.runPasses(["no-inline"]);
    this.binaryen.clearPassArguments();
  }
}
