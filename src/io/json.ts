/** JSON of `value`. What it would change on the way, such as NaN or a Map, is an error that says where it is. */
export function toJson(op: string, path: string, value: unknown): string {
  const text = JSON.stringify(value);
  checkKept(op, path, value);
  return text;
}

function checkKept(op: string, path: string, value: unknown): void {
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return;
  const isArray = Array.isArray(value);
  if (!isArray && !isPlainObject(value)) {
    throw new Error(`${op}: ${path} must be finite numbers, text, lists and plain objects, got ${value}`);
  }
  for (const [key, item] of Object.entries(value)) {
    // members that are undefined are left out, as JSON does
    if (item !== undefined || isArray) checkKept(op, isArray ? `${path}[${key}]` : `${path}.${key}`, item);
  }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
