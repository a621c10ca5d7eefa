import { expect, test } from "vitest";
import { files } from "#files";

test("names are addresses", async () => {
  expect(await files.readText("data:,0123456789")).toBe("0123456789");
  const access = await files.openFile("data:,0123456789");
  expect(access.size).toBe(10);
  expect(await access.read(3, 5)).toEqual(Uint8Array.of(51, 52));
  const address = URL.createObjectURL(new Blob(["é"]));
  expect(await files.readText(address)).toBe("é");
  URL.revokeObjectURL(address);
  expect(files.join("models/a", "config.json")).toBe("models/a/config.json");
});

test("an address is read as it comes, and from an earlier place again", async () => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => i * 7);
  const address = URL.createObjectURL(new Blob([bytes]));
  const access = await files.openFile(address);
  expect(access.size).toBe(bytes.length);
  for (const [begin, end] of [
    [0, 8],
    [8, 8],
    [100, 2_000_000],
    [2_000_000, 3_000_000],
    [5, 900_000],
    [900_000, 900_001],
  ]) {
    const read = await access.read(begin, end);
    expect(read.length).toBe(end - begin);
    expect(read.every((value, i) => value === bytes[begin + i])).toBe(true);
  }
  await access.close();
  URL.revokeObjectURL(address);
});

test("a failed request is an error with its status, or does not exist", async () => {
  const missing = `${location.origin}/@fs/no/such/file.json`;
  await expect(files.readFile(missing)).rejects.toThrow(/^fetch: .*file\.json must be readable, got 40[34] /);
  expect(await files.exists(missing)).toBe(false);
  expect(await files.exists(location.href)).toBe(true);
});

test("what needs a file system says what to do", async () => {
  await expect(files.writeFileAtomic("a/b", "x")).rejects.toThrow(
    "writeFileAtomic: files must be written outside a browser, got a/b; use the returned bytes",
  );
  expect(() => files.writeFileAtomicSync("a/b", "x")).toThrow("writeFileAtomicSync: files must be written outside");
  await expect(files.listDirectory("a")).rejects.toThrow(
    "listDirectory: a folder must be on a file system, got the address a; name its files",
  );
});
