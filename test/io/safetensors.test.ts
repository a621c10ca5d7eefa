import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { type DType, F, io, memoryStats, type StateDict, scope, type Tensor, tensor } from "../../src/index.js";
import golden from "../golden/safetensors.json" with { type: "json" };
import { random, size } from "../support/reference.js";

const { parse, serialize, open } = io.safetensors;

/** A file of the given header and data, the header's length before it unless told. */
function fileOf(header: unknown, data: Iterable<number> | number = 0, length?: number | bigint): Uint8Array {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const json = header instanceof Uint8Array ? header : new TextEncoder().encode(text);
  const body = typeof data === "number" ? new Uint8Array(data) : Uint8Array.from(data);
  const bytes = new Uint8Array(8 + json.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  bytes.set(json, 8);
  bytes.set(body, 8 + json.length);
  return bytes;
}

function f32(begin: number, end: number, shape: unknown = [(end - begin) / 4]): object {
  return { dtype: "F32", shape, data_offsets: [begin, end] };
}

function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

function dispose(tensors: StateDict): void {
  for (const x of Object.values(tensors)) x.dispose();
}

/** Values by name, with the tensors released. */
async function valuesOf(file: Uint8Array): Promise<Record<string, number[]>> {
  const { tensors } = await parse(file);
  const values = Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, [...x.data()]]));
  dispose(tensors);
  return values;
}

function bitsOf(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

describe("files of the reference implementation", () => {
  for (const [title, { base64, tensors: expected }] of Object.entries(golden.files)) {
    test(`${title}: names, shapes and values are what it reads`, async () => {
      const { tensors } = await parse(fromBase64(base64));
      expect(Object.keys(tensors).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, { shape, values }] of Object.entries<{ shape: number[]; values: (number | string)[] }>(
        expected,
      )) {
        expect(tensors[name].shape, name).toEqual(shape);
        const numbers = values.map((v) =>
          v === "nan" ? NaN : v === "inf" ? Infinity : v === "-inf" ? -Infinity : Number(v),
        );
        expect([...tensors[name].data()], name).toEqual(numbers);
      }
      dispose(tensors);
    });

    // The other types are read, not written.
    if (title === "read types") continue;
    test(`${title}: written back, the bytes are equal`, async () => {
      const file = fromBase64(base64);
      const { tensors, metadata } = await parse(file);
      expect(serialize(tensors, metadata)).toEqual(file);
      dispose(tensors);
    });
  }

  test("types are float32 for floats, int32 for I64, I32 and I8, uint8, bool", async () => {
    const files = [golden.files["read types"], golden.files["written types"]];
    const parsed = await Promise.all(files.map(({ base64 }) => parse(fromBase64(base64))));
    const tensors: StateDict = Object.assign({}, ...parsed.map((file) => file.tensors));
    const types = Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, x.dtype]));
    expect(types).toEqual({
      f16: "float32",
      bf16: "float32",
      x: "float32",
      i64: "int32",
      i: "int32",
      i8: "int32",
      odd: "uint8",
      u: "uint8",
      flag: "bool",
    });
    dispose(tensors);
  });
});

describe("16-bit floats", () => {
  const sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 65536];

  /** For each size a tensor of the 16-bit patterns from `first` on. */
  function patterns(dtype: string, first: number): Uint8Array {
    const halves = sizes.flatMap((size) => Array.from({ length: size }, (_, i) => (first + i) & 0xffff));
    let end = 0;
    const header = Object.fromEntries(
      sizes.map((size) => {
        const begin = end;
        end += 2 * size;
        return [`n${size}`, { dtype, shape: [size], data_offsets: [begin, end] }];
      }),
    );
    return fileOf(
      header,
      halves.flatMap((h) => [h & 0xff, h >> 8]),
    );
  }

  /** (−1)^s · 2^(e−15) · (1 + m/1024); e = 0: (−1)^s · 2^−14 · m/1024; e = 31: ∞ or NaN */
  function float16(h: number): number {
    const sign = h & 0x8000 ? -1 : 1;
    const e = (h >> 10) & 31;
    const m = h & 1023;
    if (e === 31) return m ? NaN : sign * Infinity;
    return e === 0 ? (sign * 2 ** -14 * m) / 1024 : sign * 2 ** (e - 15) * (1 + m / 1024);
  }

  for (const first of [0, 0x7bfd, 0x8001]) {
    test(`F16: every pattern, at every place, from ${first}`, async () => {
      const values = await valuesOf(patterns("F16", first));
      for (const size of sizes) {
        const expected = Array.from({ length: size }, (_, i) => float16((first + i) & 0xffff));
        expect(
          values[`n${size}`].every((v, i) => Object.is(v, expected[i])),
          `size ${size}`,
        ).toBe(true);
        expect(values[`n${size}`].length).toBe(size);
      }
    });

    test(`BF16: every pattern is the upper half of a float32, from ${first}`, async () => {
      const { tensors } = await parse(patterns("BF16", first));
      for (const size of sizes) {
        const bits = bitsOf(tensors[`n${size}`].data() as Float32Array);
        const expected = Array.from({ length: size }, (_, i) => (((first + i) & 0xffff) << 16) >>> 0);
        // An engine may quieten a signalling NaN.
        expect(
          bits.every((b, i) => b === expected[i] || b === (expected[i] | 0x400000) >>> 0),
          `size ${size}`,
        ).toBe(true);
      }
      dispose(tensors);
    });
  }
});

describe("what is written", () => {
  test("a strided tensor is written as its dense copy", () => {
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 24 }, (_, i) => i),
        { shape: [2, 3, 4] },
      );
      const views = [
        F.permute(x, [2, 0, 1]),
        F.narrow(x, 2, 1, 2),
        F.select(x, 1, 2),
        F.expand(F.narrow(x, 1, 0, 1), [2, 5, 4]),
      ];
      for (const view of views) {
        const copy = tensor(view.data(), { shape: view.shape });
        expect(serialize({ view })).toEqual(serialize({ view: copy }));
      }
    });
  });

  test("the bytes do not depend on the order of keys", () => {
    scope(() => {
      const [a, b, c] = [tensor([1]), tensor([2, 3]), tensor([true])];
      expect(serialize({ a, b, c }, { x: "1", y: "2" })).toEqual(serialize({ c, b, a }, { y: "2", x: "1" }));
    });
  });

  test("metadata comes first and is left out when empty; the header is padded to 8 bytes", () => {
    scope(() => {
      const text = (file: Uint8Array) => new TextDecoder().decode(file);
      const entry = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
      const a = tensor([0]);
      expect(text(serialize({ a }, { b: "2", "\u{1f600}": "é", a: "1" }))).toContain(
        `{"__metadata__":{"a":"1","b":"2","\u{1f600}":"é"},${entry}}`,
      );
      expect(text(serialize({ a }, {})).slice(8)).toBe(`{${entry}}  \0\0\0\0`);
    });
  });

  test("names that JavaScript treats specially survive", async () => {
    const x = tensor([1]);
    const names = ["__proto__", "constructor", "1", "0", "", "a\0b"];
    const file = serialize(Object.fromEntries(names.map((name) => [name, x])));
    expect(Object.keys(await valuesOf(file)).sort()).toEqual([...names].sort());
    x.dispose();
  });

  test("what no file can hold is refused", () => {
    scope(() => {
      const x = tensor([1]);
      expect(() => serialize({ x: [1] as unknown as Tensor })).toThrow(
        'safetensors: every value must be a tensor, got 1 for "x"',
      );
      expect(() => serialize({ __metadata__: x })).toThrow(
        "a tensor's name must be well-formed text other than __metadata__",
      );
      expect(() => serialize({ "\ud800": x })).toThrow(
        'must be well-formed text other than __metadata__, got "\\ud800"',
      );
      expect(() => serialize({ x }, { step: 3 as unknown as string })).toThrow(
        'metadata must be well-formed text, got 3 for "step"',
      );
      expect(() => serialize({ x }, { note: "\udc00" })).toThrow(
        'metadata must be well-formed text, got "\\udc00" for "note"',
      );
    });
  });

  test("any dictionary comes back equal, and its bytes too", async () => {
    const dtypes: DType[] = ["float32", "int32", "uint8", "bool"];
    const anyTensor = fc.record({
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.integer(),
    });
    const name = fc.string({ unit: "binary" }).filter((text) => text !== "__metadata__");
    const metadata = fc.dictionary(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, anyTensor), metadata, async (specs, metadata) => {
        const made = Object.fromEntries(
          Object.entries(specs).map(([key, { dtype, shape, seed }]) => {
            const words = Int32Array.from({ length: size(shape) }, random(seed, -(2 ** 31), 2 ** 31));
            if (dtype === "int32") return [key, tensor(words, { shape })];
            // Bits of NaN may change on the way through an engine's numbers.
            if (dtype === "float32")
              return [
                key,
                tensor(
                  new Float32Array(words.buffer).map((v) => (Number.isNaN(v) ? 0.5 : v)),
                  { shape },
                ),
              ];
            return [
              key,
              tensor(
                Uint8Array.from(words, (w) => (dtype === "bool" ? w & 1 : w)),
                { shape, dtype },
              ),
            ];
          }),
        );
        const file = serialize(made, metadata);
        const read = await parse(file);
        expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(made).sort());
        for (const [key, x] of Object.entries(made)) {
          const y = read.tensors[key];
          expect([y.dtype, y.shape, y.data()]).toEqual([x.dtype, x.shape, x.data()]);
        }
        expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect(serialize(read.tensors, read.metadata)).toEqual(file);
        dispose(made);
        dispose(read.tensors);
      }),
      { numRuns: 60 },
    );
  });
});

describe("sources", () => {
  const file = fromBase64(golden.files.float32.base64);
  const address = `data:application/octet-stream;base64,${golden.files.float32.base64}`;
  const shifted = new Uint8Array(file.length + 3);
  shifted.set(file, 3);
  const sources: Record<string, () => io.safetensors.Source> = {
    "bytes at an odd address": () => shifted.subarray(3),
    "a Blob": () => new Blob([file]),
    "a Response": () => new Response(file),
    "an address": () => address,
  };

  for (const [title, source] of Object.entries(sources)) {
    test(`${title}: parse and open read the same`, async () => {
      const { tensors, metadata } = await parse(source());
      expect(serialize(tensors, metadata)).toEqual(file);
      const lazy = await open(source());
      expect(lazy.metadata).toEqual(metadata);
      expect([...lazy.keys].sort()).toEqual(Object.keys(tensors).sort());
      for (const name of lazy.keys) {
        const x = await lazy.read(name);
        expect(lazy.info(name)).toEqual({ dtype: "float32", stored: "F32", shape: tensors[name].shape });
        expect(x.data()).toEqual(tensors[name].data());
        x.dispose();
      }
      await lazy.close();
      dispose(tensors);
    });
  }

  test("two-byte and eight-byte elements may lie at odd addresses", async () => {
    const bytes = fileOf(
      {
        pad: { dtype: "U8", shape: [1], data_offsets: [0, 1] },
        h: { dtype: "F16", shape: [1], data_offsets: [1, 3] },
        l: { dtype: "I64", shape: [1], data_offsets: [3, 11] },
        f: f32(11, 15),
      },
      [9, 0x00, 0x3c, 0xfe, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0x80, 0x3f],
    );
    expect(await valuesOf(bytes)).toEqual({ pad: [9], h: [1], l: [-2], f: [1] });
  });

  test("bytes in shared memory are read", async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    const { tensors, metadata } = await parse(shared);
    expect(serialize(tensors, metadata)).toEqual(file);
    dispose(tensors);
  });

  test("open reads the header only, then one tensor at a time", async () => {
    const bytes = fileOf({ a: f32(0, 8), b: f32(8, 20) }, 20);
    const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
    const slice = vi.spyOn(blob, "slice");
    const lazy = await open(blob);
    const data = bytes.length - 20;
    expect(slice.mock.calls).toEqual([
      [0, 8],
      [8, data],
    ]);
    (await lazy.read("b")).dispose();
    expect(slice.mock.calls.slice(2)).toEqual([[data + 8, data + 20]]);
  });

  test("an unknown name and a closed file are errors", async () => {
    const lazy = await open(new Blob([file]));
    await expect(lazy.read("nothing")).rejects.toThrow(
      'safetensors: the tensor must be in the file, got "nothing" (the given Blob)',
    );
    expect(() => lazy.info("nothing")).toThrow('got "nothing"');
    await lazy.close();
    await lazy.close();
    await expect(lazy.read("7")).rejects.toThrow(
      "safetensors: the file must be open, got a closed one (the given Blob)",
    );
  });

  test("a failed request is an error with its status", async () => {
    const missing = new Response("", { status: 404, statusText: "Not Found" });
    await expect(parse(missing)).rejects.toThrow("fetch: the given Response must be readable, got 404 Not Found");
  });

  test("anything else is refused", async () => {
    await expect(parse(3 as unknown as Uint8Array)).rejects.toThrow(
      "safetensors: the source must be a Uint8Array, a Blob, a Response or a string, got 3",
    );
  });
});

describe("faults are found before a tensor is made", () => {
  const big = 2 ** 40;
  const faults: [string, Uint8Array, string][] = [
    ["an empty file", new Uint8Array(0), "a file must have at least 8 bytes, got 0 "],
    ["a file shorter than the length", new Uint8Array(7), "a file must have at least 8 bytes, got 7 "],
    [
      "a header over 100 MB",
      fileOf("{}", 0, 100_000_001),
      "the header must have at most 100000000 bytes, got 100000001 ",
    ],
    [
      "a header of 2⁶⁴ − 1 bytes",
      fileOf("{}", 0, 2n ** 64n - 1n),
      "the header must have at most 100000000 bytes, got 18446744073709551615 ",
    ],
    [
      "a header longer than the file",
      fileOf("{}", 0, 3),
      "the header must fit the 10 bytes of the file (is it whole?), got 3 bytes ",
    ],
    ["no header", fileOf(""), "the header must be a JSON object, got first byte undefined "],
    ["a header that is a list", fileOf("[]"), "the header must be a JSON object, got first byte 91 "],
    ["a header after a space", fileOf(" {}"), "the header must be a JSON object, got first byte 32 "],
    ["a header that is not JSON", fileOf('{"a":'), "the header must be a JSON object with different keys, got "],
    ["a header followed by more", fileOf("{}{}"), "the header must be a JSON object with different keys, got "],
    ["a header that is not UTF-8", fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "with different keys, got "],
    [
      "a name twice",
      fileOf(`{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(0, 4))}}`, 4),
      'different keys, got "a" twice ',
    ],
    [
      "a field twice",
      fileOf('{"a":{"dtype":"F32","shape":[1],"dtype":"F32","data_offsets":[0,4]}}', 4),
      'keys, got "dtype" twice ',
    ],
    ["metadata that is null", fileOf('{"__metadata__":null}'), "__metadata__ must be an object, got null "],
    ["metadata that is a list", fileOf({ __metadata__: ["a"] }), '__metadata__ must be an object, got ["a"] '],
    [
      "metadata with a number",
      fileOf({ __metadata__: { epoch: 3 } }),
      '__metadata__ must hold strings, got 3 for "epoch" ',
    ],
    ["a tensor that is a number", fileOf({ a: 1 }), 'a tensor must be described by an object, got 1 ("a" of '],
    [
      "an unknown dtype",
      fileOf({ a: { ...f32(0, 8, [1]), dtype: "F64" } }, 8),
      'F16, BF16, I64, I32, I8, U8, BOOL, got "F64" ("a" of ',
    ],
    ["a dtype of Object's", fileOf({ a: { ...f32(0, 4), dtype: "toString" } }, 4), 'got "toString" ("a" of '],
    ["no dtype", fileOf({ a: { shape: [1], data_offsets: [0, 4] } }, 4), 'got undefined ("a" of '],
    [
      "no shape",
      fileOf({ a: { dtype: "F32", data_offsets: [0, 4] } }, 4),
      "extents must be whole numbers from 0, got undefined ",
    ],
    ["a negative extent", fileOf({ a: f32(0, 4, [-1, -1]) }, 4), "extents must be whole numbers from 0, got [-1,-1] "],
    [
      "a fractional extent",
      fileOf({ a: f32(0, 4, [0.5, 2]) }, 4),
      "extents must be whole numbers from 0, got [0.5,2] ",
    ],
    [
      "an extent over 2⁵³",
      fileOf({ a: f32(0, 4, [2 ** 53]) }, 4),
      "extents must be whole numbers from 0, got [9007199254740992] ",
    ],
    ["an extent in quotes", fileOf({ a: f32(0, 4, ["1"]) }, 4), 'extents must be whole numbers from 0, got ["1"] '],
    [
      "a size that overflows",
      fileOf({ a: f32(0, 4, [big, big]) }, 4),
      `the size must not overflow, got shape [${big},${big}] `,
    ],
    [
      "a size that overflows before a 0",
      fileOf({ a: f32(0, 0, [big, big, 0]) }),
      "the size must not overflow, got shape ",
    ],
    [
      "no offsets",
      fileOf({ a: { dtype: "F32", shape: [1] } }, 4),
      "data_offsets must be two ascending whole numbers from 0, got undefined ",
    ],
    [
      "one offset",
      fileOf({ a: { ...f32(0, 4), data_offsets: [0] } }, 4),
      "two ascending whole numbers from 0, got [0] ",
    ],
    ["descending offsets", fileOf({ a: f32(4, 0, [1]) }, 4), "two ascending whole numbers from 0, got [4,0] "],
    ["a negative offset", fileOf({ a: f32(-4, 0, [1]) }, 4), "two ascending whole numbers from 0, got [-4,0] "],
    [
      "offsets that don't match the shape",
      fileOf({ a: f32(0, 8, [3]) }, 8),
      'F32 [3] must take 12 bytes, got 8 ("a" of ',
    ],
    [
      "a truncated file",
      fileOf({ a: f32(0, 8) }, 7),
      "data_offsets must lie within the 7 bytes of data (is the file whole?), got [0, 8] ",
    ],
    [
      "bytes after the last tensor",
      fileOf({ a: f32(0, 8) }, 9),
      "the data must end with the last tensor at 8, got 9 bytes (the given",
    ],
    ["data without tensors", fileOf({}, 1), "the data must end with the last tensor at 0, got 1 bytes "],
    [
      "a hole at the start",
      fileOf({ a: f32(4, 8) }, 8),
      'tensors must lie side by side, got a hole: [4, 8] after 0 ("a" of ',
    ],
    ["a hole", fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12), 'got a hole: [8, 12] after 4 ("b" of the given bytes)'],
    ["an overlap", fileOf({ b: f32(4, 12), a: f32(0, 8) }, 12), 'got an overlap: [4, 12] after 8 ("b" of '],
    ["one place twice", fileOf({ a: f32(0, 4), b: f32(0, 4) }, 4), 'got an overlap: [0, 4] after 4 ("b" of '],
    [
      "an empty tensor inside another",
      fileOf({ a: f32(0, 8), b: f32(4, 4) }, 8),
      'got an overlap: [4, 4] after 8 ("b" of ',
    ],
  ];
  for (const [title, file, message] of faults) {
    test(title, async () => {
      const before = memoryStats();
      const error: Error = await parse(file).then(
        () => expect.fail("the file was accepted"),
        (e) => e,
      );
      expect(error.message).toMatch(/^safetensors: /);
      expect(error.message).toContain(message);
      await expect(open(new Blob([file as Uint8Array<ArrayBuffer>]))).rejects.toThrow("the given Blob");
      expect(memoryStats()).toEqual(before);
    });
  }

  test("an I64 value outside int32 is an error, and releases what was read before", async () => {
    const before = memoryStats();
    const header = { a: f32(0, 4), b: { dtype: "I64", shape: [2], data_offsets: [4, 20] } };
    for (const value of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 32n, -(2n ** 63n)]) {
      const data = new Uint8Array(20);
      new DataView(data.buffer).setBigInt64(12, value, true);
      await expect(parse(fileOf(header, data))).rejects.toThrow(
        `safetensors: I64 values must fit int32, got ${value} at 1 ("b" of the given bytes)`,
      );
    }
    expect([memoryStats().liveBytes, memoryStats().liveTensors]).toEqual([before.liveBytes, before.liveTensors]);
  });
});

describe("what the format allows", () => {
  test("whitespace after the header, fields it does not know, tensors without elements or dimensions", async () => {
    const header = { none: f32(4, 4, [0, 3]), a: { ...f32(0, 4, []), note: { x: [1] } } };
    expect(await valuesOf(fileOf(`${JSON.stringify(header)} \n\t`, [0, 0, 0x80, 0x3f]))).toEqual({ none: [], a: [1] });
  });

  test("strings that look like structure, and a name repeated elsewhere", async () => {
    const header = {
      __metadata__: { a: '{"a":1,"a":2}', '\\"': "\\" },
      a: f32(0, 4),
      dtype: f32(4, 8),
      'b":{': f32(8, 12),
    };
    expect(Object.keys(await valuesOf(fileOf(header, 12))).sort()).toEqual(["a", 'b":{', "dtype"]);
  });

  test("any byte but 0 is true", async () => {
    const header = { flags: { dtype: "BOOL", shape: [3], data_offsets: [0, 3] } };
    expect(await valuesOf(fileOf(header, [0, 1, 2]))).toEqual({ flags: [0, 1, 1] });
  });

  test("a file without tensors", async () => {
    expect(await parse(fileOf({ __metadata__: { a: "b" } }))).toEqual({ tensors: {}, metadata: { a: "b" } });
  });
});
