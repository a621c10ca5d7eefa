import { keep, scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { offsetBy, type Ptr, uint8View } from "../wasm/memory.js";
import { ranking } from "./selection.js";

/** The individuals of one generation, by number. */
export class Individuals {
  /** Rows of packed codes: [size, bytes] (uint8). */
  readonly codes: Tensor;
  /** NaN where it is invalid or not known. */
  readonly losses: number[];
  /** Whose loss has been taken. */
  readonly evaluated: boolean[];

  constructor(
    readonly size: number,
    readonly bytes: number,
    /** With what probability each bit of a child flips. */
    readonly rates: number[],
  ) {
    this.codes = scope(() => keep(empty([size, bytes], "uint8").fillWith(0)));
    this.losses = new Array<number>(size).fill(Number.NaN);
    this.evaluated = new Array<boolean>(size).fill(false);
  }

  /** Where the codes of individual `i` begin. */
  row(i: number): Ptr {
    return offsetBy(this.codes.ptr, i * this.bytes);
  }

  setLoss(i: number, loss: number): void {
    this.losses[i] = loss;
    this.evaluated[i] = true;
  }

  /** The numbers of those whose loss has not been taken. */
  get pending(): number[] {
    return this.evaluated.flatMap((done, i) => (done ? [] : i));
  }

  get isUntried(): boolean {
    return !this.evaluated.includes(true);
  }

  /** The number of the best. */
  get best(): number {
    return ranking([...this.losses.keys()], this.losses)[0];
  }

  /** Gives individual `i` the codes of another, or of one in another generation. */
  copy(i: number, from: number, source: Individuals = this): void {
    uint8View(this.row(i), this.bytes).set(uint8View(source.row(from), this.bytes));
  }

  dispose(): void {
    this.codes.dispose();
  }
}
