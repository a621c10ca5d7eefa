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
