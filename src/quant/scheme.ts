/** How weights become codes; assembly/quant.ts describes the formats. */
export interface Scheme {
  readonly name: "log4" | "int8" | "nf4" | "int4";
  /** Of a weight's code. */
  readonly bits: 4 | 8;
  /** Elements that share a scale unless an option says otherwise: these many, or a row (the last dimension). */
  readonly blockSize: number | "row";
  /** @internal The kernels' number for it. */
  readonly id: number;
}

/**
 * Sign and a 3-bit exponent e: 0, or ±scale · 2^(e − 7) for e from 1 to 7. Every one of the 16 codes is valid (0 and 8
 * are both 0). A weight comes back with a relative error of at most 1/3 from 0.75 · scale/64 on, below that with an
 * absolute one of at most scale/128; above 1.5 · scale, where a scale was given, as ±scale.
 */
export const log4: Scheme = { name: "log4", bits: 4, blockSize: 64, id: 1 };

/** Whole numbers from −127 to 127 times a scale for each row, which is its greatest magnitude / 127. */
export const int8: Scheme = { name: "int8", bits: 8, blockSize: "row", id: 0 };

/**
 * 4-bit NormalFloat: quantiles of a normal distribution, times the block's greatest magnitude; these scales are kept in
 * 8 bits (double quantization). Codes are those of bitsandbytes. Dettmers et al. 2023, "QLoRA", section 3
 */
export const nf4: Scheme = { name: "nf4", bits: 4, blockSize: 64, id: 2 };

/** scale · (code − zero) with codes and zero points from 0 to 15, by groups. Jacob et al. 2018 */
export const int4: Scheme = { name: "int4", bits: 4, blockSize: 64, id: 3 };

export type SchemeName = Scheme["name"];

const schemes: readonly Scheme[] = [log4, int8, nf4, int4];

/** The scheme itself, or the one of that name. */
export function schemeOf(op: string, scheme: Scheme | SchemeName): Scheme {
  const found = schemes.find((each) => each === scheme || each.name === scheme);
  if (!found) {
    const names = schemes.map(({ name }) => `"${name}"`).join(", ");
    throw new Error(`${op}: the scheme must be one of ${names}, got ${JSON.stringify(scheme)}`);
  }
  return found;
}
